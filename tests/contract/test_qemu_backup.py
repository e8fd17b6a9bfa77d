"""Backups of VMs and their return (golden 07 seq 104 for the refusal)."""

from __future__ import annotations

from typing import Any

import pytest

from .client import Client
from .machine_room import QEMU, VM, config, create, login, power, status, volumes


@pytest.fixture
def pve() -> Client:
    """Root on a node where VM 100 stands with a file on its disk."""
    client = login()
    create(
        client,
        name="web",
        memory=64,
        agent=1,
        scsi0="thin:1",
        scsi1="local:2,format=qcow2",
        scsi2="thin:1,backup=0",
        ide2="thin:cloudinit",
        net0="virtio,bridge=vmbr0",
    )
    power(client, "start")
    client.post(VM + "/agent/file-write", file="/data", content="precious")
    return client


@pytest.fixture
def archive(pve: Client) -> str:
    """The volume id of its backup; the VM is stopped then."""
    assert pve.finish(pve.post("/nodes/pve/vzdump", vmid=100, storage="bak")) == "OK"
    power(pve, "stop")
    found: list[dict[str, Any]] = pve.get("/nodes/pve/storage/bak/content").data
    return str(found[0]["volid"])


def restore(client: Client, vmid: int, archive: str, **params: Any) -> str:
    return client.finish(client.post(QEMU, vmid=vmid, archive=archive, **params))


def data_of(client: Client, vmid: int) -> str:
    power(client, "start", vmid)
    found = client.get(f"{QEMU}/{vmid}/agent/file-read", file="/data").data
    power(client, "stop", vmid)
    return str(found["content"])


def test_an_archive_is_named_after_its_vm(archive: str) -> None:
    assert archive.startswith("bak:backup/vzdump-qemu-100-")
    assert archive.endswith(".vma")


def test_what_is_in_an_archive_can_be_read(pve: Client, archive: str) -> None:
    text = pve.get("/nodes/pve/vzdump/extractconfig", volume=archive).data
    assert "name: web\n" in text
    assert "scsi0: thin:vm-100-disk-0" in text


def test_a_destroyed_vm_comes_back_with_its_data(pve: Client, archive: str) -> None:
    before = config(pve)
    pve.finish(pve.delete(VM))
    assert restore(pve, 100, archive) == "OK"
    after = config(pve)
    for key in ("name", "memory", "net0", "smbios1", "boot", "scsi1"):
        assert after[key] == before[key]
    assert after["vmgenid"] != before["vmgenid"]
    assert data_of(pve, 100) == "precious"


def test_a_disk_that_is_not_backed_up_does_not_come_back(pve: Client, archive: str) -> None:
    restore(pve, 101, archive)
    found = config(pve, 101)
    assert "scsi2" not in found
    assert found["ide2"] == "thin:vm-101-cloudinit,media=cdrom"


def test_it_can_come_back_elsewhere_under_another_name(pve: Client, archive: str) -> None:
    assert restore(pve, 101, archive, storage="thin", name="copy") == "OK"
    found = config(pve, 101)
    assert found["name"] == "copy"
    assert (found["scsi0"], found["scsi1"]) == (
        "thin:vm-101-disk-0,size=1G",
        "thin:vm-101-disk-1,size=2G",
    )
    assert data_of(pve, 101) == "precious"


def test_unique_makes_it_a_machine_of_its_own(pve: Client, archive: str) -> None:
    restore(pve, 101, archive, unique=1)
    one, two = config(pve, 100), config(pve, 101)
    assert two["net0"] != one["net0"]
    assert two["smbios1"] != one["smbios1"]


def test_over_an_existing_vm_it_needs_force(pve: Client, archive: str) -> None:
    said = pve.post(QEMU, vmid=100, archive=archive)
    assert said.refusal == (
        500,
        "unable to restore VM 100 - VM 100 already exists on node 'pve'",
    )
    pve.put(VM + "/config", name="changed", delete="scsi2")
    assert restore(pve, 100, archive, force=1) == "OK"
    assert config(pve)["name"] == "web"
    assert data_of(pve, 100) == "precious"
    assert len(volumes(pve, "thin", vmid=100)) == 2


def test_a_running_or_protected_vm_is_not_overwritten(pve: Client, archive: str) -> None:
    pve.put(VM + "/config", protection=1)
    said = pve.post(QEMU, vmid=100, archive=archive, force=1)
    assert said.refusal == (500, "unable to restore VM 100 - protection mode enabled")
    pve.put(VM + "/config", protection=0)
    power(pve, "start")
    assert pve.post(QEMU, vmid=100, archive=archive, force=1).status == 500
    assert status(pve)["status"] == "running"


def test_an_archive_that_is_not_there_shows_in_the_task(pve: Client) -> None:
    volid = "bak:backup/vzdump-qemu-100-2026_01_01-00_00_00.vma"
    assert restore(pve, 101, volid) == f"volume '{volid}' does not exist"
    assert pve.get(f"{QEMU}/101/config").status == 500


def test_a_containers_archive_is_no_vms(pve: Client) -> None:
    pve.sim.plant(vmid=200, type="lxc")
    pve.finish(pve.post("/nodes/pve/vzdump", vmid=200, storage="bak"))
    volid = pve.get("/nodes/pve/storage/bak/content", vmid=200).data[0]["volid"]
    ending = restore(pve, 201, volid)
    assert ending.startswith("ERROR: file '/srv/bak/dump/vzdump-lxc-200-")
    assert ending.endswith("does not look like a QemuServer vzdump backup")


def test_a_restore_can_start_what_it_made(pve: Client, archive: str) -> None:
    restore(pve, 101, archive, start=1)
    pve.sim.clock.advance(5)
    assert status(pve, 101)["status"] == "running"


def test_a_restore_that_is_stopped_leaves_nothing(pve: Client, archive: str) -> None:
    said = pve.post(QEMU, vmid=101, archive=archive)
    pve.delete(f"/nodes/pve/tasks/{said.data}")
    assert pve.finish(said) == "interrupted by signal"
    assert pve.get(f"{QEMU}/101/config").status == 500
    assert volumes(pve, "thin", vmid=101) == []
