"""Guests that answer: data put in over HTTP survives what Proxmox does with the guest."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.workloads import Workloads
from pytest_proxmox.simulator.world import World

from .client import Client

LXC = "/nodes/pve/lxc"
OLD, NEW = "local:vztmpl/web-1.0.tar.xz", "local:vztmpl/web-2.0.tar.xz"
SICK = "local:vztmpl/web-3.0.tar.xz"
PAYLOAD = bytes(range(256))
# guests are asked directly: a proxy in the environment must not be
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A node with a web app in two versions and a third that is never healthy."""
    versions = {OLD: "1.0", NEW: "2.0", SICK: "3.0"}
    world = {
        **World.preset("single").data,
        "volumes": [{"volid": volid, "size": 1_000_000} for volid in versions],
        "workloads": {
            volid: {"serves": "failing" if volid == SICK else "web", "version": version}
            for volid, version in versions.items()
        },
    }
    sim = Simulator(World.parse(world, origin="test"))
    with Workloads(sim):
        yield sim


def fetch(sim: Simulator, vmid: int, path: str, *, put: bytes | None = None) -> bytes:
    url = sim.workloads.url(vmid) if sim.workloads else None
    assert url is not None
    method = "GET" if put is None else "PUT"
    request = urllib.request.Request(url + path, data=put, method=method)
    with DIRECT.open(request, timeout=10) as answer:
        body: bytes = answer.read()
        return body


def deploy(client: Client, vmid: int, template: str = OLD, **more: Any) -> None:
    mounts = {"rootfs": "local-lvm:1", "mp0": "local-lvm:1,mp=/data,backup=1", **more}
    made = client.post(LXC, vmid=vmid, ostemplate=template, hostname=f"app{vmid}", **mounts)
    assert client.finish(made) == "OK"


def act(client: Client, vmid: int, what: str, **params: Any) -> None:
    assert client.finish(client.post(f"{LXC}/{vmid}/{what}", **params)) == "OK"


@pytest.fixture
def app(pve: Client, sim: Simulator) -> Client:
    """Root, with version 1.0 running as 100 and a payload put into it."""
    deploy(pve, 100)
    act(pve, 100, "status/start")
    fetch(sim, 100, "/data/file.bin", put=PAYLOAD)
    return pve


def test_the_front_page_shows_version_and_hostname(app: Client, sim: Simulator) -> None:
    page = fetch(sim, 100, "/").decode()
    assert '<td id="version">1.0</td>' in page
    assert '<td id="hostname">app100</td>' in page


def test_a_guest_answers_at_the_address_that_its_interface_shows(
    app: Client, sim: Simulator
) -> None:
    app.put(f"{LXC}/100/config", net0="name=eth0,bridge=vmbr0,ip=dhcp")
    shown = app.get(f"{LXC}/100/interfaces").data[1]["inet"].partition("/")[0]
    assert sim.workloads is not None
    assert f"//{shown}:" in str(sim.workloads.url(100))


def test_a_stopped_guest_does_not_answer(app: Client, sim: Simulator) -> None:
    assert sim.workloads is not None
    url = sim.workloads.url(100)
    act(app, 100, "status/stop")
    assert sim.workloads.url(100) is None
    with pytest.raises(urllib.error.URLError):
        DIRECT.open(f"{url}/", timeout=5)


def test_a_backup_brings_the_bytes_back_after_the_guest_was_destroyed(
    app: Client, sim: Simulator
) -> None:
    assert app.finish(app.post("/nodes/pve/vzdump", vmid=100, storage="local")) == "OK"
    archive = app.get("/nodes/pve/storage/local/content", content="backup").data[0]["volid"]
    assert app.finish(app.delete(f"{LXC}/100", force=1, purge=1)) == "OK"
    back = app.post(LXC, vmid=101, ostemplate=archive, restore=1, storage="local-lvm")
    assert app.finish(back) == "OK"
    act(app, 101, "status/start")
    assert fetch(sim, 101, "/data/file.bin") == PAYLOAD


def test_a_mount_point_that_is_not_backed_up_is_not_brought_back(
    pve: Client, sim: Simulator
) -> None:
    deploy(pve, 100, mp0="local-lvm:1,mp=/data")
    pve.finish(pve.post("/nodes/pve/vzdump", vmid=100, storage="local"))
    archive = pve.get("/nodes/pve/storage/local/content", content="backup").data[0]["volid"]
    back = pve.post(LXC, vmid=101, ostemplate=archive, restore=1, storage="local-lvm")
    assert pve.finish(back) == "OK"
    assert "mp0" not in pve.get(f"{LXC}/101/config").data


def test_a_snapshot_brings_back_what_was_overwritten(app: Client, sim: Simulator) -> None:
    act(app, 100, "snapshot", snapname="before")
    fetch(sim, 100, "/data/file.bin", put=b"spoiled")
    act(app, 100, "snapshot/before/rollback")
    act(app, 100, "status/start")
    assert fetch(sim, 100, "/data/file.bin") == PAYLOAD


def test_a_clone_has_the_data_and_then_its_own(app: Client, sim: Simulator) -> None:
    act(app, 100, "status/stop")
    act(app, 100, "clone", newid=102, full=1)
    act(app, 102, "status/start")
    fetch(sim, 102, "/data/file.bin", put=b"mine")
    act(app, 100, "status/start")
    assert fetch(sim, 100, "/data/file.bin") == PAYLOAD
    assert fetch(sim, 102, "/data/file.bin") == b"mine"


def test_an_update_moves_the_data_to_the_new_version(app: Client, sim: Simulator) -> None:
    deploy(app, 103, NEW)
    assert app.put(f"{LXC}/103/config", delete="mp0").status == 200
    act(app, 100, "status/stop")
    act(app, 100, "move_volume", volume="mp0", **{"target-vmid": 103, "target-volume": "mp0"})
    act(app, 103, "status/start")
    assert fetch(sim, 103, "/version") == b"2.0"
    assert fetch(sim, 103, "/data/file.bin") == PAYLOAD


def test_a_failing_app_says_so_in_its_health(pve: Client, sim: Simulator) -> None:
    deploy(pve, 104, SICK)
    act(pve, 104, "status/start")
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetch(sim, 104, "/health")
    with caught.value as error:
        assert error.code == 503


def test_two_simulators_never_share_an_address(app: Client, sim: Simulator) -> None:
    other = Simulator(sim.world)
    with Workloads(other):
        client = Client.login(other)
        deploy(client, 100)
        act(client, 100, "status/start")
        assert sim.workloads is not None
        assert other.workloads is not None
        assert sim.workloads.url(100) != other.workloads.url(100)


def test_restoring_a_snapshot_of_the_simulator_stops_what_it_had_not(
    app: Client, sim: Simulator
) -> None:
    assert sim.workloads is not None
    mark = sim.snapshot()
    act(app, 100, "status/stop")
    sim.restore(mark)
    assert fetch(sim, 100, "/data/file.bin") == PAYLOAD
    sim.reset()
    assert sim.workloads.url(100) is None
