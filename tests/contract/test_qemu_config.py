"""VMs change: at once, when they stop, or not at all (golden 10 seq 87 to 98, 193; 11 seq 40)."""

from __future__ import annotations

import pytest

from .client import Client
from .machine_room import (
    DISK,
    GIB,
    QEMU,
    VM,
    config,
    create,
    login,
    pending,
    power,
    status,
    volumes,
)

MISMATCH = "checksum mismatch (file change by other user?)"


@pytest.fixture
def pve() -> Client:
    """Root on a node where VM 100 stands."""
    client = login()
    create(
        client,
        name="web",
        memory=64,
        cores=1,
        scsi0="local:1,format=qcow2",
        net0="virtio,bridge=vmbr0",
    )
    return client


@pytest.fixture
def running(pve: Client) -> Client:
    """The same with VM 100 running."""
    assert power(pve, "start") == "OK"
    return pve


def put(client: Client, **params: object) -> tuple[int, str]:
    return client.put(VM + "/config", **params).refusal


def test_a_stopped_vm_takes_everything_at_once(pve: Client) -> None:
    assert put(pve, memory=128, cores=2, name="renamed") == (200, "OK")
    found = config(pve)
    assert (found["memory"], found["cores"], found["name"]) == ("128", 2, "renamed")
    assert "pending" not in pending(pve)["memory"]


def test_a_running_vm_takes_its_name_and_keeps_memory_and_processors_waiting(
    running: Client,
) -> None:
    put(running, memory=128, cores=2, name="renamed")
    rows = pending(running)
    assert (rows["memory"]["value"], rows["memory"]["pending"]) == ("64", "128")
    assert (rows["cores"]["value"], rows["cores"]["pending"]) == (1, 2)
    assert rows["name"] == {"key": "name", "value": "renamed"}


def test_reads_show_what_is_expected_and_with_current_what_runs(running: Client) -> None:
    put(running, memory=128)
    assert config(running)["memory"] == "128"
    assert config(running, current=1)["memory"] == "64"
    assert status(running)["maxmem"] == 64 << 20


def test_what_waits_is_done_when_the_vm_stops(running: Client) -> None:
    put(running, cores=2)
    power(running, "stop")
    assert config(running, current=1)["cores"] == 2
    assert status(running)["cpus"] == 2


def test_what_waits_can_be_taken_back(running: Client) -> None:
    put(running, memory=128, cores=2)
    assert put(running, revert="memory") == (200, "OK")
    rows = pending(running)
    assert "pending" not in rows["memory"]
    assert rows["cores"]["pending"] == 2


def test_a_removal_can_wait_too(running: Client) -> None:
    put(running, delete="cores")
    assert pending(running)["cores"] == {"key": "cores", "value": 1, "delete": 1}
    assert "cores" not in config(running)
    power(running, "stop")
    assert "cores" not in pending(running)


def test_a_task_makes_the_change_that_was_posted(pve: Client) -> None:
    said = pve.post(VM + "/config", memory=96, cipassword="very secret")
    assert pve.finish(said) == "OK"
    assert pve.log(said.data)[0] == "update VM 100: -memory 96 -cipassword <hidden>"
    assert config(pve)["memory"] == "96"


@pytest.mark.parametrize(
    ("params", "refusal", "errors"),
    [
        ({}, (500, "no options specified"), {}),
        ({"memory": 96, "digest": "x"}, (500, MISMATCH), {}),
        (
            {"delete": "bogus"},
            (400, "Parameter verification failed."),
            {"delete": "unknown option 'bogus'"},
        ),
        ({"scsi1": "nope:1"}, (500, "storage 'nope' does not exist"), {}),
        (
            {"scsi1": "local:100/vm-100-disk-9.raw"},
            (500, "volume 'local:100/vm-100-disk-9.raw' does not exist"),
            {},
        ),
    ],
    ids=["nothing", "another-version", "unknown-key", "no-storage", "no-volume"],
)
def test_a_wrong_change_changes_nothing(
    pve: Client, params: dict[str, str], refusal: tuple[int, str], errors: dict[str, str]
) -> None:
    before = config(pve)
    said = pve.put(VM + "/config", **params)
    assert said.refusal == refusal
    assert said.errors == errors
    assert config(pve) == before
    assert volumes(pve, vmid=100) == [DISK]


