"""VMs move between nodes (golden 10 seq 214 for the refusal); the rest as documented."""

from __future__ import annotations

import pytest

from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.state import Volume
from pytest_proxmox.simulator.world import World

from .client import Client
from .machine_room import GIB

ONE = "/nodes/pve1/qemu/100"
TWO = "/nodes/pve2/qemu/100"


@pytest.fixture
def pve() -> Client:
    """Root on three nodes; VM 100 stands on the first with a shared disk, 101 with a local one."""
    client = Client.login(Simulator(World.preset("cluster")))
    for vmid, disk in ((100, "shared:1,format=qcow2"), (101, "local-lvm:1")):
        said = client.post("/nodes/pve1/qemu", vmid=vmid, name="web", scsi0=disk)
        assert client.finish(said) == "OK"
    return client


def migrate(client: Client, vmid: int = 100, **params: object) -> str:
    path = f"/nodes/pve1/qemu/{vmid}/migrate"
    return client.finish(client.post(path, target="pve2", **params))


def start(client: Client, vmid: int = 100) -> None:
    assert client.finish(client.post(f"/nodes/pve1/qemu/{vmid}/status/start")) == "OK"


def test_a_stopped_vm_lives_on_another_node(pve: Client) -> None:
    assert migrate(pve) == "OK"
    assert pve.get(ONE + "/config").status == 500
    found = pve.get(TWO + "/config").data
    assert found["scsi0"] == "shared:100/vm-100-disk-0.qcow2,size=1G"
    assert "lock" not in found


def test_a_local_disk_goes_along(pve: Client) -> None:
    assert migrate(pve, 101) == "OK"
    here, there = (
        pve.get(f"/nodes/{node}/storage/local-lvm/content", vmid=101).data
        for node in ("pve1", "pve2")
    )
    assert here == []
    assert [row["volid"] for row in there] == ["local-lvm:vm-101-disk-0"]


def test_a_local_disk_can_come_to_lie_on_another_storage(pve: Client) -> None:
    assert migrate(pve, 101, targetstorage="shared") == "OK"
    found = pve.get("/nodes/pve2/qemu/101/config").data
    assert found["scsi0"] == "shared:101/vm-101-disk-0.raw,size=1G"


def test_a_running_vm_goes_on_running(pve: Client) -> None:
    start(pve)
    assert migrate(pve, online=1) == "OK"
    assert pve.get(TWO + "/status/current").data["status"] == "running"


def test_a_running_vm_is_moved_online_only(pve: Client) -> None:
    start(pve)
    refusal = (500, "can't migrate running VM without --online")
    assert pve.post(ONE + "/migrate", target="pve2").refusal == refusal


def test_local_disks_of_a_running_vm_must_be_asked_for(pve: Client) -> None:
    start(pve, 101)
    ending = migrate(pve, 101, online=1)
    assert ending.endswith(
        "can't live migrate attached local disks without with-local-disks option"
    )
    assert migrate(pve, 101, online=1, **{"with-local-disks": 1}) == "OK"


@pytest.mark.parametrize(
    ("target", "refusal"),
    [
        ("pve1", (400, "Parameter verification failed.")),
        ("pve9", (500, "no such cluster node 'pve9'")),
    ],
    ids=["itself", "unknown"],
)
def test_where_it_cannot_go_is_refused(pve: Client, target: str, refusal: tuple[int, str]) -> None:
    assert pve.post(ONE + "/migrate", target=target).refusal == refusal


def test_an_unknown_target_comes_before_an_unknown_vm(pve: Client) -> None:
    said = pve.post("/nodes/pve1/qemu/4999/migrate", target="pve9")
    assert said.refusal == (500, "no such cluster node 'pve9'")


def test_a_local_disc_holds_it_back(pve: Client) -> None:
    disc = "local:iso/x.iso"
    pve.sim.volumes.put(Volume(disc, "pve1", "iso", "iso", 1024))
    pve.put(ONE + "/config", ide2=f"{disc},media=cdrom")
    assert pve.get(ONE + "/migrate").data["local_disks"][0]["cdrom"] == 1
    assert migrate(pve) == f"can't migrate local disk '{disc}': local cdrom image"
    assert "lock" not in pve.get(ONE + "/config").data


def test_what_stands_in_the_way_is_told_beforehand(pve: Client) -> None:
    found = pve.get("/nodes/pve1/qemu/101/migrate").data
    assert found["running"] == 0
    assert found["local_disks"] == [
        {"volid": "local-lvm:vm-101-disk-0", "size": GIB, "cdrom": 0, "is_unused": 0}
    ]
    assert found["allowed_nodes"] == ["pve2", "pve3"]
    assert pve.get(ONE + "/migrate").data["local_disks"] == []


def test_a_node_without_the_storage_is_not_allowed(pve: Client) -> None:
    pve.put("/storage/local-lvm", nodes="pve1,pve3")
    found = pve.get("/nodes/pve1/qemu/101/migrate").data
    assert found["allowed_nodes"] == ["pve3"]
    assert found["not_allowed_nodes"] == {"pve2": {"unavailable_storages": ["local-lvm"]}}


def test_a_migration_that_is_stopped_leaves_it_where_it_was(pve: Client) -> None:
    said = pve.post(ONE + "/migrate", target="pve2")
    pve.delete(f"/nodes/pve1/tasks/{said.data}")
    assert pve.finish(said) == "interrupted by signal"
    assert "lock" not in pve.get(ONE + "/config").data


def test_a_clone_can_come_to_be_on_another_node_if_that_sees_the_disks(pve: Client) -> None:
    assert pve.finish(pve.post(ONE + "/clone", newid=102, target="pve2")) == "OK"
    assert pve.get("/nodes/pve2/qemu/102/config").status == 200
    said = pve.post("/nodes/pve1/qemu/101/clone", newid=103, target="pve2")
    assert said.refusal == (500, "can't clone VM to node 'pve2' (VM uses local storage)")
