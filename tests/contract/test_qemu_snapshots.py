"""Snapshots of VMs (golden 10 seq 102 to 138); with memory as the documentation has it."""

from __future__ import annotations

from typing import Any

import pytest

from .client import Client
from .machine_room import QEMU, VM, config, create, login, power, status, volumes


@pytest.fixture
def pve() -> Client:
    """Root on a node where VM 100 stands, on a storage that can snapshot."""
    client = login()
    create(client, name="web", memory=64, scsi0="thin:1", description="mine", agent=1)
    return client


def take(client: Client, name: str, vmid: int = 100, **params: object) -> str:
    return client.finish(client.post(f"{QEMU}/{vmid}/snapshot", snapname=name, **params))


def roll_back(client: Client, name: str, **params: object) -> str:
    return client.finish(client.post(f"{VM}/snapshot/{name}/rollback", **params))


def snapshots(client: Client) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in client.get(VM + "/snapshot").data}


def test_snapshots_are_listed_with_their_parents(pve: Client) -> None:
    assert take(pve, "one", description="first") == "OK"
    assert take(pve, "two") == "OK"
    rows = snapshots(pve)
    assert list(rows) == ["one", "two", "current"]
    assert (rows["one"]["description"], rows["one"]["vmstate"]) == ("first\n", 0)
    assert (rows["two"]["parent"], rows["current"]["parent"]) == ("one", "two")
    assert rows["current"]["running"] == 0


def test_a_snapshot_keeps_the_configuration(pve: Client) -> None:
    take(pve, "one")
    pve.put(VM + "/config", memory=128)
    kept = pve.get(VM + "/snapshot/one/config").data
    assert (kept["memory"], kept["scsi0"]) == ("64", "thin:vm-100-disk-0,size=1G")
    assert config(pve, snapshot="one")["memory"] == "64"


def test_a_snapshots_words_can_be_changed(pve: Client) -> None:
    take(pve, "one")
    assert pve.put(VM + "/snapshot/one/config", description="new").status == 200
    assert snapshots(pve)["one"]["description"] == "new\n"


def test_what_can_be_done_with_a_snapshot_is_listed(pve: Client) -> None:
    take(pve, "one")
    below = pve.get(VM + "/snapshot/one").data
    assert {row["cmd"] for row in below} == {"config", "rollback"}


@pytest.mark.parametrize(
    ("vmid", "name", "ending"),
    [
        (100, "one", "snapshot name 'one' already used"),
        (101, "one", "snapshot feature is not available"),
        (102, "one", "you can't take a snapshot if it's a template"),
    ],
    ids=["taken", "raw-on-dir", "template"],
)
def test_what_cannot_be_snapshotted_shows_in_the_task(
    pve: Client, vmid: int, name: str, ending: str
) -> None:
    take(pve, "one")
    create(pve, 101, scsi0="local:1")
    create(pve, 102, scsi0="thin:1")
    pve.finish(pve.post(f"{QEMU}/102/template"))
    assert take(pve, name, vmid) == ending


def test_current_is_no_name_for_a_snapshot(pve: Client) -> None:
    refusal = (500, "unable to use snapshot name 'current' (reserved name)")
    assert pve.post(VM + "/snapshot", snapname="current").refusal == refusal


def test_a_rollback_brings_back_configuration_and_data(pve: Client) -> None:
    power(pve, "start")
    pve.post(VM + "/agent/file-write", file="/etc/app", content="one")
    take(pve, "one")
    pve.post(VM + "/agent/file-write", file="/etc/app", content="two")
    pve.put(VM + "/config", name="renamed")
    assert roll_back(pve, "one", start=1) == "OK"
    pve.sim.clock.advance(5)
    found = config(pve)
    assert (found["name"], found["parent"], found["description"]) == ("web", "one", "mine")
    assert pve.get(VM + "/agent/file-read", file="/etc/app").data["content"] == "one"


def test_a_rollback_makes_it_another_generation(pve: Client) -> None:
    take(pve, "one")
    before = config(pve)["vmgenid"]
    roll_back(pve, "one")
    assert config(pve)["vmgenid"] != before


def test_a_rollback_without_memory_stops_the_vm(pve: Client) -> None:
    take(pve, "one")
    power(pve, "start")
    roll_back(pve, "one")
    assert status(pve)["status"] == "stopped"


def test_a_disk_that_came_after_the_snapshot_stays_unused(pve: Client) -> None:
    take(pve, "one")
    pve.put(VM + "/config", scsi1="thin:1")
    roll_back(pve, "one")
    found = config(pve)
    assert "scsi1" not in found
    assert found["unused0"] == "thin:vm-100-disk-1"


def test_memory_is_kept_on_a_volume_and_comes_back(pve: Client) -> None:
    power(pve, "start")
    assert take(pve, "live", vmstate=1) == "OK"
    state = "thin:vm-100-state-live"
    assert snapshots(pve)["live"]["vmstate"] == 1
    assert pve.get(VM + "/snapshot/live/config").data["vmstate"] == state
    assert state in volumes(pve, "thin")
    assert "vmstate" not in config(pve)
    power(pve, "stop")
    roll_back(pve, "live")
    assert status(pve)["status"] == "running"


def test_a_stopped_vm_has_no_memory_to_keep(pve: Client) -> None:
    take(pve, "cold", vmstate=1)
    assert snapshots(pve)["cold"]["vmstate"] == 0
    assert volumes(pve, "thin", vmid=100) == ["thin:vm-100-disk-0"]


def test_a_deleted_snapshot_takes_its_memory_along(pve: Client) -> None:
    power(pve, "start")
    take(pve, "live", vmstate=1)
    assert pve.finish(pve.delete(VM + "/snapshot/live")) == "OK"
    assert list(snapshots(pve)) == ["current"]
    assert volumes(pve, "thin", vmid=100) == ["thin:vm-100-disk-0"]


def test_children_of_a_deleted_snapshot_become_its_parents(pve: Client) -> None:
    for name in ("one", "two", "three"):
        take(pve, name)
    pve.finish(pve.delete(VM + "/snapshot/two"))
    rows = snapshots(pve)
    assert rows["three"]["parent"] == "one"
    assert "two" not in rows


@pytest.mark.parametrize("action", ["delete", "rollback"])
def test_a_snapshot_that_is_not_there_shows_in_the_task(pve: Client, action: str) -> None:
    ending = "snapshot 'nope' does not exist"
    if action == "rollback":
        assert roll_back(pve, "nope") == ending
    else:
        assert pve.finish(pve.delete(VM + "/snapshot/nope")) == ending
    refusal = (500, ending)
    assert pve.get(VM + "/snapshot/nope/config").refusal == refusal


def test_while_it_is_taken_the_vm_is_locked(pve: Client) -> None:
    said = pve.post(VM + "/snapshot", snapname="one")
    guest = pve.sim.guest(100)
    assert guest is not None
    assert guest.lock == "snapshot"
    assert pve.finish(said) == "OK"
    assert "lock" not in config(pve)


def test_a_snapshot_that_is_stopped_leaves_neither_lock_nor_memory(pve: Client) -> None:
    power(pve, "start")
    said = pve.post(VM + "/snapshot", snapname="live", vmstate=1)
    pve.delete(f"/nodes/pve/tasks/{said.data}")
    assert pve.finish(said) == "interrupted by signal"
    assert "lock" not in config(pve)
    assert volumes(pve, "thin", vmid=100) == ["thin:vm-100-disk-0"]