def test_the_right_digest_is_accepted(pve: Client) -> None:
    assert put(pve, memory=96, digest=config(pve)["digest"]) == (200, "OK")


def test_a_disk_can_be_added_detached_and_attached_again(pve: Client) -> None:
    put(pve, scsi1="thin:2")
    volid = "thin:vm-100-disk-0"
    assert config(pve)["scsi1"] == f"{volid},size=2G"
    put(pve, delete="scsi1")
    assert config(pve)["unused0"] == volid
    put(pve, virtio0=volid)
    found = config(pve)
    assert found["virtio0"] == f"{volid},size=2G"
    assert "unused0" not in found


def test_a_boot_disk_that_is_detached_leaves_the_boot_order(pve: Client) -> None:
    assert config(pve)["boot"] == "order=scsi0;net0"
    put(pve, delete="scsi0")
    found = config(pve)
    assert (found["boot"], found["unused0"]) == ("order=net0", DISK)
    assert status(pve)["maxdisk"] == 0


def test_a_disk_that_is_replaced_stays_unused(pve: Client) -> None:
    put(pve, scsi0="thin:1")
    found = config(pve)
    assert (found["scsi0"], found["unused0"]) == ("thin:vm-100-disk-0,size=1G", DISK)


@pytest.mark.parametrize("how", ["delete", "unlink"])
def test_removing_an_unused_disk_destroys_it(pve: Client, how: str) -> None:
    put(pve, delete="scsi0")
    if how == "delete":
        put(pve, delete="unused0")
    else:
        assert pve.put(VM + "/unlink", idlist="unused0").refusal == (200, "OK")
    assert "unused0" not in config(pve)
    assert volumes(pve, vmid=100) == []


def test_unlink_detaches_and_with_force_destroys(pve: Client) -> None:
    put(pve, scsi1="thin:1")
    pve.put(VM + "/unlink", idlist="scsi0")
    pve.put(VM + "/unlink", idlist="scsi1", force=1)
    assert config(pve)["unused0"] == DISK
    assert volumes(pve, "thin", vmid=100) == []


def test_unlink_of_what_is_not_there_changes_nothing(pve: Client) -> None:
    assert pve.put(VM + "/unlink", idlist="unused7").refusal == (200, "OK")


def test_a_disc_can_be_changed_and_taken_out_while_the_vm_runs(pve: Client) -> None:
    put(pve, ide2="none,media=cdrom")
    power(pve, "start")
    put(pve, ide2="local:iso/debian.iso,media=cdrom")
    assert config(pve, current=1)["ide2"] == "local:iso/debian.iso,media=cdrom,size=700M"
    put(pve, cdrom="none")
    assert config(pve, current=1)["ide2"] == "none,media=cdrom"


@pytest.mark.parametrize(
    ("key", "value", "waits"),
    [("scsi1", "thin:1", False), ("sata0", "thin:1", True), ("net1", "virtio", False)],
    ids=["scsi", "sata", "net"],
)
def test_what_can_be_plugged_is_plugged(running: Client, key: str, value: str, waits: bool) -> None:
    assert put(running, **{key: value}) == (200, "OK")
    assert ("pending" in pending(running)[key]) is waits


def test_nothing_is_plugged_where_hotplug_is_off(running: Client) -> None:
    put(running, hotplug="0")
    put(running, net1="virtio,bridge=vmbr0")
    assert "pending" in pending(running)["net1"]


def test_a_card_that_cannot_be_plugged_is_refused_and_waits(running: Client) -> None:
    said = running.put(VM + "/config", net1="virtio,bridge=vmbr9")
    assert said.refusal == (400, "Parameter verification failed.")
    assert said.errors == {"net1": "hotplug problem - bridge 'vmbr9' does not exist\n"}
    assert "vmbr9" in pending(running)["net1"]["pending"]


