"""Each fact of the narrative recordings 04 and 04b: what happens while something else runs."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_proxmox.simulator.simulator import Simulator

from .client import Client, Said

TEMPLATE = "local:vztmpl/alpine-3.18-default_20230607_amd64.tar.xz"
LXC = "/nodes/pve/lxc"
LOCKED = "can't lock file '/run/lock/lxc/pve-config-100.lock' - got timeout"
LONG = {"bwlimit": 50}  # the template's 3 MB take about a minute


def create(client: Client, vmid: int = 100, **more: Any) -> Said:
    return client.post(LXC, vmid=vmid, ostemplate=TEMPLATE, rootfs="local-lvm:1", **more)


def made(client: Client, vmid: int = 100, **more: Any) -> None:
    assert client.finish(create(client, vmid, **more)) == "OK"


def running(client: Client, kind: str) -> list[str]:
    rows = client.get("/nodes/pve/tasks", source="active").data
    return [row["id"] for row in rows if row["type"] == kind]


@pytest.fixture
def creating(pve: Client) -> Client:
    """Root, while container 100 is being created for about a minute."""
    assert create(pve, hostname="slow", **LONG).status == 200
    return pve


# --- while a create runs (04 seq 1-8, 04b) ------------------------------------------------------


def test_the_configuration_is_a_lock_and_nothing_else(creating: Client) -> None:
    config = creating.get(f"{LXC}/100/config").data
    assert config.pop("digest")
    assert config == {"lock": "create"}


def test_the_pending_list_has_the_lock_and_the_digest(creating: Client) -> None:
    keys = {row["key"] for row in creating.get(f"{LXC}/100/pending").data}
    assert keys == {"lock", "digest"}


def test_the_status_has_the_default_name_and_no_swap(creating: Client) -> None:
    status = creating.get(f"{LXC}/100/status/current").data
    assert (status["name"], status["lock"], status["maxswap"]) == ("CT100", "create", 0)


def test_the_vmid_is_taken_from_the_request_on(creating: Client) -> None:
    assert creating.get("/cluster/nextid").data == "101"
    assert creating.get("/cluster/nextid", vmid=100).errors == {"vmid": "VM 100 already exists"}


def test_a_second_create_is_refused(creating: Client) -> None:
    text = "CT 100 already exists on node 'pve'"
    assert create(creating).reason.endswith(text)


def test_the_task_shows_as_running_only_among_the_active_ones(creating: Client) -> None:
    active = creating.get("/nodes/pve/tasks", source="active").data
    assert [(row["type"], row["status"]) for row in active] == [("vzcreate", "RUNNING")]
    assert creating.get("/nodes/pve/tasks").data == []


@pytest.mark.parametrize("verb", ["stop", "shutdown"])
def test_what_does_not_run_yet_cannot_be_stopped(creating: Client, verb: str) -> None:
    assert creating.post(f"{LXC}/100/status/{verb}").refusal == (500, "CT 100 not running")


def test_there_is_no_snapshot_but_the_present(creating: Client) -> None:
    listed = creating.get(f"{LXC}/100/snapshot").data
    assert [row["name"] for row in listed] == ["current"]


def test_a_change_of_the_configuration_waits_ten_seconds_and_fails(creating: Client) -> None:
    assert creating.put(f"{LXC}/100/config", memory=128).refusal == (500, LOCKED)


def test_making_it_a_template_waits_ten_seconds_and_fails(creating: Client) -> None:
    assert creating.post(f"{LXC}/100/template").refusal == (500, LOCKED)


def test_cloning_it_waits_ten_seconds_and_fails(creating: Client) -> None:
    assert creating.post(f"{LXC}/100/clone", newid=110).refusal == (500, LOCKED)


@pytest.mark.parametrize("what", ["status/start", "snapshot"])
def test_a_task_on_it_waits_ten_seconds_and_dies(creating: Client, what: str) -> None:
    params = {"snapname": "first"} if what == "snapshot" else {}
    said = creating.post(f"{LXC}/100/{what}", **params)
    assert creating.finish(said) == LOCKED
    assert creating.log(said.data)[0] == "trying to acquire lock..."


def test_a_backup_of_it_ends_in_job_errors(creating: Client) -> None:
    assert creating.finish(creating.post("/nodes/pve/vzdump", vmid=100)) == "job errors"


def test_its_volume_is_there_already(creating: Client) -> None:
    volumes = creating.get("/nodes/pve/storage/local-lvm/content", vmid=100).data
    assert [row["volid"] for row in volumes] == ["local-lvm:vm-100-disk-0"]


def test_it_can_be_put_into_a_pool(creating: Client) -> None:
    creating.post("/pools", poolid="gp")
    assert creating.put("/pools/gp", vms="100").status == 200
    assert [m["vmid"] for m in creating.get("/pools/gp").data["members"]] == [100]


# --- a short create is waited for (04 seq 9, 15) ------------------------------------------------


def test_a_start_right_after_a_short_create_waits_and_works(pve: Client) -> None:
    create(pve)
    started = pve.post(f"{LXC}/100/status/start")
    assert pve.finish(started) == "OK"
    assert pve.log(started.data) == ["trying to acquire lock...", " OK", "TASK OK"]


def test_a_change_right_after_a_short_create_waits_and_works(pve: Client) -> None:
    create(pve)
    assert pve.put(f"{LXC}/100/config", memory=128).status == 200
    assert pve.get(f"{LXC}/100/config").data["memory"] == 128


# --- workers that are stopped or killed (04 seq 33-66) ------------------------------------------


def test_a_create_that_is_stopped_cleans_up(creating: Client) -> None:
    upid = creating.get("/nodes/pve/tasks", source="active").data[0]["upid"]
    assert creating.delete(f"/nodes/pve/tasks/{upid}").status == 200
    assert creating.get(f"{LXC}/100/config").status == 500
    assert creating.get("/nodes/pve/storage/local-lvm/content", vmid=100).data == []


def test_stopping_a_task_that_has_ended_changes_nothing(creating: Client) -> None:
    upid = creating.get("/nodes/pve/tasks", source="active").data[0]["upid"]
    creating.delete(f"/nodes/pve/tasks/{upid}")
    assert creating.delete(f"/nodes/pve/tasks/{upid}").status == 200


@pytest.fixture
def killed(pve: Client, sim: Simulator) -> Client:
    """Root, after the worker that created container 100 was killed."""
    sim.faults.kill_worker("vzcreate")
    assert pve.finish(create(pve)) == "unexpected status"
    sim.faults.clear()
    return pve


def test_a_killed_create_leaves_its_lock_and_its_volume(killed: Client) -> None:
    assert killed.get(f"{LXC}/100/config").data["lock"] == "create"
    volumes = killed.get("/nodes/pve/storage/local-lvm/content", vmid=100).data
    assert [row["volid"] for row in volumes] == ["local-lvm:vm-100-disk-0"]


@pytest.mark.parametrize("params", [{}, {"force": 1}], ids=["plain", "force"])
def test_what_a_killed_create_left_cannot_be_deleted(
    killed: Client, params: dict[str, int]
) -> None:
    assert killed.delete(f"{LXC}/100", **params).refusal == (500, "CT is locked (create)")


def test_a_containers_lock_cannot_be_cleared_through_the_api(killed: Client) -> None:
    said = killed.put(f"{LXC}/100/config", delete="lock")
    assert said.refusal == (500, "CT is locked (create)")
    assert "skiplock" in killed.put(f"{LXC}/100/config", delete="lock", skiplock=1).errors


def test_the_log_of_a_killed_worker_has_no_last_line(killed: Client) -> None:
    upid = killed.get("/nodes/pve/tasks", vmid=100).data[0]["upid"]
    assert not any(line.startswith("TASK") for line in killed.log(upid))


# --- two at once (04 seq 67-135) ----------------------------------------------------------------


def test_of_two_creates_of_one_vmid_one_wins(pve: Client) -> None:
    first, second = create(pve), create(pve)
    assert (first.status, second.status) == (200, 500)
    assert second.reason == "unable to create CT 100 - CT 100 already exists on node 'pve'"


def test_nextid_reserves_nothing(pve: Client) -> None:
    assert {pve.get("/cluster/nextid").data for _ in range(4)} == {"100"}


def test_a_second_start_waits_for_the_first_and_works(pve: Client) -> None:
    made(pve)
    first, second = (pve.post(f"{LXC}/100/status/start") for _ in range(2))
    assert (pve.finish(first), pve.finish(second)) == ("OK", "OK")


def test_a_second_delete_finds_nothing_left(pve: Client) -> None:
    made(pve)
    first, second = (pve.delete(f"{LXC}/100") for _ in range(2))
    assert pve.finish(first) == "OK"
    missing = "Configuration file 'nodes/pve/lxc/100.conf' does not exist"
    assert pve.finish(second) == missing


def test_delete_refuses_a_running_container_unless_forced(pve: Client) -> None:
    made(pve, start=1)
    for row in pve.get("/nodes/pve/tasks", source="all", vmid=100).data:
        pve.get(f"/nodes/pve/tasks/{row['upid']}/status")
    refused = pve.delete(f"{LXC}/100")
    assert refused.refusal == (500, "unable to destroy CT 100 - container is running")
    forced = pve.delete(f"{LXC}/100", force=1)
    assert pve.finish(forced) == "OK"
    assert pve.log(forced.data)[0] == "forced to stop CT 100 before destroying!"


@pytest.fixture
def backing_up(pve: Client) -> Client:
    """Root, while a slow backup of container 100 runs."""
    made(pve)
    said = pve.post("/nodes/pve/vzdump", vmid=100, storage="local", bwlimit=50, compress="0")
    assert said.status == 200
    return pve


def test_a_backup_locks_the_configuration(backing_up: Client) -> None:
    assert backing_up.get(f"{LXC}/100/config").data["lock"] == "backup"


def test_a_start_during_a_backup_fails_in_its_task(backing_up: Client) -> None:
    started = backing_up.post(f"{LXC}/100/status/start")
    assert backing_up.finish(started) == "CT is locked (backup)"


def test_delete_and_change_during_a_backup_are_refused(backing_up: Client) -> None:
    locked = (500, "CT is locked (backup)")
    assert backing_up.delete(f"{LXC}/100", force=1, purge=1).refusal == locked
    assert backing_up.put(f"{LXC}/100/config", memory=77).refusal == locked


def test_a_second_backup_waits_for_the_first_and_works(backing_up: Client) -> None:
    second = backing_up.post("/nodes/pve/vzdump", vmid=100, storage="local")
    assert len(running(backing_up, "vzdump")) == 2
    assert backing_up.finish(second) == "OK"
    assert len(backing_up.get("/nodes/pve/storage/local/content", vmid=100).data) == 2


def test_a_backup_that_is_stopped_leaves_neither_lock_nor_archive(backing_up: Client) -> None:
    upid = backing_up.get("/nodes/pve/tasks", source="active").data[0]["upid"]
    backing_up.delete(f"/nodes/pve/tasks/{upid}")
    assert "lock" not in backing_up.get(f"{LXC}/100/config").data
    assert backing_up.get("/nodes/pve/storage/local/content", vmid=100).data == []
