"""High availability: which guests it manages, groups, rules, and its status (golden 08, 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import guests
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.identity import Auth
from pytest_proxmox.simulator.quorum import cluster_lock, is_online, is_quorate
from pytest_proxmox.simulator.records import (
    Record,
    Registry,
    check_digest,
    digest_of,
    serve,
    without,
)
from pytest_proxmox.simulator.state import Guest, Task
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()

DISARMED: Final = "ha.disarmed"  # the setting that holds how managed guests are left alone
_RESOURCE: Final = "/cluster/ha/resources/{sid}"
_KINDS: Final = {"ct": "lxc", "vm": "qemu"}
_NOT_KEPT: Final = ("sid", "type", "digest", "delete", "purge")
_INTERNAL: Final = ("since",)  # when the manager was told, which nobody is shown
_STATES: Final = {"enabled": "started"}  # other names for the same
_REQUESTS: Final = {
    "start": ("started", {"lxc": "vzstart", "qemu": "qmstart"}),
    "stop": ("stopped", {"lxc": "vzstop", "qemu": "qmstop"}),
    "shutdown": ("stopped", {"lxc": "vzshutdown", "qemu": "qmshutdown"}),
}


def _sid(call: Call) -> str:
    """Return a resource's full name: a bare VMID is looked up."""
    text = str(call.params["sid"])
    if ":" in text:
        return text
    guest = call.state.guests.get(int(text))
    kind = call.params.get("type") or ("vm" if guest and guest.kind == "qemu" else "ct")
    return f"{kind}:{text}"


def guest_of(sim: Simulator, sid: str) -> Guest | None:
    """Return the guest that a resource is, or None where it is gone."""
    kind, _, vmid = sid.partition(":")
    guest = sim.state.guests.get(int(vmid))
    return guest if guest is not None and guest.kind == _KINDS.get(kind) else None


def _require(call: Call) -> Record:
    sid = _sid(call)
    if sid not in call.state.ha:
        raise PveError(500, f"no such resource '{sid}'")
    found: Record = call.state.ha[sid]
    return found


def _view(sid: str, resource: Record) -> dict[str, Any]:
    shown = {key: value for key, value in resource.items() if key not in _INTERNAL}
    digest = digest_of(shown)
    return {
        "sid": sid,
        "type": sid.partition(":")[0],
        "state": "started",
        **shown,
        "digest": digest,
    }


@FAMILY.get("/cluster/ha/resources")
def list_resources(call: Call) -> list[dict[str, Any]]:
    """Return the managed guests."""
    kind = call.params.get("type")
    found = [_view(sid, resource) for sid, resource in sorted(call.state.ha.items())]
    return [entry for entry in found if kind in (None, entry["type"])]


@FAMILY.post("/cluster/ha/resources")
def create_resource(call: Call) -> None:
    """Let high availability manage a guest."""
    sid = _sid(call)
    if guest_of(call.sim, sid) is None:
        raise PveError(500, f"unable to find guest of resource '{sid}'")
    given = {key: value for key, value in call.params.items() if key not in _NOT_KEPT}
    with cluster_lock(call.sim, "ha_resources_cfg", "create resource failed"):
        if sid in call.state.ha:
            raise PveError(500, f"resource ID '{sid}' already defined")
        call.state.ha[sid] = _normal(given) | {"since": call.sim.clock.now()}


def _normal(given: dict[str, Any]) -> dict[str, Any]:
    state = given.get("state", "started")
    return given | {"state": _STATES.get(state, state)}


@FAMILY.get(_RESOURCE)
def read_resource(call: Call) -> dict[str, Any]:
    """Return how a guest is managed."""
    return _view(_sid(call), _require(call))


@FAMILY.put(_RESOURCE)
def update_resource(call: Call) -> None:
    """Change how a guest is managed."""
    with cluster_lock(call.sim, "ha_resources_cfg", "update resource failed"):
        resource = _require(call)
        shown = {key: value for key, value in resource.items() if key not in _INTERNAL}
        check_digest(shown, call.params.get("digest"))
        given = {key: value for key, value in call.params.items() if key not in _NOT_KEPT}
        kept = without(resource, call.params.get("delete"))
        call.state.ha[_sid(call)] = _normal(kept | given)


@FAMILY.delete(_RESOURCE)
def delete_resource(call: Call) -> None:
    """Stop managing a guest; rules forget it too unless told otherwise."""
    sid = _sid(call)
    if sid not in call.state.ha:
        raise PveError(500, f"cannot delete service '{sid}', not HA managed!")
    with cluster_lock(call.sim, "ha_resources_cfg", "delete resource failed"):
        del call.state.ha[sid]


# --- groups and rules ---------------------------------------------------------------------------

GROUPS: Final = Registry(
    "/cluster/ha/groups",
    "group",
    "ha-group",
    "HA group",
    "ha_groups_cfg",
    defaults={"type": "group"},
)


def _known_resources(call: Call, rule: Record) -> Record:
    """Accept a rule about guests that high availability manages."""
    for sid in str(rule.get("resources", "")).split(","):
        if sid and sid not in call.state.ha:
            raise PveError(500, f"cannot use unmanaged resource(s) {sid}.")
    return rule


RULES: Final = Registry(
    "/cluster/ha/rules", "rule", "ha-rule", "HA rule", "ha_rules_cfg", accept=_known_resources
)
serve(FAMILY, GROUPS)
serve(FAMILY, RULES)


@FAMILY.get("/cluster/ha/rules")
def list_rules(call: Call) -> list[dict[str, Any]]:
    """Return the rules, of one type or about one resource if asked."""
    kind, sid = call.params.get("type"), call.params.get("resource")
    return [
        RULES.view(call, ident, rule)
        for ident, rule in RULES.all(call.state).items()
        if kind in (None, rule.get("type"))
        and (sid is None or sid in str(rule.get("resources", "")).split(","))
    ]


