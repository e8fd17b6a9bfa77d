"""The state file: everything comes back, damage is refused, the last good file stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.simulator import saved
from pytest_proxmox.simulator.saved import Autosave, StateFile
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World
from tests.contract.client import Client

LXC = "/nodes/pve/lxc"
TEMPLATE = "local:vztmpl/alpine-3.18-default_20230607_amd64.tar.xz"


def fresh() -> Simulator:
    return Simulator(World.preset("single"))


@pytest.fixture
def busy() -> Simulator:
    """A simulator with a bit of everything: guests, a pool, a user, a backup, a running task."""
    sim = fresh()
    client = Client.login(sim)
    for vmid in (100, 101):
        client.finish(client.post(LXC, vmid=vmid, ostemplate=TEMPLATE, rootfs="local-lvm:1"))
    client.finish(client.post(f"{LXC}/100/snapshot", snapname="first"))
    client.finish(client.post("/nodes/pve/vzdump", vmid=100, storage="local"))
    client.post("/pools", poolid="p")
    client.post("/access/users", userid="joe@pve", password="secret123")
    client.put("/access/acl", path="/vms", users="joe@pve", roles="PVEVMAdmin")
    client.post(f"{LXC}/101/status/start")
    return sim


def test_the_whole_state_comes_back(busy: Simulator, tmp_path: Path) -> None:
    file = StateFile(tmp_path / "state.json")
    file.save(busy)
    other = fresh()
    assert file.restore_into(other)
    assert saved.dump(other) == saved.dump(busy)


def test_a_task_that_was_running_ends_after_the_restart(busy: Simulator, tmp_path: Path) -> None:
    file = StateFile(tmp_path / "state.json")
    file.save(busy)
    other = fresh()
    file.restore_into(other)
    client = Client.login(other)
    upid = next(iter(other.state.running))
    assert client.get(f"/nodes/pve/tasks/{upid}/status").data["exitstatus"] == "OK"
    assert client.get(f"{LXC}/101/status/current").data["status"] == "running"


def test_no_file_yet_is_no_mistake(tmp_path: Path) -> None:
    assert not StateFile(tmp_path / "state.json").restore_into(fresh())


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        (lambda text: text[: len(text) // 2], "not JSON"),
        (lambda text: "[]", "top level"),
        (lambda text: text.replace('"format":1', '"format":99'), "format"),
        (lambda text: text.replace('"pools":', '"ponds":'), "tables.ponds"),
        (lambda text: text.replace('"~class":"Guest"', '"~class":"Ghost"', 1), "tables.guests[0]"),
    ],
    ids=["cut off", "no object", "format", "table", "row"],
)
def test_a_damaged_file_is_refused_with_its_place_and_left_alone(
    busy: Simulator, tmp_path: Path, damage: Any, place: str
) -> None:
    file = StateFile(tmp_path / "state.json")
    file.save(busy)
    text = damage(file.path.read_text())
    file.path.write_text(text)
    other = fresh()
    before = saved.dump(other)
    with pytest.raises(InvalidValue) as caught:
        file.restore_into(other)
    assert place in str(caught.value)
    assert file.path.read_text() == text
    assert saved.dump(other) == before


def test_a_save_that_fails_half_way_keeps_the_last_good_file(
    busy: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = StateFile(tmp_path / "state.json")
    file.save(fresh())
    good = file.path.read_text()

    def no_room(*args: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", no_room)
    with pytest.raises(OSError, match="No space"):
        file.save(busy)
    assert file.path.read_text() == good
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_autosave_writes_at_its_end_what_changed_since(busy: Simulator, tmp_path: Path) -> None:
    file = StateFile(tmp_path / "state.json")
    with Autosave(busy, file):
        busy.plant(vmid=777)
    vmids = [row[0] for row in json.loads(file.path.read_text())["tables"]["guests"]]
    assert 777 in vmids
