"""The end of a VM (golden 10 seq 69 to 71 and 198; 11 seq 40 to 57)."""

from __future__ import annotations

from typing import Any

import pytest

from .client import Client
from .machine_room import DISK, QEMU, VM, config, create, login, power, volumes


@pytest.fixture
def pve() -> Client:
    """Root on a node where VM 100 stands."""
    client = login()
    create(client, name="web", scsi0="local:1,format=qcow2", ide2="local:cloudinit")
    return client


def destroy(client: Client, **params: Any) -> str:
    return client.finish(client.delete(VM, **params))


def exists(client: Client) -> bool:
    return client.get(VM + "/config").status == 200


def test_a_vm_goes_with_its_disks_and_its_cloudinit_drive(pve: Client) -> None:
    assert destroy(pve) == "OK"
    assert not exists(pve)
    assert volumes(pve, vmid=100) == []


def test_discs_stay(pve: Client) -> None:
    pve.put(VM + "/config", ide0="local:iso/debian.iso,media=cdrom")
    destroy(pve)
    assert "local:iso/debian.iso" in volumes(pve)


def test_a_running_vm_stays_and_there_is_no_force(pve: Client) -> None:
    power(pve, "start")
    refusal = (500, "VM 100 is running - destroy failed")
    assert pve.delete(VM).refusal == refusal
    assert pve.delete(VM, purge=1).refusal == refusal
    assert "force" in pve.delete(VM, force=1).errors


def test_protection_keeps_it(pve: Client) -> None:
    pve.put(VM + "/config", protection=1)
    assert pve.delete(VM).refusal == (500, "can't remove VM 100 - protection mode enabled")


def test_a_lock_shows_in_the_task_and_skiplock_passes_over_it(pve: Client) -> None:
    pve.put(VM + "/config", lock="backup")
    assert destroy(pve) == "VM is locked (backup)"
    assert exists(pve)
    assert destroy(pve, skiplock=1) == "OK"
    assert not exists(pve)


def test_high_availability_keeps_it_unless_purged(pve: Client) -> None:
    pve.post("/cluster/ha/resources", sid="vm:100", state="stopped")
    said = pve.delete(VM)
    assert said.reason == (
        "unable to remove VM 100 - used in HA resources and purge parameter not set."
    )
    gone = pve.delete(VM, purge=1)
    assert pve.finish(gone) == "OK"
    assert pve.log(gone.data)[0] == "purging VM 100 from related configurations.."
    assert pve.get("/cluster/ha/resources").data == []


def test_volumes_that_only_carry_its_number_go_when_asked(pve: Client) -> None:
    stray = "local:100/vm-100-disk-7.raw"
    pve.post("/nodes/pve/storage/local/content", vmid=100, filename="vm-100-disk-7.raw", size="1G")
    destroy(pve)
    assert volumes(pve, vmid=100) == [stray]
    create(pve)
    destroy(pve, **{"destroy-unreferenced-disks": 1})
    assert volumes(pve, vmid=100) == []


def test_disks_that_snapshots_name_go_too(pve: Client) -> None:
    pve.put(VM + "/config", scsi1="thin:1", delete="ide2")
    pve.put(VM + "/config", delete="scsi0")
    pve.put(VM + "/config", delete="unused0")
    pve.finish(pve.post(VM + "/snapshot", snapname="s1"))
    pve.put(VM + "/config", delete="scsi1")
    assert destroy(pve) == "OK"
    assert volumes(pve, "thin") == []


def test_a_disk_that_cannot_be_removed_is_left_with_a_warning(pve: Client) -> None:
    pve.put(VM + "/config", scsi1="thin:1")
    pve.put("/storage/thin", disable=1)
    said = pve.delete(VM)
    assert pve.finish(said) == "WARNINGS: 1"
    assert "Could not remove disk 'thin:vm-100-disk-0'" in pve.log(said.data)[0]
    assert not exists(pve)
    pve.put("/storage/thin", delete="disable")
    assert volumes(pve, "thin") == ["thin:vm-100-disk-0"]


def test_a_volume_of_another_guest_stays(pve: Client) -> None:
    create(pve, 101, scsi0=DISK)
    assert pve.finish(pve.delete(f"{QEMU}/101")) == "OK"
    assert config(pve)["scsi0"] == f"{DISK},size=1G"
    assert DISK in volumes(pve)


def test_who_may_see_it_loses_that_with_it(pve: Client) -> None:
    pve.post("/access/users", userid="joe@pve", password="secret123")
    pve.put("/access/acl", path="/vms/100", users="joe@pve", roles="PVEAuditor")
    destroy(pve)
    assert [row for row in pve.get("/access/acl").data if row["path"] == "/vms/100"] == []


def test_a_pool_forgets_it(pve: Client) -> None:
    pve.post("/pools", poolid="p")
    pve.put("/pools", poolid="p", vms="100")
    destroy(pve)
    assert pve.get("/pools", poolid="p").data[0]["members"] == []


def test_without_quorum_the_disks_go_and_the_configuration_stays(pve: Client) -> None:
    said = pve.delete(VM)
    pve.sim.state.settings["quorate"] = False
    assert "Permission denied" in pve.finish(said)
    assert exists(pve)
    assert volumes(pve, vmid=100) == []
