"""Tasks of a node: lists with filters, status, log, stopping (golden 03 seq 132 to 143)."""

from __future__ import annotations

from typing import Any, Final

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.lists import split
from pytest_proxmox.simulator.routes.cluster import owns, visible_tasks
from pytest_proxmox.simulator.state import Task
from pytest_proxmox.simulator.wire import PveError, Reply
from pytest_proxmox.values import Upid

FAMILY: Final = Family()

DEFAULT_LIMIT: Final = 50
_TASK: Final = "/nodes/{node}/tasks/{upid}"
_NO_FILE: Final = "unable to open file - No such file or directory"


def _parse(call: Call) -> Upid:
    try:
        return Upid.parse(call.params["upid"])
    except InvalidValue as exc:
        raise PveError.fields({"upid": "unable to parse worker upid"}) from exc


def _known(call: Call, privilege: str) -> Task | None:
    """Return the task, or None where there is none of that id.

    It must be the caller's own, or one of a node that the caller may look after.
    """
    task = call.sim.tasks.get(call.params["upid"])
    if task is None:
        upid = _parse(call)
        task = call.sim.tasks.get(str(upid))  # its numbers may be written in another way
        if task is None and upid.user in (call.auth.name, call.auth.userid):
            return None
    if task is None or not owns(call, task):
        call.require(f"/nodes/{call.node}", privilege)
    return task


def _find(call: Call, privilege: str) -> Task:
    task = _known(call, privilege)
    if task is None or task.node != call.node:
        raise PveError.fields({"upid": "no such task"})
    return task


@FAMILY.get("/nodes/{node}/tasks")
def list_tasks(call: Call) -> Any:
    """Return the tasks of a node that the caller may see, the newest first.

    Tasks that run are in ``active`` and ``all`` only; an empty list comes without ``total``.
    """
    given = call.params
    found = [task for task in visible_tasks(call) if _wanted(call, task)]
    if not found:
        return []
    if given.get("source") == "all":
        found.sort(key=lambda task: task.running, reverse=True)
    start = given.get("start", 0)
    limit = given.get("limit", DEFAULT_LIMIT) or len(found)
    return Reply([_row(task) for task in found[start : start + limit]], {"total": len(found)})


def _wanted(call: Call, task: Task) -> bool:
    given = call.params
    source = given.get("source", "archive")
    if task.node != call.node:
        return False
    if source != "all" and task.running != (source == "active"):
        return False
    return _matches(given, task) and _has_status(given, task)


def _matches(given: dict[str, Any], task: Task) -> bool:
    return (
        ("vmid" not in given or task.id == str(given["vmid"]))
        and ("typefilter" not in given or task.type == given["typefilter"])
        and str(given.get("userfilter", "")).lower() in _user(task).lower()
        and task.starttime >= given.get("since", task.starttime)
        and task.starttime <= given.get("until", task.starttime)
    )


def _user(task: Task) -> str:
    return f"{task.user}!{task.tokenid}" if task.tokenid else task.user


def _has_status(given: dict[str, Any], task: Task) -> bool:
    kind = status_kind(task)
    if given.get("errors") and kind not in ("error", "unknown"):
        return False
    wanted = split(given.get("statusfilter"))
    return not wanted or kind in wanted


def status_kind(task: Task) -> str:
    """Return ``ok``, ``warning``, ``error``, or ``unknown`` for one that runs or was killed."""
    text = task.exitstatus
    if text is None or text == "unexpected status":
        return "unknown"
    if text.startswith("WARNINGS: "):
        return "warning"
    return "ok" if text == "OK" else "error"


def _base(task: Task) -> dict[str, Any]:
    found: dict[str, Any] = {
        "upid": task.upid,
        "node": task.node,
        "pid": task.pid,
        "pstart": task.pstart,
        "starttime": task.starttime,
        "type": task.type,
        "id": task.id,
        "user": task.user,
    }
    return found | ({"tokenid": task.tokenid} if task.tokenid else {})


def _row(task: Task) -> dict[str, Any]:
    if task.running:
        return _base(task) | {"status": "RUNNING", "saved": "0"}
    return _base(task) | {"endtime": task.endtime, "status": task.exitstatus}


@FAMILY.get(_TASK)
def index(call: Call) -> list[dict[str, str]]:
    """Return what can be read of a task."""
    return [{"name": "log"}, {"name": "status"}]


@FAMILY.get(_TASK + "/status")
def status(call: Call) -> dict[str, Any]:
    """Return whether a task runs, and how it ended."""
    task = _find(call, "Sys.Audit")
    if task.running:
        return _base(task) | {"status": "running"}
    return _base(task) | {"status": "stopped", "exitstatus": task.exitstatus}


@FAMILY.get(_TASK + "/log")
def log(call: Call) -> Reply:
    """Return lines of a task's log; one that is not there answers too (golden README, 17)."""
    task = _known(call, "Sys.Audit")
    if task is None:
        return Reply([{"n": 1, "t": _NO_FILE}], {"total": 1})
    lines = [{"n": number, "t": text} for number, text in enumerate(task.log or ("no content",), 1)]
    start = call.params.get("start", 0)
    limit = call.params.get("limit", DEFAULT_LIMIT) or len(lines)
    return Reply(lines[start : start + limit], {"total": len(lines)})


@FAMILY.delete(_TASK)
def stop(call: Call) -> None:
    """Stop a task politely: it cleans up behind itself; one that has ended stays as it is."""
    call.sim.tasks.stop(_find(call, "Sys.Modify").upid)
