"""A VM's configuration: drives, boot order, forms, privileges."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_proxmox.simulator import drives, hotplug, machines, rights
from pytest_proxmox.simulator.machines import Drive
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.state import Guest
from pytest_proxmox.simulator.world import World

KEYS = st.sampled_from(["ide0", "sata5", "scsi0", "scsi30", "virtio15"])
VOLIDS = st.builds(
    "{}:vm-{}-disk-{}".format, st.sampled_from(["thin", "local-lvm"]), *[st.integers(100, 999)] * 2
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "size": st.builds("{}G".format, st.integers(1, 99)),
        "discard": st.sampled_from(["on", "ignore"]),
        "backup": st.sampled_from([0, 1]),
        "cache": st.sampled_from(["none", "writeback"]),
    },
)


def guest(**config: Any) -> Guest:
    return Guest(100, "qemu", "pve", config)


@given(key=KEYS, volid=VOLIDS, options=OPTIONS)
def test_a_drive_reads_what_it_writes(key: str, volid: str, options: dict[str, Any]) -> None:
    drive = Drive(key, volid, options)
    assert Drive.read(key, drive.text()) == drive


def test_the_volume_comes_first_and_options_follow_by_name() -> None:
    drive = Drive.read("scsi0", "size=1G,discard=on,file=thin:vm-1-disk-0")
    assert drive.text() == "thin:vm-1-disk-0,discard=on,size=1G"


@pytest.mark.parametrize(
    ("text", "volid", "owned"),
    [
        ("thin:vm-1-disk-0", "thin:vm-1-disk-0", True),
        ("local:iso/x.iso,media=cdrom", "local:iso/x.iso", False),
        ("thin:vm-1-cloudinit,media=cdrom", "thin:vm-1-cloudinit", True),
        ("none,media=cdrom", None, False),
        ("/dev/sdb", None, False),
    ],
    ids=["disk", "disc", "cloudinit", "empty", "device"],
)
def test_a_drive_knows_its_volume_and_whose_it_is(
    text: str, volid: str | None, owned: bool
) -> None:
    drive = Drive.read("ide2", text)
    assert (drive.volid, drive.owned) == (volid, owned)


def test_an_entry_that_nobody_can_read_is_its_first_word() -> None:
    assert Drive.read("scsi0", "thin:x,nonsense=1") == Drive("scsi0", "thin:x", {})


def test_drives_are_in_order_of_their_numbers() -> None:
    config = {"scsi10": "thin:c", "scsi2": "thin:b", "ide0": "thin:a", "net0": "virtio"}
    assert [drive.key for drive in machines.drives(config)] == ["ide0", "scsi2", "scsi10"]


def test_all_volumes_of_its_own_are_found() -> None:
    config = {
        "scsi0": "thin:a",
        "ide2": "local:iso/x.iso,media=cdrom",
        "unused10": "thin:c",
        "unused2": "thin:b",
        "vmstate": "thin:d",
    }
    assert machines.volids(config) == ["thin:a", "thin:b", "thin:c", "thin:d"]


@pytest.mark.parametrize(
    ("config", "order"),
    [
        ({}, " "),
        ({"net0": "virtio"}, "order=net0"),
        ({"virtio0": "thin:a", "scsi0": "thin:b"}, "order=scsi0"),
        ({"ide2": "thin:vm-1-cloudinit,media=cdrom"}, " "),
        ({"efidisk0": "thin:a"}, " "),
    ],
    ids=["nothing", "network", "buses", "cloudinit", "firmware"],
)
def test_the_boot_order_is_what_can_be_booted(config: dict[str, str], order: str) -> None:
    assert machines.boot_order(config) == order


@pytest.mark.parametrize(
    ("boot", "key"),
    [("order=net0;scsi1", "scsi1"), ("order=net0", "scsi0"), (" ", "scsi0")],
    ids=["named", "not-named", "none"],
)
def test_the_boot_disk_is_the_first_in_order_or_the_first_there_is(boot: str, key: str) -> None:
    drive = machines.boot_disk({"boot": boot, "scsi0": "thin:a", "scsi1": "thin:b"})
    assert drive is not None
    assert drive.key == key


@pytest.mark.parametrize(
    ("key", "value", "privilege"),
    [
        ("ide2", "local:iso/x.iso,media=cdrom", "VM.Config.CDROM"),
        ("ide2", "thin:vm-1-disk-0", "VM.Config.Disk"),
        ("unused3", None, "VM.Config.Disk"),
        ("net12", None, "VM.Config.Network"),
        ("numa", 1, "VM.Config.CPU"),
        ("audio0", None, "VM.Config.HWType"),
        ("ipconfig3", None, "VM.Config.Cloudinit"),
        ("tags", "x", "VM.Config.Options"),
        ("freeze", 1, "VM.PowerMgmt"),
    ],
    ids=lambda value: str(value),
)
def test_each_key_needs_its_privilege(key: str, value: object, privilege: str) -> None:
    assert rights.privilege(key, value) == privilege


@pytest.mark.parametrize(
    ("agent", "enabled"),
    [("1", True), ("enabled=1,fstrim_cloned_disks=1", True), ("0", False), ("", False)],
    ids=["short", "long", "off", "none"],
)
def test_an_agent_is_enabled_or_not(agent: str, enabled: bool) -> None:
    assert machines.agent_enabled({"agent": agent}) is enabled


@pytest.mark.parametrize(
    ("config", "number"),
    [({}, 1), ({"cores": 2, "sockets": 2}, 4), ({"cores": 4, "vcpus": 3}, 3)],
    ids=["default", "product", "plugged"],
)
def test_processors_are_counted(config: dict[str, int], number: int) -> None:
    assert machines.cpus(config) == number


def test_given_hardware_ids_are_kept_and_missing_ones_made() -> None:
    sim = Simulator(World.preset("single"))
    made = machines.identity(sim, {"smbios1": "serial=eA==,base64=1", "vmgenid": "0"})
    assert made["smbios1"].startswith("base64=1,serial=eA==,uuid=")
    assert made["vmgenid"] == "0"


@pytest.mark.parametrize(
    ("gib", "size"), [("0.05", 53_687_296), ("1", 1 << 30), (8, 8 << 30)], ids=str
)
def test_sizes_are_rounded_up_to_whole_kib(gib: str, size: int) -> None:
    assert drives.gib_to_bytes(gib) == size


# --- what waits ---------------------------------------------------------------------------------


def test_a_change_back_to_what_runs_no_longer_waits() -> None:
    waiting = hotplug.postpone(guest(cores=1), "cores", 2)
    assert waiting.pending == {"cores": 2}
    assert hotplug.postpone(waiting, "cores", 1).pending == {}


def test_a_change_takes_the_place_of_a_removal_that_waits() -> None:
    waiting = hotplug.postpone_removal(guest(cores=1), "cores")
    assert waiting.pending == {"delete": ("cores",)}
    assert hotplug.postpone(waiting, "cores", 2).pending == {"cores": 2}


def test_what_is_expected_is_what_is_there_when_all_is_done() -> None:
    waiting = hotplug.postpone_removal(guest(cores=1, name="x"), "cores")
    waiting = hotplug.postpone(waiting, "memory", "64")
    sim = Simulator(World.preset("single"))
    assert hotplug.expected(waiting) == {"name": "x", "memory": "64"}
    assert hotplug.apply_pending(sim, waiting).config == {"name": "x", "memory": "64"}
