"""The cluster as a whole: resources, free VMIDs, status, options, log, membership."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.lists import split
from pytest_proxmox.simulator.quorum import cluster_lock, is_online, is_quorate
from pytest_proxmox.simulator.schema import properties
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.state import Node, Task

FAMILY: Final = Family()

OPTIONS: Final = "cluster.options"
FIRST_VMID: Final = 100
LAST_VMID: Final = 1_000_000
LOG_LINES: Final = 50  # how many lines the log shows where nobody says
_DEFAULT_OPTIONS: Final = {"description": "", "mac_prefix": "BC:24:11", "allowed-tags": []}

# Options that are written as property strings and read as objects.
_OBJECTS: Final = (
    "crs",
    "ha",
    "migration",
    "next-id",
    "notify",
    "replication",
    "tag-style",
    "u2f",
    "user-tag-access",
    "webauthn",
)


def may_of(call: Call) -> Any:
    """Return a function that says whether the caller may, None where the caller may everything."""
    if call.sim.access.is_unlimited(call.auth):
        return None
    return lambda path, privilege: call.may(path, privilege)


@FAMILY.get("/cluster/resources")
def resources(call: Call) -> Any:
    """Return what there is in the cluster, as far as the caller may see it."""
    return call.sim.census.resources(may_of(call), call.params.get("type"))


@FAMILY.get("/cluster/nextid")
def next_id(call: Call) -> str:
    """Return a free VMID, or the one asked for if it is free; nothing is reserved."""
    taken = call.state.guests
    asked = call.params.get("vmid")
    if asked is not None:
        if asked in taken:
            raise PveError.fields({"vmid": f"VM {asked} already exists"})
        return str(asked)
    bounds = _option(call, "next-id", {})
    lower = int(bounds.get("lower", FIRST_VMID))
    upper = int(bounds.get("upper", LAST_VMID))
    for vmid in range(lower, upper + 1):
        if vmid not in taken:
            return str(vmid)
    raise PveError(500, f"unable to get any free VMID in range [{lower}, {upper}]")


@FAMILY.get("/cluster/status")
def status(call: Call) -> list[dict[str, Any]]:
    """Return the nodes, and the cluster if they are in one."""
    nodes = [_node_status(call, node) for node in call.state.nodes.values()]
    name = call.state.settings["cluster.name"]
    if not name:
        return nodes
    cluster = {
        "id": "cluster",
        "type": "cluster",
        "name": name,
        "nodes": len(nodes),
        "quorate": int(is_quorate(call.sim)),
        "version": len(nodes),
    }
    return [cluster, *nodes]


def _node_status(call: Call, node: Node) -> dict[str, Any]:
    return {
        "id": f"node/{node.name}",
        "type": "node",
        "name": node.name,
        "ip": node.address.partition("/")[0],
        "level": "",
        "local": int(node.name == call.sim.local_node),
        "nodeid": node.nodeid if call.state.settings["cluster.name"] else 0,
        "online": int(is_online(call.sim, node.name)),
    }


# --- options ------------------------------------------------------------------------------------


def _stored(call: Call) -> dict[str, Any]:
    return dict(call.state.settings.get(OPTIONS, {}))


def _option(call: Call, name: str, default: Any) -> Any:
    value = _stored(call).get(name)
    return default if value is None else _as_object(call, name, value)


def _as_object(call: Call, name: str, text: Any) -> Any:
    method = call.sim.schema.method("/cluster/options", "PUT")
    if method is None or name not in _OBJECTS:
        return text
    return properties(method, name, str(text))


@FAMILY.get("/cluster/options")
def read_options(call: Call) -> dict[str, Any]:
    """Return the options: all of them to auditors, what a web page needs to everybody."""
    stored = _stored(call)
    if not call.may("/", "Sys.Audit"):
        public = ("console", "tag-style", "allowed-tags", "consent-text")
        stored = {key: value for key, value in stored.items() if key in public}
        shown: dict[str, Any] = {"allowed-tags": []}
    else:
        shown = dict(_DEFAULT_OPTIONS)
    registered = split(stored.pop("registered-tags", ""))
    if registered:
        shown |= {"registered-tags": registered, "allowed-tags": registered}
    return shown | {name: _as_object(call, name, value) for name, value in stored.items()}


@FAMILY.put("/cluster/options")
def update_options(call: Call) -> None:
    """Set and delete options."""
    given = {key: value for key, value in call.params.items() if key != "delete"}
    removed = split(call.params.get("delete"))
    with cluster_lock(call.sim, "datacenter_cfg", "update datacenter config failed"):
        kept = {key: value for key, value in _stored(call).items() if key not in removed}
        call.state.settings[OPTIONS] = kept | given


# --- tasks and log ------------------------------------------------------------------------------


def visible_tasks(call: Call) -> list[Task]:
    """Return the tasks of all nodes that the caller may see, the newest first."""
    found = [t for t in call.state.tasks.values() if owns(call, t) or _audits(call, t.node)]
    return sorted(found, key=lambda task: (task.starttime, task.pstart), reverse=True)


def owns(call: Call, task: Task) -> bool:
    """Return whether a task is the caller's: a user's tokens work for the user too."""
    if task.user != call.auth.userid:
        return False
    return call.auth.tokenid is None or call.auth.tokenid == task.tokenid


def _audits(call: Call, node: str) -> bool:
    return call.may(f"/nodes/{node}", "Sys.Audit")


@FAMILY.get("/cluster/tasks")
def recent_tasks(call: Call) -> list[dict[str, Any]]:
    """Return the latest tasks; without quorum nodes do not hear of each other's."""
    if not is_quorate(call.sim):
        return []
    return [_task_line(task) for task in visible_tasks(call)[:25]]


