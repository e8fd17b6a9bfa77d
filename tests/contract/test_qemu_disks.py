"""Disks of VMs grow and move (golden 11 seq 58 to 69; 16 for moving to another guest)."""

from __future__ import annotations

import pytest

from .client import Client
from .machine_room import DISK, GIB, VM, config, create, login, power, status, volumes


@pytest.fixture
def pve() -> Client:
    """Root on a node where VMs 100 and 101 stand."""
    client = login()
    create(client, name="one", scsi0="local:1,format=qcow2", scsi1="thin:2", agent=1)
    create(client, 101, name="two", scsi0="thin:1")
    return client


def resize(client: Client, **params: object) -> str:
    return client.finish(client.put(VM + "/resize", **params))


def move(client: Client, **params: object) -> str:
    return client.finish(client.post(VM + "/move_disk", **params))


@pytest.mark.parametrize(
    ("size", "expected"), [("+1G", 2 * GIB), ("3G", 3 * GIB), ("1G", GIB)], ids=["by", "to", "same"]
)
def test_a_disk_grows_by_or_to_a_size(pve: Client, size: str, expected: int) -> None:
    assert resize(pve, disk="scsi0", size=size) == "OK"
    assert config(pve)["scsi0"] == f"{DISK},size={expected // GIB}G"
    assert status(pve)["maxdisk"] == expected


def test_a_running_vms_disk_grows_too(pve: Client) -> None:
    power(pve, "start")
    assert resize(pve, disk="scsi1", size="+1G") == "OK"
    assert config(pve)["scsi1"] == "thin:vm-100-disk-0,size=3G"


@pytest.mark.parametrize(
    ("params", "ending"),
    [
        ({"disk": "scsi0", "size": "10M"}, "shrinking disks is not supported"),
        ({"disk": "scsi5", "size": "+10M"}, "disk 'scsi5' does not exist"),
        (
            {"disk": "scsi0", "size": "+1G", "digest": "0" * 40},
            "checksum mismatch (file change by other user?)",
        ),
    ],
    ids=["smaller", "no-disk", "another-version"],
)
def test_what_cannot_grow_shows_in_the_task(
    pve: Client, params: dict[str, str], ending: str
) -> None:
    assert resize(pve, **params) == ending
    assert config(pve)["scsi0"] == f"{DISK},size=1G"


def test_a_moved_disk_leaves_its_old_volume_unused(pve: Client) -> None:
    assert move(pve, disk="scsi0", storage="thin") == "OK"
    found = config(pve)
    assert (found["scsi0"], found["unused0"]) == ("thin:vm-100-disk-1,size=1G", DISK)


def test_a_moved_disk_can_take_its_old_volume_away(pve: Client) -> None:
    assert move(pve, disk="scsi0", storage="thin", delete=1) == "OK"
    assert "unused0" not in config(pve)
    assert volumes(pve, vmid=100) == []


def test_a_disk_can_change_its_format_in_place(pve: Client) -> None:
    assert move(pve, disk="scsi0", storage="local", format="raw", delete=1) == "OK"
    assert config(pve)["scsi0"] == "local:100/vm-100-disk-1.raw,size=1G"


def test_a_disk_of_a_running_vm_moves_with_its_data(pve: Client) -> None:
    power(pve, "start")
    pve.post(VM + "/agent/file-write", file="/data", content="kept")
    assert move(pve, disk="scsi0", storage="thin", delete=1) == "OK"
    assert pve.get(VM + "/agent/file-read", file="/data").data["content"] == "kept"


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"disk": "scsi0"}, "either storage or target-vmid needs to be set"),
        (
            {"disk": "scsi0", "storage": "thin", "target-vmid": 101},
            "either set storage or target-vmid, but not both",
        ),
        ({"disk": "scsi0", "storage": "nope"}, "storage 'nope' does not exist"),
        (
            {"disk": "scsi0", "storage": "local"},
            "you can't move to the same storage with same format",
        ),
        ({"disk": "scsi9", "storage": "thin"}, "disk 'scsi9' does not exist"),
    ],
    ids=["nowhere", "both", "no-storage", "same", "no-disk"],
)
def test_what_cannot_move_is_refused(pve: Client, params: dict[str, object], reason: str) -> None:
    assert pve.post(VM + "/move_disk", **params).refusal == (500, reason)


def test_a_disk_in_a_snapshot_cannot_take_its_old_volume_away(pve: Client) -> None:
    pve.finish(pve.post(VM + "/snapshot", snapname="s1"))
    reason = "you can't move a disk with snapshots and delete the source"
    said = pve.post(VM + "/move_disk", disk="scsi1", storage="local", delete=1)
    assert said.refusal == (500, reason)


def test_a_move_that_is_stopped_leaves_no_copy(pve: Client) -> None:
    said = pve.post(VM + "/move_disk", disk="scsi0", storage="thin")
    pve.delete(f"/nodes/pve/tasks/{said.data}")
    assert pve.finish(said) == "interrupted by signal"
    assert volumes(pve, "thin", vmid=100) == ["thin:vm-100-disk-0"]
    assert config(pve)["scsi0"] == f"{DISK},size=1G"


def test_a_disk_can_be_given_to_another_vm(pve: Client) -> None:
    said = pve.post(VM + "/move_disk", disk="scsi1", **{"target-vmid": 101, "target-disk": "scsi3"})
    assert pve.finish(said) == "OK"
    assert "scsi1" not in config(pve)
    assert config(pve, 101)["scsi3"] == "thin:vm-101-disk-1,size=2G"
    assert volumes(pve, "thin", vmid=100) == []


def test_an_unused_disk_can_be_given_away_too(pve: Client) -> None:
    pve.put(VM + "/config", delete="scsi1")
    target = {"target-vmid": 101, "target-disk": "unused0"}
    assert pve.finish(pve.post(VM + "/move_disk", disk="unused0", **target)) == "OK"
    assert config(pve, 101)["unused0"] == "thin:vm-101-disk-1"


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        (
            {"disk": "scsi0", "target-vmid": 101},
            "Target disk key 'scsi0' is already in use for VM '101'",
        ),
        (
            {"disk": "scsi7", "target-vmid": 101, "target-disk": "scsi7"},
            "Disk 'scsi7' for VM '100' does not exist",
        ),
        ({"disk": "scsi0", "target-vmid": 999}, "could not find VM 999"),
    ],
    ids=["taken", "no-disk", "no-vm"],
)
def test_what_cannot_be_given_away_is_refused(
    pve: Client, params: dict[str, object], reason: str
) -> None:
    assert pve.post(VM + "/move_disk", **params).refusal == (500, reason)


def test_a_running_vm_gives_nothing_away(pve: Client) -> None:
    power(pve, "start")
    target = {"target-vmid": 101, "target-disk": "scsi5"}
    said = pve.post(VM + "/move_disk", disk="scsi1", **target)
    assert said.status == 500
    assert "scsi5" not in config(pve, 101)