def test_memory_can_be_plugged_where_the_vm_is_made_for_it(pve: Client) -> None:
    put(pve, hotplug="memory", numa=1)
    power(pve, "start")
    put(pve, memory=128)
    assert status(pve)["maxmem"] == 128 << 20


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"delete": "scsi0"}, "can't remove drive 'scsi0' - protection mode enabled"),
        ({"delete": "unused0"}, "can't remove unused disk 'unused0' - protection mode enabled"),
    ],
    ids=["disk", "unused"],
)
def test_protection_keeps_disks(pve: Client, params: dict[str, str], reason: str) -> None:
    put(pve, protection=1)
    assert put(pve, **params) == (500, reason)
    assert put(pve, protection=0) == (200, "OK")


def test_a_lock_refuses_changes_until_root_passes_over_it(pve: Client) -> None:
    assert put(pve, lock="backup") == (200, "OK")
    assert put(pve, name="x") == (500, "VM is locked (backup)")
    assert put(pve, delete="lock", skiplock=1) == (200, "OK")
    assert put(pve, name="x") == (200, "OK")


def test_only_roots_ticket_passes_over_locks(pve: Client) -> None:
    token = pve.post("/access/users/root@pam/token/ci", privsep=0).data
    said = pve.as_token(token["full-tokenid"], token["value"]).put(
        VM + "/config", delete="lock", skiplock=1
    )
    assert said.errors == {"skiplock": "Only root may use this option."}


def test_a_password_is_never_shown(pve: Client) -> None:
    put(pve, cipassword="very secret")
    assert config(pve)["cipassword"] == "**********"
    assert pending(pve)["cipassword"]["value"] == "**********"
    guest = pve.sim.guest(100)
    assert guest is not None
    assert "very secret" not in str(guest.config)


@pytest.mark.parametrize("key", ["description", "tags"])
def test_an_empty_text_removes_it(pve: Client, key: str) -> None:
    put(pve, **{key: "x"})
    put(pve, **{key: ""})
    assert not config(pve).get(key, "").strip()


def test_a_vm_that_is_not_there_is_no_configuration_file(pve: Client) -> None:
    missing = (500, "Configuration file 'nodes/pve/qemu-server/4999.conf' does not exist")
    for path in ("/config", "/pending", "/status/current", "/snapshot", "/cloudinit", ""):
        assert pve.get(f"{QEMU}/4999{path}").refusal == missing
    assert pve.put(f"{QEMU}/4999/config", memory=96).refusal == missing
    assert pve.post(f"{QEMU}/4999/config", memory=96).refusal == missing


@pytest.mark.parametrize(
    ("disk", "feature", "able"),
    [
        ("local:1,format=qcow2", "snapshot", 1),
        ("local:1", "snapshot", 0),
        ("thin:1", "snapshot", 1),
        ("local:1", "clone", 1),
        ("local:1", "copy", 1),
    ],
    ids=["qcow2", "raw", "thin", "clone", "copy"],
)
def test_what_disks_can_do_shows_beforehand(
    pve: Client, disk: str, feature: str, able: int
) -> None:
    create(pve, 101, scsi0=disk)
    found = pve.get(f"{QEMU}/101/feature", feature=feature).data
    assert found == {"hasFeature": able, "nodes": ["pve"]}


def test_without_quorum_nothing_changes(pve: Client) -> None:
    pve.sim.state.settings["quorate"] = False
    said = pve.put(VM + "/config", memory=96)
    assert said.status == 500
    assert said.reason.startswith(
        "unable to open file '/etc/pve/nodes/pve/qemu-server/100.conf.tmp"
    )
    assert pve.post(QEMU, vmid=104).refusal == (500, "cluster not ready - no quorum?")
    assert config(pve)["memory"] == "64"
    assert status(pve)["maxdisk"] == GIB