def _task_line(task: Task) -> dict[str, Any]:
    line: dict[str, Any] = {
        "upid": task.upid,
        "node": task.node,
        "type": task.type,
        "id": task.id,
        "user": task.user,
        "starttime": task.starttime,
        "saved": "0" if task.running else "1",
    }
    if task.tokenid:
        line["tokenid"] = task.tokenid
    if not task.running:
        line |= {"endtime": task.endtime, "status": task.exitstatus}
    return line


@FAMILY.get("/cluster/log")
def log(call: Call) -> list[dict[str, Any]]:
    """Return what the nodes logged of tasks, the newest first."""
    lines = []
    for task in visible_tasks(call):
        if not task.running:
            text = f"end task {task.upid} {task.exitstatus}"
            priority = 6 if task.exitstatus == "OK" else 3
            lines.append(_log_line(task, int(task.endtime or 0), text, priority))
        lines.append(_log_line(task, task.starttime, f"starting task {task.upid}", 6))
    lines.sort(key=lambda line: line["time"], reverse=True)
    for number, line in enumerate(reversed(lines), 1):
        line["uid"] = number
    return lines[: call.params.get("max", LOG_LINES)]


def _log_line(task: Task, moment: int, text: str, priority: int) -> dict[str, Any]:
    return {
        "node": task.node,
        "pid": task.pid,
        "pri": priority,
        "tag": "pvedaemon",
        "time": moment,
        "user": task.user,
        "msg": text,
    }


# --- membership ---------------------------------------------------------------------------------


@FAMILY.get("/cluster/config/nodes")
def config_nodes(call: Call) -> list[dict[str, Any]]:
    """Return the nodes as corosync knows them; none outside a cluster."""
    if not call.state.settings["cluster.name"]:
        return []
    return [
        {
            "node": node.name,
            "name": node.name,
            "nodeid": str(node.nodeid),
            "quorum_votes": "1",
            "ring0_addr": node.address.partition("/")[0],
        }
        for node in call.state.nodes.values()
    ]


@FAMILY.get("/cluster/config/totem")
def config_totem(call: Call) -> dict[str, Any]:
    """Return corosync's ``totem`` section; an empty one outside a cluster."""
    name = call.state.settings["cluster.name"]
    if not name:
        return {}
    return {
        "cluster_name": name,
        "config_version": str(len(call.state.nodes)),
        "interface": {"0": {"linknumber": "0"}},
        "ip_version": "ipv4-6",
        "secauth": "on",
        "version": "2",
    }


@FAMILY.get("/cluster/config/apiversion", checked=True)
def config_apiversion(call: Call) -> int:
    """Return the version of the join protocol."""
    return 1
