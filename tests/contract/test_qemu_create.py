"""VMs come to be: defaults, drives of every kind, refusals (golden 10 seq 5 to 46, 190 to 205)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .client import Client
from .machine_room import DISK, GIB, QEMU, VM, config, create, login, status, volumes

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.fixture
def pve() -> Client:
    """Root on a node with storages of every ability."""
    return login()


def test_a_vm_of_which_nothing_is_said_gets_an_identity_and_nothing_to_boot_from(
    pve: Client,
) -> None:
    assert create(pve) == "OK"
    found = config(pve)
    assert set(found) == {"boot", "digest", "meta", "smbios1", "vmgenid"}
    assert found["boot"] == " "
    assert re.fullmatch(f"uuid={UUID}", found["smbios1"])
    assert re.fullmatch(UUID, found["vmgenid"])
    assert re.fullmatch(r"creation-qemu=[\d.]+,ctime=\d+", found["meta"])


def test_every_vm_has_an_identity_of_its_own(pve: Client) -> None:
    create(pve, 100)
    create(pve, 101)
    for key in ("smbios1", "vmgenid"):
        assert config(pve, 100)[key] != config(pve, 101)[key]


def test_values_are_kept_in_the_form_that_pve_writes(pve: Client) -> None:
    create(
        pve,
        name="web",
        memory=1024,
        cores=2,
        net0="virtio,bridge=vmbr0",
        tags="b;A,c",
        description="d",
        onboot=1,
    )
    found = config(pve)
    assert (found["memory"], found["cores"], found["onboot"]) == ("1024", 2, 1)
    assert (found["tags"], found["description"]) == ("a;b;c", "d")
    assert re.fullmatch(r"virtio=BC:24:11(:[0-9A-F]{2}){3},bridge=vmbr0", found["net0"])
    assert found["boot"] == "order=net0"


@pytest.mark.parametrize(
    ("given", "entry", "size"),
    [
        ("local:0.05,format=qcow2", f"{DISK},size=52429K", 53_687_296),
        ("local:2", "local:100/vm-100-disk-0.raw,size=2G", 2 * GIB),
        ("thin:1,discard=on", "thin:vm-100-disk-0,discard=on,size=1G", GIB),
    ],
    ids=["qcow2", "raw", "thin"],
)
def test_a_disk_is_made_where_and_how_it_was_asked_for(
    pve: Client, given: str, entry: str, size: int
) -> None:
    create(pve, scsi0=given)
    assert config(pve)["scsi0"] == entry
    assert status(pve)["maxdisk"] == size
    assert volumes(pve, entry.partition(":")[0], vmid=100) == [entry.partition(",")[0]]


def test_the_first_disk_cd_and_network_are_what_it_boots_from(pve: Client) -> None:
    create(
        pve,
        net1="virtio",
        net0="virtio",
        ide2="local:iso/debian.iso,media=cdrom",
        virtio1="thin:1",
        scsi1="thin:1",
        sata0="thin:1",
    )
    assert config(pve)["boot"] == "order=scsi1;ide2;net0"


def test_a_cd_shows_the_size_of_its_image(pve: Client) -> None:
    create(pve, cdrom="local:iso/debian.iso")
    assert config(pve)["ide2"] == "local:iso/debian.iso,media=cdrom,size=700M"


def test_an_empty_drive_stays_empty(pve: Client) -> None:
    create(pve, ide2="none,media=cdrom")
    assert config(pve)["ide2"] == "none,media=cdrom"


def test_firmware_and_tpm_disks_have_sizes_of_their_own(pve: Client) -> None:
    create(
        pve,
        bios="ovmf",
        efidisk0="thin:1,efitype=4m,pre-enrolled-keys=1",
        tpmstate0="thin:1,version=v2.0",
        scsi0="thin:8",
    )
    found = config(pve)
    assert found["efidisk0"] == "thin:vm-100-disk-0,efitype=4m,pre-enrolled-keys=1,size=4M"
    assert found["scsi0"] == "thin:vm-100-disk-1,size=8G"
    assert found["tpmstate0"] == "thin:vm-100-disk-2,size=4M,version=v2.0"


def test_firmware_on_a_dir_storage_takes_what_it_needs(pve: Client) -> None:
    create(pve, efidisk0="local:1,efitype=4m")
    assert config(pve)["efidisk0"] == "local:100/vm-100-disk-0.raw,efitype=4m,size=528K"


def test_a_cloudinit_drive_has_a_fixed_name(pve: Client) -> None:
    create(pve, ide2="local:cloudinit")
    assert config(pve)["ide2"] == "local:100/vm-100-cloudinit.qcow2,media=cdrom"
    assert volumes(pve, vmid=100) == ["local:100/vm-100-cloudinit.qcow2"]


@pytest.mark.parametrize(
    "source",
    ["local:import/debian.qcow2", "/var/lib/vz/images/import/debian.qcow2"],
    ids=["volume", "path"],
)
def test_an_imported_disk_has_the_size_of_its_image(pve: Client, source: str) -> None:
    if source.startswith("/"):
        source = pve.get("/nodes/pve/storage/local/content/import%2Fdebian.qcow2").data["path"]
    assert create(pve, scsi0=f"thin:0,import-from={source}") == "OK"
    assert config(pve)["scsi0"] == "thin:vm-100-disk-0,size=3G"


def test_another_vms_disk_can_be_imported(pve: Client) -> None:
    create(pve, 100, scsi0="local:2,format=qcow2")
    create(pve, 101, scsi0=f"thin:0,import-from={DISK}")
    assert config(pve, 101)["scsi0"] == "thin:vm-101-disk-0,size=2G"


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        (
            {"ide2": "local:iso/nope.iso,media=cdrom"},
            "volume 'local:iso/nope.iso' does not exist",
        ),
        (
            {"scsi0": "local:1", "scsi1": "local:100/vm-100-disk-9.qcow2"},
            "volume 'local:100/vm-100-disk-9.qcow2' does not exist",
        ),
        (
            {"scsi0": "thin:0,import-from=local:import/nope.raw"},
            "volume 'local:import/nope.raw' does not exist",
        ),
        ({"scsi0": "thin:1,format=qcow2"}, "unsupported format 'qcow2'"),
    ],
    ids=["no-iso", "no-volume", "no-source", "no-such-format"],
)
def test_what_is_missing_shows_in_the_task_and_leaves_nothing(
    pve: Client, params: dict[str, Any], reason: str
) -> None:
    assert create(pve, **params) == f"unable to create VM 100 - {reason}"
    assert pve.get(QEMU).data == []
    assert volumes(pve, vmid=100) == []
    assert pve.get("/cluster/nextid", vmid=100).data == "100"


@pytest.mark.parametrize(
    ("params", "refusal", "errors"),
    [
        ({"scsi0": "nope:1"}, (500, "storage 'nope' does not exist"), {}),
        (
            {"scsi0": "bak:1"},
            (400, "Parameter verification failed."),
            {"storage": "storage 'bak' does not support vm images"},
        ),
        (
            {"hostname": "x"},
            (400, "Parameter verification failed."),
            {
                "hostname": "property is not defined in schema and the schema does not allow"
                " additional properties"
            },
        ),
    ],
    ids=["no-storage", "wrong-content", "a-containers-parameter"],
)
def test_a_wrong_request_makes_no_task(
    pve: Client, params: dict[str, str], refusal: tuple[int, str], errors: dict[str, str]
) -> None:
    said = pve.post(QEMU, vmid=100, **params)
    assert said.refusal == refusal
    assert said.errors == errors
    assert pve.get("/nodes/pve/tasks", source="all").data == []


def test_a_taken_vmid_is_refused_by_both_kinds(pve: Client) -> None:
    create(pve)
    taken = "VM 100 already exists on node 'pve'"
    assert pve.post(QEMU, vmid=100).refusal == (500, f"unable to create VM 100 - {taken}")
    said = pve.post("/nodes/pve/lxc", vmid=100, ostemplate="local:vztmpl/x.tar.gz")
    assert said.refusal == (500, taken)


def test_while_a_vm_is_made_only_its_lock_is_there(pve: Client) -> None:
    said = pve.post(QEMU, vmid=100, scsi0="local:0,import-from=local:import/debian.qcow2")
    found = config(pve)
    assert {key: value for key, value in found.items() if key != "digest"} == {"lock": "create"}
    assert pve.finish(said) == "OK"
    assert "lock" not in config(pve)


def test_a_create_that_is_stopped_leaves_nothing(pve: Client) -> None:
    said = pve.post(QEMU, vmid=100, scsi0="local:0,import-from=local:import/debian.qcow2")
    pve.delete(f"/nodes/pve/tasks/{said.data}")
    assert pve.finish(said) == "interrupted by signal"
    assert pve.get(VM + "/config").status == 500
    assert volumes(pve, vmid=100) == []


@pytest.mark.parametrize(("start", "expected"), [(1, "running"), (0, "stopped")], ids=str)
def test_start_starts_it_when_it_is_made(pve: Client, start: int, expected: str) -> None:
    create(pve, name="web", start=start)
    pve.sim.clock.advance(5)
    assert status(pve)["status"] == expected


def test_a_vm_joins_the_pool_that_it_was_made_in(pve: Client) -> None:
    pve.post("/pools", poolid="p")
    create(pve, pool="p")
    members = pve.get("/pools", poolid="p").data[0]["members"]
    assert [member["vmid"] for member in members] == [100]


def test_ha_managed_hands_it_to_high_availability(pve: Client) -> None:
    create(pve, **{"ha-managed": 1})
    assert [row["sid"] for row in pve.get("/cluster/ha/resources").data] == ["vm:100"]
    assert status(pve)["ha"]["managed"] == 1


def test_a_vm_is_listed_with_its_figures(pve: Client) -> None:
    create(pve, name="web", memory=64, cores=2, sockets=2, scsi0="local:1", tags="x")
    row: dict[str, Any] = pve.get(QEMU).data[0]
    shown = ("vmid", "name", "status", "cpus", "maxmem", "maxdisk", "tags")
    assert [row[key] for key in shown] == [100, "web", "stopped", 4, 64 << 20, GIB, "x"]
    assert "qmpstatus" not in row
    assert pve.get(QEMU, full=1).data[0]["qmpstatus"] == "stopped"


def test_what_lies_below_a_vm_is_listed(pve: Client) -> None:
    create(pve)
    names = {row["subdir"] for row in pve.get(VM).data}
    assert {"config", "status", "snapshot", "agent", "cloudinit"} <= names
    below = {row["subdir"] for row in pve.get(VM + "/status").data}
    assert {"current", "start", "stop", "suspend"} <= below
