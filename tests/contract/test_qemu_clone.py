"""Clones and templates of VMs (golden 10 seq 126 to 175; 11 seq 4 to 39)."""

from __future__ import annotations

import pytest

from .client import Client
from .machine_room import DISK, QEMU, VM, config, create, login, power, status, volumes

LOCKED = "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout"
BASE = "local:100/base-100-disk-0.qcow2"


@pytest.fixture
def pve() -> Client:
    """Root on a node where VM 100 stands."""
    client = login()
    create(
        client,
        name="src",
        memory=64,
        scsi0="local:1,format=qcow2",
        net0="virtio,bridge=vmbr0",
        tags="t",
        onboot=1,
        protection=1,
    )
    return client


@pytest.fixture
def template(pve: Client) -> Client:
    """The same with VM 100 a template."""
    assert pve.finish(pve.post(VM + "/template")) == "OK"
    return pve


def clone(client: Client, newid: int = 101, **params: object) -> str:
    return client.finish(client.post(VM + "/clone", newid=newid, **params))


def test_a_full_clone_has_what_its_source_has_and_an_identity_of_its_own(pve: Client) -> None:
    assert clone(pve, name="cl") == "OK"
    one, two = config(pve, 100), config(pve, 101)
    assert (two["name"], two["scsi0"]) == ("cl", "local:101/vm-101-disk-0.qcow2,size=1G")
    for key in ("memory", "tags", "onboot", "protection", "boot", "meta"):
        assert two[key] == one[key]
    for key in ("smbios1", "vmgenid", "net0"):
        assert two[key] != one[key]
    assert status(pve, 101)["status"] == "stopped"


def test_a_clone_without_a_name_is_a_copy(pve: Client) -> None:
    clone(pve)
    assert config(pve, 101)["name"] == "Copy-of-VM-src"


def test_a_clone_can_lie_elsewhere_in_another_format(pve: Client) -> None:
    clone(pve, storage="thin")
    clone(pve, 102, storage="local", format="raw")
    assert config(pve, 101)["scsi0"] == "thin:vm-101-disk-0,size=1G"
    assert config(pve, 102)["scsi0"] == "local:102/vm-102-disk-0.raw,size=1G"


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        ({"newid": 100}, (500, "unable to create VM 100: config file already exists")),
        ({"newid": 101, "storage": "nope"}, (500, "storage 'nope' does not exist")),
        ({"newid": 101, "storage": "bak"}, (400, "Parameter verification failed.")),
        (
            {"newid": 101, "full": 0},
            (500, f"Linked clone feature is not supported for '{DISK}' (scsi0)"),
        ),
        (
            {"newid": 101, "pool": "nope"},
            (403, "Permission check failed (pool 'nope' does not exist)"),
        ),
        ({"newid": 101, "snapname": "nope"}, (500, "snapshot 'nope' does not exist")),
        ({"newid": 101, "target": "pve9"}, (500, "no such cluster node 'pve9'")),
    ],
    ids=["taken", "no-storage", "wrong-content", "linked", "no-pool", "no-snapshot", "no-node"],
)
def test_what_cannot_be_cloned_is_refused(
    pve: Client, params: dict[str, object], refusal: tuple[int, str]
) -> None:
    assert pve.post(VM + "/clone", **params).refusal == refusal
    assert volumes(pve, vmid=101) == []


def test_clones_of_one_vm_run_side_by_side(pve: Client) -> None:
    said = [pve.post(VM + "/clone", newid=newid, full=1) for newid in (101, 102, 103)]
    assert [pve.finish(one) for one in said] == ["OK", "OK", "OK"]
    assert [row["vmid"] for row in pve.get(QEMU).data] == [100, 101, 102, 103]


def test_while_it_is_made_the_clone_is_locked_and_its_source_is_not(pve: Client) -> None:
    pve.put(VM + "/config", scsi1="thin:0,import-from=local:import/debian.qcow2")
    said = pve.post(VM + "/clone", newid=101, bwlimit=1024)
    assert config(pve, 101)["lock"] == "clone"
    assert "lock" not in config(pve, 100)
    assert pve.finish(said) == "OK"
    assert "lock" not in config(pve, 101)


@pytest.fixture
def long(pve: Client) -> Client:
    """The same while VM 100, with a disk that takes minutes to copy, is being cloned."""
    pve.put(VM + "/config", scsi1="thin:0,import-from=local:import/debian.qcow2")
    assert pve.post(VM + "/clone", newid=101, bwlimit=1024).status == 200
    return pve


def test_a_change_of_the_source_waits_for_a_short_clone(pve: Client) -> None:
    said = pve.post(VM + "/clone", newid=101)
    assert pve.put(VM + "/config", memory=128).status == 200
    listed = pve.get("/nodes/pve/tasks", typefilter="qmclone").data
    assert [(row["upid"], row["status"]) for row in listed] == [(said.data, "OK")]
    assert (config(pve)["memory"], config(pve, 101)["memory"]) == ("128", "64")


def test_a_change_of_the_source_does_not_wait_for_a_long_clone(long: Client) -> None:
    assert long.put(VM + "/config", memory=128).refusal == (500, LOCKED)
    assert long.finish(long.post(VM + "/config", memory=128)) == LOCKED
    assert power(long, "start") == LOCKED
    assert (config(long)["memory"], status(long)["status"]) == ("64", "stopped")


def test_a_start_of_the_source_waits_for_a_short_clone(pve: Client) -> None:
    copying = pve.post(VM + "/clone", newid=101)
    assert power(pve, "start") == "OK"
    assert pve.finish(copying) == "OK"
    assert (status(pve)["status"], status(pve, 101)["status"]) == ("running", "stopped")


