"""Many guests at once: start, stop, suspend and migrate all (golden 11 seq 194 to 206)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import guests
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.identity import Auth
from pytest_proxmox.simulator.lists import split
from pytest_proxmox.simulator.state import Guest, Task
from pytest_proxmox.simulator.tasks import Begun, Worker
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()

_BULK: Final = "/cluster/bulk-action/guest"
DEFAULT_TIMEOUT_S: Final = 180
_WORKERS: Final[Mapping[str, Mapping[str, str]]] = {
    "start": {"lxc": "vzstart", "qemu": "qmstart"},
    "stop": {"lxc": "vzshutdown", "qemu": "qmshutdown"},
    "suspend": {"qemu": "qmsuspend"},
    "pause": {"qemu": "qmpause"},
    "migrate": {"lxc": "vzmigrate", "qemu": "qmigrate"},
}
_PRIVILEGE: Final = {"migrate": "VM.Migrate"}


def _wanted(call: Call, action: str) -> list[int]:
    """Return the VMIDs that were asked for, refusing those that the caller may not touch.

    Nothing asked for means everything, which needs the right everywhere.
    """
    privilege = _PRIVILEGE.get(action, "VM.PowerMgmt")
    given = call.params.get("vms")
    vmids = [int(v) for v in (given if isinstance(given, list) else split(given))]
    if not vmids:
        call.require("/", privilege)
    elif not call.may("/", privilege):
        for vmid in vmids:
            call.require(f"/vms/{vmid}", privilege)
    return vmids


def _spawn(call: Call, action: str, kind: str, *, node: str) -> str:
    args = {
        "action": action,
        "vmids": _wanted(call, action),
        "node": node,
        "force": bool(call.params.get("force")),
        "timeout": call.params.get("timeout", DEFAULT_TIMEOUT_S),
        "force-stop": bool(call.params.get("force-stop", 1)),
        "target": call.params.get("target", ""),
        "storage": call.params.get("statestorage"),
        "with-local-disks": bool(call.params.get("with-local-disks")),
    }
    return call.start(kind, "", worker="bulk", args=args)


@FAMILY.post("/nodes/{node}/startall")
def start_all(call: Call) -> str:
    """Start the guests that start at boot, or with ``force`` all that were named."""
    return _spawn(call, "start", "startall", node=call.node)


@FAMILY.post("/nodes/{node}/stopall")
def stop_all(call: Call) -> str:
    """Shut all running guests of a node down."""
    return _spawn(call, "stop", "stopall", node=call.node)


@FAMILY.post("/nodes/{node}/suspendall")
def suspend_all(call: Call) -> str:
    """Suspend all running VMs of a node; containers are skipped with a warning."""
    return _spawn(call, "suspend", "suspendall", node=call.node)


@FAMILY.post("/nodes/{node}/migrateall")
def migrate_all(call: Call) -> str:
    """Migrate the guests of a node to another one."""
    if call.params["target"] == call.node:
        raise PveError.fields({"target": "target is local node."})
    if call.params["target"] not in call.state.nodes:
        raise PveError(500, f"no such cluster node '{call.params['target']}'")
    return _spawn(call, "migrate", "migrateall", node=call.node)


@FAMILY.post(_BULK + "/start")
def bulk_start(call: Call) -> str:
    """Start guests on whatever node they are."""
    return _spawn(call, "start", "bulkstart", node="")


@FAMILY.post(_BULK + "/shutdown")
def bulk_shutdown(call: Call) -> str:
    """Shut guests down on whatever node they are."""
    return _spawn(call, "stop", "bulkshutdown", node="")


@FAMILY.post(_BULK + "/suspend")
def bulk_suspend(call: Call) -> str:
    """Suspend guests on whatever node they are, to disk or only in memory."""
    action = "suspend" if call.params.get("to-disk") else "pause"
    return _spawn(call, action, "bulksuspend", node="")


@FAMILY.post(_BULK + "/migrate")
def bulk_migrate(call: Call) -> str:
    """Migrate guests to a node."""
    if call.params["target"] not in call.state.nodes:
        raise PveError(500, f"no such cluster node '{call.params['target']}'")
    return _spawn(call, "migrate", "bulkmigrate", node="")


# --- the worker ---------------------------------------------------------------------------------


def _order(guest: Guest) -> tuple[int, int]:
    """Return the place of a guest at boot: ``startup: order=2`` goes before no order at all."""
    for part in split(guest.config.get("startup")):
        key, _, value = part.rpartition("=")
        if key in ("", "order") and value.isdigit():
            return int(value), guest.vmid
    return 2**31, guest.vmid


def _chosen(sim: Simulator, task: Task) -> Iterable[Guest]:
    args = task.args
    found = [
        guest
        for guest in sim.state.guests.values()
        if (not args["vmids"] or guest.vmid in args["vmids"])
        and (not args["node"] or guest.node == args["node"])
    ]
    if args["action"] == "start":
        at_node = bool(args["node"]) and not args["force"]
        found = [g for g in found if not g.running and not g.template]
        return sorted((g for g in found if g.config.get("onboot") or not at_node), key=_order)
    if args["action"] == "migrate":
        return sorted((g for g in found if g.node != args["target"]), key=_order)
    return sorted((g for g in found if g.running), key=_order, reverse=True)


def _begin(sim: Simulator, task: Task) -> Begun:
    lines, longest = [], 0.0
    caller = Auth(task.user, task.tokenid)
    for guest in list(_chosen(sim, task)):
        line, kind = _line(sim, task, guest)
        lines.append(line)
        if kind:
            args = _args(task, guest)
            lock = guests.lock_file(guest.kind, guest.vmid)
            upid = sim.tasks.start(guest.node, kind, str(guest.vmid), caller, args=args, lock=lock)
            started = sim.tasks.get(upid)
            if started is not None:
                longest = max(longest, started.due - sim.clock.now())
    return Begun(longest + 1.0, tuple(lines))


def _line(sim: Simulator, task: Task, guest: Guest) -> tuple[str, str]:
    """Return what is logged of a guest, and the worker that does it, if one can."""
    action = task.args["action"]
    kind = _WORKERS[action].get(guest.kind, "")
    name = f"{guests.SHORT[guest.kind]} {guest.vmid}"
    if not kind:
        return f"WARN: skipping {guest.vmid}, only VMs can be suspended", ""
    if not sim.tasks.knows(kind):
        return f"WARN: skipping {guest.vmid}, the embedded Proxmox does not simulate {kind}", ""
    words = {
        "start": f"Starting {name}",
        "stop": f"Stopping {name} (timeout = {task.args['timeout']} seconds)",
        "suspend": f"Suspending {name}",
        "pause": f"Suspending {name}",
        "migrate": f"Migrating {name}",
    }
    return words[action], kind


def _args(task: Task, guest: Guest) -> dict[str, Any]:
    args: dict[str, Any] = {"vmid": guest.vmid, "skiplock": False}
    if task.args["action"] == "stop":
        args |= {"timeout": task.args["timeout"], "force": task.args["force-stop"]}
    if task.args["action"] == "suspend":
        args["storage"] = task.args["storage"]
    if task.args["action"] == "migrate":
        args |= {"target": task.args["target"], "restart": True, "online": True}
        args["local"] = task.args["with-local-disks"]
    return args


FAMILY.worker("bulk", Worker(_begin))
