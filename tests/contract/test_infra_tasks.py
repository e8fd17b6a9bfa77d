"""Tasks of a node: lists, filters, logs, stopping, and who sees which."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from pytest_proxmox.simulator import guests
from pytest_proxmox.simulator.identity import Auth
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World

from .client import Client, Said

ROOT = Auth("root@pam")
REBOOT = {"vmid": 100, "skiplock": False, "timeout": 60}
GHOST = "UPID:pve:00000001:00000001:6B01F2DD:vzcreate:1:root@pam:"


def task(upid: str, part: str = "") -> str:
    return f"/nodes/{upid.split(':')[1]}/tasks/{quote(upid, safe='')}{part}"


def listed(client: Client, **params: Any) -> list[tuple[str, str]]:
    return [(row["type"], row["status"]) for row in client.get("/nodes/pve/tasks", **params).data]


@pytest.fixture
def ct(pve: Client, sim: Simulator) -> Client:
    """Root on a node where container 100 was started and stopped, and 101 could not start."""
    sim.plant(vmid=100)
    sim.plant(vmid=101, config={"lock": "backup"})
    for path in ("100/status/start", "101/status/start", "100/status/stop"):
        pve.finish(pve.post(f"/nodes/pve/lxc/{path}"))
    return pve


def slow(client: Client) -> Said:
    """Start a task that does not end by itself, because nobody polls it."""
    return client.post("/nodes/pve/lxc/100/status/start")


def test_finished_tasks_are_listed_the_newest_first(ct: Client) -> None:
    assert listed(ct) == [
        ("vzstop", "OK"),
        ("vzstart", "CT is locked (backup)"),
        ("vzstart", "OK"),
    ]


def test_a_list_says_how_many_there_are_unless_there_are_none(ct: Client) -> None:
    assert ct.get("/nodes/pve/tasks", limit=1).body["total"] == 3
    assert ct.get("/nodes/pve/tasks", typefilter="nosuch").body == {"data": []}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"errors": 1}, ["101"]),
        ({"statusfilter": "error"}, ["101"]),
        ({"statusfilter": "ok,warning"}, ["100", "100"]),
        ({"vmid": 101}, ["101"]),
        ({"typefilter": "vzstop"}, ["100"]),
        ({"userfilter": "root"}, ["100", "101", "100"]),
        ({"userfilter": "joe"}, []),
        ({"start": 1, "limit": 1}, ["101"]),
        ({"limit": 0}, ["100", "101", "100"]),
        ({"source": "active"}, []),
        ({"since": 2**33}, []),
        ({"until": 1}, []),
    ],
    ids=lambda value: "-".join(map(str, value.items())) if isinstance(value, dict) else "",
)
def test_lists_are_filtered(ct: Client, params: dict[str, Any], expected: list[str]) -> None:
    assert [row["id"] for row in ct.get("/nodes/pve/tasks", **params).data] == expected


def test_a_running_task_is_in_the_active_list_only(pve: Client) -> None:
    upid = pve.post("/nodes/pve/apt/update").data
    [row] = pve.get("/nodes/pve/tasks", source="active").data
    assert pve.get("/nodes/pve/tasks").data == []
    assert (row["upid"], row["status"], row["saved"]) == (upid, "RUNNING", "0")


def test_a_status_tells_how_a_task_ended(ct: Client) -> None:
    [row] = ct.get("/nodes/pve/tasks", vmid=101).data
    status = ct.get(task(row["upid"], "/status")).data
    assert (status["status"], status["exitstatus"]) == ("stopped", "CT is locked (backup)")
    assert "endtime" not in status


def test_a_log_is_read_in_pages(pve: Client) -> None:
    made = pve.post("/nodes/pve/apt/update")
    assert pve.finish(made) == "OK"
    lines = ["starting apt-get update", "Reading package lists...", "TASK OK"]
    assert pve.log(made.data) == lines
    page = pve.get(task(made.data, "/log"), start=1, limit=1)
    assert page.body == {"data": [{"n": 2, "t": lines[1]}], "total": 3}
    assert pve.get(task(made.data, "/log"), start=500).body == {"data": [], "total": 3}


def test_what_can_be_read_of_a_task_is_listed(ct: Client) -> None:
    [row] = ct.get("/nodes/pve/tasks", vmid=101).data
    assert ct.get(task(row["upid"])).data == [{"name": "log"}, {"name": "status"}]


def test_an_unknown_task_has_a_log_but_no_status(pve: Client) -> None:
    log = pve.get(task(GHOST, "/log"))
    assert log.body["data"] == [{"n": 1, "t": "unable to open file - No such file or directory"}]
    assert pve.get(task(GHOST, "/status")).errors == {"upid": "no such task"}
    assert pve.delete(task(GHOST)).errors == {"upid": "no such task"}


def test_what_is_no_upid_is_a_wrong_parameter(pve: Client) -> None:
    said = pve.get("/nodes/pve/tasks/UPID:bogus/status")
    assert said.errors == {"upid": "unable to parse worker upid"}


def test_a_stopped_task_ends_as_interrupted(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=100)
    upid = slow(pve).data
    assert pve.delete(task(upid)).body == {"data": None}
    assert pve.get(task(upid, "/status")).data["exitstatus"] == "interrupted by signal"
    assert pve.delete(task(upid)).status == 200


def test_the_cluster_lists_the_latest_tasks_of_all_nodes(cluster: Client) -> None:
    for number in (1, 2, 3):
        cluster.finish(cluster.post(f"/nodes/pve{number}/apt/update"))
    rows = cluster.get("/cluster/tasks").data
    assert sorted(row["node"] for row in rows) == ["pve1", "pve2", "pve3"]
    assert {(row["status"], row["saved"]) for row in rows} == {("OK", "1")}


# --- tasks that start or wait for others --------------------------------------------------------


def test_tasks_that_wait_for_one_guest_all_end(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=100, status="running")
    lock = guests.lock_file("lxc", 100)
    upids = [
        sim.tasks.start("pve", "vzreboot", "100", ROOT, args=REBOOT, lock=lock) for _ in range(3)
    ]
    sim.clock.advance(60)
    ended = [sim.tasks.get(upid) for upid in upids]
    assert [task.exitstatus for task in ended if task] == ["OK", "OK", "OK"]


def test_with_an_instant_clock_a_task_has_ended_with_what_it_started() -> None:
    instant = Simulator(World.preset("single"), clock="instant")
    pve = Client.login(instant)
    for vmid in (100, 101):
        instant.plant(vmid=vmid, config={"onboot": 1})
    assert pve.post("/nodes/pve/startall").status == 200
    assert listed(pve, source="active") == []
    assert sorted(listed(pve)) == [("startall", "OK"), ("vzstart", "OK"), ("vzstart", "OK")]


def test_a_worker_that_breaks_ends_and_frees_its_guest(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=100, status="running")
    lock = guests.lock_file("lxc", 100)
    with pytest.raises(KeyError):
        sim.tasks.start("pve", "vzreboot", "100", ROOT, args={"vmid": 100}, lock=lock)
    assert sim.tasks.holder(lock) is None
    [row] = pve.get("/nodes/pve/tasks").data
    assert row["status"] == "internal error: 'timeout'"


# --- who sees which -----------------------------------------------------------------------------


@pytest.fixture
def joe(pve: Client, sim: Simulator) -> Client:
    """A user that may run container 100 and nothing else."""
    sim.plant(vmid=100)
    pve.post("/access/users", userid="joe@pve", password="secret123")
    pve.put("/access/acl", path="/vms/100", users="joe@pve", roles="PVEVMUser")
    return pve.as_user("joe@pve")


def test_a_user_sees_its_own_tasks_only(pve: Client, joe: Client) -> None:
    roots = pve.post("/nodes/pve/lxc/100/status/start")
    pve.finish(roots)
    own = joe.post("/nodes/pve/lxc/100/status/stop")
    assert joe.finish(own) == "OK"
    assert [row["upid"] for row in joe.get("/nodes/pve/tasks").data] == [own.data]


@pytest.mark.parametrize(
    ("verb", "part", "privilege"),
    [("get", "/status", "Sys.Audit"), ("get", "/log", "Sys.Audit"), ("delete", "", "Sys.Modify")],
    ids=["status", "log", "stop"],
)
def test_the_tasks_of_others_are_for_those_who_look_after_the_node(
    pve: Client, joe: Client, verb: str, part: str, privilege: str
) -> None:
    upid = pve.post("/nodes/pve/lxc/100/status/start").data
    said = getattr(joe, verb)(task(upid, part))
    assert said.refusal == (403, f"Permission check failed (/nodes/pve, {privilege})")


def test_a_token_sees_its_own_tasks_and_its_user_sees_them_too(pve: Client, joe: Client) -> None:
    secret = pve.post("/access/users/joe@pve/token/ci", privsep=0).data["value"]
    token = joe.as_token("joe@pve!ci", secret)
    users = joe.post("/nodes/pve/lxc/100/status/start")
    joe.finish(users)
    tokens = token.post("/nodes/pve/lxc/100/status/stop")
    token.finish(tokens)
    [row] = token.get("/nodes/pve/tasks").data
    assert (row["upid"], row["user"], row["tokenid"]) == (tokens.data, "joe@pve", "ci")
    assert len(joe.get("/nodes/pve/tasks").data) == 2
    assert token.get(task(users.data, "/status")).status == 403
