"""/sync, /plan and /apply as the user meets them: drift, dry runs, faults, resumption."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from src_app.workspace.parts import DATABASE, FOLDER
from tests.console.conftest import Sit, Sitting
from tests.console.ending import counted, nothing
from tests.console.faults import unplugged


@pytest.fixture
def three(sitting: Sitting, cluster: EmbeddedProxmox) -> Sitting:
    """A session whose cluster has three guests, none of them known yet."""
    cluster.plant(vmid=300, type="qemu", node="pve", name="web-1", status="running")
    cluster.plant(vmid=301, type="lxc", node="pve", name="web-2")
    cluster.plant(vmid=302, type="lxc", node="pve", name="db")
    return sitting


def test_dry_run_writes_nothing_and_tells_all(three: Sitting, root: Path) -> None:
    path = root / FOLDER / DATABASE
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    told = three.json("/sync --dry-run")
    three.session.close()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert told["counts"]["added"] == 6
    assert told["stored"] is False


def test_drift_is_told_by_field(three: Sitting, cluster: EmbeddedProxmox) -> None:
    three.run("/sync")
    three.session.services.connection.put("/nodes/pve/lxc/302/config", cores=3, hostname="base")
    printed = three.run("/sync")
    assert "1 changed" in printed
    assert "hostname: db → base" in printed


def test_removed_guest_is_told_and_no_longer_listed(
    three: Sitting, cluster: EmbeddedProxmox
) -> None:
    three.run("/sync")
    three.run("delete container db --now --yes")
    assert [g["name"] for g in three.json("list all")["all"]] == ["web-1", "web-2"]
    gone = three.json("list all --removed")["all"]
    assert [g["name"] for g in gone if g["removed"]] == ["db"]


def test_filter_reads_only_what_is_asked_for(three: Sitting) -> None:
    with counted(nothing, nothing) as asked:
        told = three.json("/sync --filter containers --filter name=web*")
    assert len([call for call in asked if call.endswith("/config")]) == 1
    assert [d["resource"] for d in told["drift"]] == ["node pve", "container 301 (web-2)"]


def test_sync_that_was_cut_off_is_resumed(three: Sitting) -> None:
    three.run("/sync --dry-run --filter nodes")  # logs in, so that only the sync is counted

    def cut(number: int, method: str) -> None:
        if number > 6:  # six lists come first, then four configs at a time
            unplugged(number, method)

    with counted(cut, nothing):
        printed = three.run("/sync", expect=1)
    assert "1 of 3 guests were read" in printed
    assert "/sync --resume" in printed
    assert "No guests here" in three.run("list all")
    with counted(nothing, nothing) as asked:
        assert three.json("/sync --resume")["counts"]["added"] == 6
    assert len([call for call in asked if call.endswith("/config")]) == 2
    assert "no interrupted sync" in three.run("/sync --resume", expect=2)


def test_plan_and_apply_make_change_and_delete(three: Sitting, cluster: EmbeddedProxmox) -> None:
    three.run("/sync")
    three.run("create vm --name fresh --vmid 310 --start")
    three.run("delete container web-2 --yes")
    steps = three.json("/plan")["steps"]
    assert [(s["action"], s["vmid"]) for s in steps] == [
        ("create", 310), ("start", 310), ("delete", 301),
    ]  # fmt: skip
    assert "Nobody is there to answer" in three.run("/apply", expect=3)
    assert cluster.vmids() == {300, 301, 302}
    assert len(three.json("/apply --yes")["done"]) == 3
    assert cluster.vmids() == {300, 302, 310}
    assert three.json("/plan")["steps"] == []
    assert [w["name"] for w in three.json("list wanted")["wanted"]] == ["fresh"]
    assert three.json("describe vm fresh")["guest"]["status"] == "running"


def test_failed_apply_undoes_what_it_began(three: Sitting, cluster: EmbeddedProxmox) -> None:
    three.run("create container --name one --vmid 310")
    three.run("create container --name two --vmid 311 --template local:vztmpl/nothing.tar.xz")
    printed = three.run("/apply --yes", expect=1)
    assert "Undone: create container 310 on pve" in printed
    assert cluster.vmids() == {300, 301, 302}
    assert three.json("list all")["all"] == []
    assert len(three.json("/plan")["steps"]) == 2


def test_conflict_is_told_and_nothing_is_applied(three: Sitting, cluster: EmbeddedProxmox) -> None:
    three.run("create vm --name mine --vmid 310")
    cluster.plant(vmid=310, type="lxc", node="pve", name="theirs")
    assert "container 310 (theirs) has its VMID" in three.run("/plan", expect=1)
    three.run("/apply --yes", expect=1)
    assert cluster.vmids() == {300, 301, 302, 310}


def test_interrupted_change_is_settled_by_the_next_session(
    three: Sitting, sit: Sit, root: Path, cluster: EmbeddedProxmox
) -> None:
    three.run("/sync")

    def cut(number: int, method: str) -> None:
        if number > 4:
            unplugged(number, method)

    with counted(cut, nothing):
        assert "when Proxmox answers again" in three.run("stop vm web-1", expect=1)
    three.session.close()
    again = sit(root)
    again.session.recover()
    assert "An interrupted change was settled" in again.err.getvalue()
    guest = cluster.guest(300)
    assert guest is not None
    assert again.json("describe vm web-1")["guest"]["status"] == guest.status


def test_destroy_asks_and_takes_only_what_the_workspace_wanted(
    three: Sitting, cluster: EmbeddedProxmox
) -> None:
    three.run("/sync")
    three.run("create container --name mine --vmid 310 --now")
    assert "Would delete:" in three.run("/destroy --dry-run")
    assert "Nobody is there" in three.run("/destroy", expect=3)
    three.run("/destroy --yes")
    assert cluster.vmids() == {300, 301, 302}


def test_stopping_several_asks(three: Sitting, cluster: EmbeddedProxmox) -> None:
    three.run("/sync")
    three.run("start container --all --yes")
    assert "2 guests will be stopped: web-2, db" in three.run("stop container --all", expect=3)
    three.run("stop container --all --yes")
    assert {g["status"] for g in three.json("list containers")["containers"]} == {"stopped"}