# --- status -------------------------------------------------------------------------------------


@FAMILY.get("/cluster/ha/status/current")
def current(call: Call) -> list[dict[str, Any]]:
    """Return quorum, fencing, the managers, and each managed guest."""
    here, quorate = call.sim.local_node, is_quorate(call.sim)
    rows: list[dict[str, Any]] = [
        {
            "id": "quorum",
            "type": "quorum",
            "node": here,
            "quorate": int(quorate),
            "status": "OK" if quorate else f"No quorum on node '{here}'!",
        },
        _fencing(call, here),
    ]
    if call.state.ha and quorate:
        rows += _managers(call, here)
    return rows + [_service(call, sid, resource) for sid, resource in sorted(call.state.ha.items())]


def _fencing(call: Call, node: str) -> dict[str, Any]:
    """Return whether a node that is lost would be fenced; only ``standby`` is recorded."""
    row = {"id": "fencing", "type": "fencing", "node": node}
    mode = call.state.settings.get(DISARMED)
    if mode is not None:
        return row | {"armed-state": "disarmed", "resource_mode": mode, "status": "disarmed"}
    state = "armed" if call.state.ha else "standby"
    words = "CRM watchdog active" if call.state.ha else "CRM watchdog standby"
    return row | {"armed-state": state, "status": f"{state} ({words})"}


@FAMILY.post("/cluster/ha/status/disarm-ha")
def disarm(call: Call) -> None:
    """Stop acting on managed guests and fencing nodes, e.g. for work on the network."""
    with cluster_lock(call.sim, "ha_crm_commands", "disarm HA failed"):
        call.state.settings[DISARMED] = call.params["resource-mode"]


@FAMILY.post("/cluster/ha/status/arm-ha")
def arm(call: Call) -> None:
    """Act again."""
    with cluster_lock(call.sim, "ha_crm_commands", "arm HA failed"):
        call.state.settings[DISARMED] = None


def _managers(call: Call, here: str) -> list[dict[str, Any]]:
    now = int(call.sim.clock.now())
    stamp = {"timestamp": now}
    rows = [{"id": "master", "type": "master", "node": here, "status": f"{here} (active)"} | stamp]
    for node in call.state.nodes.values():
        busy = any(_on(call, sid) == node.name for sid in call.state.ha)
        word = ("active" if busy else "idle") if is_online(call.sim, node.name) else "dead?"
        rows.append(
            {
                "id": f"lrm:{node.name}",
                "type": "lrm",
                "node": node.name,
                "status": f"{node.name} ({word})",
            }
            | stamp
        )
    return rows


def _on(call: Call, sid: str) -> str:
    guest = guest_of(call.sim, sid)
    return guest.node if guest is not None else ""


def _service(call: Call, sid: str, resource: Record) -> dict[str, Any]:
    guest, wanted = guest_of(call.sim, sid), str(resource.get("state", "started"))
    node = guest.node if guest is not None else ""
    running = guest is not None and guest.running
    state = "error" if guest is None else ("started" if running else "stopped")
    return {
        "id": f"service:{sid}",
        "type": "service",
        "sid": sid,
        "node": node,
        "crm_state": state,
        "request_state": wanted,
        "state": state,
        "status": f"{sid} ({node}, {state})",
        "max_relocate": resource.get("max_relocate", 1),
        "max_restart": resource.get("max_restart", 1),
    }


@FAMILY.get("/cluster/ha/status/manager_status")
def manager_status(call: Call) -> dict[str, Any]:
    """Return the manager's own notes."""
    nodes = {
        name: "online" if is_online(call.sim, name) else "unknown" for name in call.state.nodes
    }
    services = {
        sid: {
            "node": _on(call, sid),
            "state": _service(call, sid, resource)["state"],
        }
        for sid, resource in call.state.ha.items()
    }
    return {
        "lrm_status": {},
        "manager_status": {
            "master_node": call.sim.local_node if call.state.ha else "",
            "node_status": nodes,
            "service_status": services,
            "timestamp": int(call.sim.clock.now()),
        },
        "quorum": {"node": call.sim.local_node, "quorate": int(is_quorate(call.sim))},
    }


# --- requests that come instead of power tasks --------------------------------------------------


def _begin_request(sim: Simulator, task: Task) -> Begun:
    action, short = task.type.removeprefix("ha"), "CT"
    guest = sim.state.guests.get(int(task.id))
    if guest is not None:
        short = guests.SHORT[guest.kind]
    return Begun(1.0, (f"Requesting HA {action} for {short} {task.id}",))


def _finish_request(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Note what is wanted; the node's own manager then starts or stops the guest."""
    guest = sim.state.guests.get(int(task.id))
    sid = f"{'ct' if guest and guest.kind == 'lxc' else 'vm'}:{task.id}"
    if guest is None or sid not in sim.state.ha:
        raise TaskDied(f"no such resource '{sid}'")
    state, workers = _REQUESTS[task.type.removeprefix("ha")]
    sim.state.ha[sid] = {**sim.state.ha[sid], "state": state}
    if guest.running != (state == "started"):
        caller = Auth("root@pam")
        lock = guests.lock_file(guest.kind, guest.vmid)
        args = {"vmid": guest.vmid, "skiplock": False, "timeout": 60, "force": True}
        kind = workers[guest.kind]
        sim.tasks.start(guest.node, kind, task.id, caller, args=args, lock=lock)
    return ()


FAMILY.worker("ha-request", Worker(_begin_request, _finish_request))