def test_a_source_is_not_destroyed_under_its_clone(pve: Client) -> None:
    pve.put(VM + "/config", protection=0)
    copying = pve.post(VM + "/clone", newid=101)
    assert pve.finish(pve.delete(VM)) == "OK"
    assert pve.finish(copying) == "OK"
    assert volumes(pve, vmid=101) == ["local:101/vm-101-disk-0.qcow2"]


def test_a_clone_that_is_stopped_leaves_nothing(pve: Client) -> None:
    said = pve.post(VM + "/clone", newid=101)
    pve.delete(f"/nodes/pve/tasks/{said.data}")
    assert pve.finish(said) == "interrupted by signal"
    assert [row["vmid"] for row in pve.get(QEMU).data] == [100]
    assert volumes(pve, vmid=101) == []


def test_a_clone_of_a_missing_disk_fails_and_leaves_nothing(pve: Client) -> None:
    pve.finish(pve.delete(f"/nodes/pve/storage/local/content/{DISK}"))
    assert clone(pve) == f"clone failed: volume '{DISK}' does not exist"
    assert [row["vmid"] for row in pve.get(QEMU).data] == [100]


def test_a_clone_of_a_snapshot_has_what_was_there_then(pve: Client) -> None:
    pve.finish(pve.post(VM + "/snapshot", snapname="before"))
    pve.put(VM + "/config", memory=128)
    clone(pve, snapname="before")
    assert config(pve, 101)["memory"] == "64"
    assert "parent" not in config(pve, 101)


def test_a_clone_joins_its_pool(pve: Client) -> None:
    pve.post("/pools", poolid="p")
    clone(pve, pool="p")
    assert [m["vmid"] for m in pve.get("/pools", poolid="p").data[0]["members"]] == [101]


def test_unused_disks_are_not_cloned_and_discs_are_shared(pve: Client) -> None:
    pve.put(VM + "/config", protection=0)
    pve.put(VM + "/config", scsi1="thin:1", ide2="local:iso/debian.iso,media=cdrom")
    pve.put(VM + "/config", delete="scsi1")
    clone(pve)
    found = config(pve, 101)
    assert "unused0" not in found
    assert found["ide2"] == "local:iso/debian.iso,media=cdrom,size=700M"


def test_a_cloudinit_drive_is_made_afresh(pve: Client) -> None:
    pve.put(VM + "/config", ide2="thin:cloudinit")
    clone(pve)
    assert config(pve, 101)["ide2"] == "thin:vm-101-cloudinit,media=cdrom"
    assert volumes(pve, "thin", vmid=101) == ["thin:vm-101-cloudinit"]


# --- templates ----------------------------------------------------------------------------------


def test_a_template_has_bases_for_disks(template: Client) -> None:
    found = config(template)
    assert (found["template"], found["scsi0"]) == (1, f"{BASE},size=1G")
    assert volumes(template, vmid=100) == [BASE]
    assert status(template)["template"] == 1


def test_a_template_does_not_start(template: Client) -> None:
    assert power(template, "start") == "you can't start a vm if it's a template"


def test_a_linked_clone_names_its_base(template: Client) -> None:
    assert clone(template) == "OK"
    entry = f"{BASE}/101/vm-101-disk-0.qcow2"
    assert config(template, 101)["scsi0"] == f"{entry},size=1G"
    found = template.get(f"/nodes/pve/storage/local/content/{entry}").data
    assert found["path"] == "/var/lib/vz/images/101/vm-101-disk-0.qcow2"


def test_a_full_clone_of_a_template_stands_alone(template: Client) -> None:
    clone(template, full=1)
    assert config(template, 101)["scsi0"] == "local:101/vm-101-disk-0.qcow2,size=1G"
    template.put(VM + "/config", protection=0)
    assert template.finish(template.delete(VM)) == "OK"


@pytest.mark.parametrize("key", ["storage", "format"])
def test_a_linked_clone_lies_where_its_base_lies(template: Client, key: str) -> None:
    value = {"storage": "thin", "format": "raw"}[key]
    said = template.post(VM + "/clone", newid=101, full=0, **{key: value})
    assert said.errors == {key: f"parameter '{key}' not allowed for linked clones"}


def test_a_template_with_linked_clones_stays(template: Client) -> None:
    clone(template)
    template.put(VM + "/config", protection=0)
    still_used = f"base volume '{BASE}' is still in use by linked cloned"
    assert template.finish(template.delete(VM)) == still_used
    assert config(template)["template"] == 1
    template.put(f"{QEMU}/101/config", protection=0)
    template.finish(template.delete(f"{QEMU}/101"))
    assert template.finish(template.delete(VM)) == "OK"


def test_a_thin_base_may_go_before_its_clones(pve: Client) -> None:
    create(pve, 200, scsi0="thin:1")
    pve.finish(pve.post(f"{QEMU}/200/template"))
    pve.finish(pve.post(f"{QEMU}/200/clone", newid=201))
    assert config(pve, 201)["scsi0"] == "thin:vm-201-disk-0,size=1G"
    assert pve.finish(pve.delete(f"{QEMU}/200")) == "OK"


def test_a_running_vm_becomes_no_template(pve: Client) -> None:
    power(pve, "start")
    refusal = (500, "you can't convert a VM to template if VM is running")
    assert pve.post(VM + "/template").refusal == refusal


def test_a_vm_with_snapshots_becomes_no_template(pve: Client) -> None:
    pve.finish(pve.post(VM + "/snapshot", snapname="s1"))
    refusal = (500, "unable to create template, because VM contains snapshots")
    assert pve.post(VM + "/template").refusal == refusal


def test_a_template_becomes_no_template(template: Client) -> None:
    refusal = (500, "you can't convert a template to a template")
    assert template.post(VM + "/template").refusal == refusal
