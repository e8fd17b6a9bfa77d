"""VMs change: ``PUT`` waits for the change, ``POST`` has a task make it (golden 10 and 11)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import drives, guests, hotplug, machines, rights, sharing
from pytest_proxmox.simulator.drives import NewDrive
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.machines import Drive
from pytest_proxmox.simulator.state import Guest, Task
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
VM: Final = "/nodes/{node}/qemu/{vmid}"
CHANGED_ELSEWHERE: Final = "checksum mismatch (file change by other user?)"
CONFIG_S: Final = 0.2
_NOT_OPTIONS: Final = frozenset(
    [
        "background_delay",
        "delete",
        "digest",
        "force",
        "import-working-storage",
        "node",
        "revert",
        "skiplock",
        "vmid",
    ]
)


@FAMILY.put(VM + "/config")
def change(call: Call) -> None:
    """Set, delete and revert keys of the configuration."""
    plan = _plan(call)
    guest = guests.require(call, "qemu")
    sharing.await_writers_turn(call, guest.vmid)
    update(call.sim, guests.require(call, "qemu"), plan)


@FAMILY.post(VM + "/config")
def change_in_task(call: Call) -> str:
    """Set, delete and revert keys of the configuration in a task."""
    plan = _plan(call)
    guest = guests.require(call, "qemu")
    return call.start("qmconfig", guest.vmid, args=plan, lock=sharing.lock(guest.vmid))


@FAMILY.put(VM + "/unlink")
def unlink(call: Call) -> None:
    """Take disks out of the configuration; unused ones, or all with ``force``, are destroyed."""
    params, vmid = call.params, call.params["vmid"]
    names = machines.known_names(call, "idlist", params["idlist"])
    guests.require(call, "qemu")
    sharing.await_writers_turn(call, vmid)
    plan = {"delete": names, "force": bool(params.get("force")), "vmid": vmid}
    update(call.sim, guests.require(call, "qemu"), plan)


def _plan(call: Call) -> dict[str, Any]:
    """Return a change as plain values, once the caller may make it.

    Raises:
        PveError: nothing to change, an unknown key, a storage that cannot be used, or 403.
    """
    params, vmid = call.params, call.params["vmid"]
    changes = {key: value for key, value in params.items() if key not in _NOT_OPTIONS}
    deleted = machines.known_names(call, "delete", params.get("delete"))
    reverted = machines.known_names(call, "revert", params.get("revert"))
    if not changes and not deleted and not reverted:
        raise PveError(500, "no options specified")
    clash = next((key for key in deleted if key in changes), None)
    if clash is not None:
        text = f"you can't use '-{clash}' and '-delete {clash}' at the same time"
        raise PveError.fields({"delete": text})
    skip = guests.skiplock(call)
    _require_rights(call, vmid, changes, [*deleted, *reverted])
    plain = machines.normalize(call.sim, changes)
    fresh, kept = drives.wanted(call, plain)
    return {
        "vmid": vmid,
        "changes": {k: v for k, v in plain.items() if not machines.DRIVE.fullmatch(k)} | kept,
        "fresh": [new.plain() for new in fresh],
        "delete": deleted,
        "revert": reverted,
        "force": bool(params.get("force")),
        "digest": params.get("digest"),
        "skiplock": skip,
        "words": [f"-{key} {_said(key, params[key])}" for key in changes],
    }


def _said(key: str, value: Any) -> Any:
    """Return a value as a task's log may show it."""
    return "<hidden>" if key == "cipassword" else value


def _require_rights(
    call: Call, vmid: int, changes: Mapping[str, Any], names: Iterable[str]
) -> None:
    guest = guests.find(call.sim, call.node, "qemu", vmid)
    held = guest.config if guest is not None else {}
    rights.require_privileges(call, vmid, changes)
    rights.require_privileges(call, vmid, {name: held.get(name) for name in names})
    rights.require_bridges(call, changes)


# --- the change ---------------------------------------------------------------------------------


def update(sim: Simulator, guest: Guest, plan: Mapping[str, Any]) -> None:
    """Make a change; what a running VM cannot take over stays pending.

    Raises:
        PveError: a lock, another digest, protection, a volume that is not there; and 400 for
            what could not be plugged, with the change kept as pending (golden README, point 19).
    """
    guests.require_writable(sim, guest)
    if not plan.get("skiplock"):
        guests.refuse_locked(guest)
    if plan.get("digest") and plan["digest"] != guest.digest():
        raise PveError(500, CHANGED_ELSEWHERE)
    _check_protection(guest, plan["delete"], force=bool(plan.get("force")))
    entries = _entries(sim, guest, plan)
    for key in plan.get("revert", ()):
        guest = hotplug.revert(guest, key)
    for key in plan["delete"]:
        guest = _remove(sim, guest, key, destroy=bool(plan.get("force")))
    problems: dict[str, str] = {}
    for key, value in (dict(plan.get("changes", {})) | entries).items():
        problem = hotplug.problem(sim, guest, key, value)
        if problem is not None:
            problems[key] = f"hotplug problem - {problem}\n"
        if problem is None and hotplug.is_immediate(guest, key, value):
            guest = hotplug.put(hotplug.revert(guest, key), key, value)
        else:
            guest = hotplug.postpone(guest, key, value)
    sim.put_guest(guest)
    if problems:
        raise PveError.fields(problems)


def _check_protection(guest: Guest, names: Iterable[str], *, force: bool) -> None:
    if not guest.protected:
        return
    for key in names:
        if machines.UNUSED.fullmatch(key) or force:
            raise PveError(500, f"can't remove unused disk '{key}' - protection mode enabled")
        if machines.DRIVE.fullmatch(key):
            raise PveError(500, f"can't remove drive '{key}' - protection mode enabled")


def _remove(sim: Simulator, guest: Guest, key: str, *, destroy: bool) -> Guest:
    if hotplug.is_immediate(guest, key):
        return hotplug.remove(sim, hotplug.revert(guest, key), key, destroy=destroy)
    return hotplug.postpone_removal(guest, key, destroy=destroy)


def _entries(sim: Simulator, guest: Guest, plan: Mapping[str, Any]) -> dict[str, str]:
    """Return the entries of drives: what is new is made, what is there gets its size.

    Raises:
        PveError: a volume is not there, or cannot be made; what was made before it is gone again.
    """
    found: dict[str, str] = {}
    made: list[str] = []
    try:
        for key, storage, gib, options in plan.get("fresh", ()):
            new = drives.make(sim, guest, NewDrive(key, storage, gib, options))
            made.append(new.volume.volid)
            found[key] = new.drive.text()
        for key, text in plan.get("changes", {}).items():
            if machines.DRIVE.fullmatch(key):
                found[key] = drives.sized(sim, guest, Drive.read(key, text)).text()
    except TaskDied as died:
        for volid in made:
            hotplug.drop(sim, guest, volid)
        raise PveError(500, str(died)) from died
    return found


def begin_config(sim: Simulator, task: Task) -> Begun:
    """Make the change that a request described."""
    guest = guests.for_task(sim, task.node, "qemu", task.args["vmid"])
    sharing.take_writers_turn(sim, task, guest.vmid)
    sim.tasks.log(task.upid, f"update VM {guest.vmid}: {' '.join(task.args['words'])}")
    try:
        update(sim, guest, task.args)
    except PveError as exc:
        raise TaskDied(_as_text(exc)) from exc
    return Begun(CONFIG_S)


def _as_text(error: PveError) -> str:
    lines = [f"{name}: {text.strip()}" for name, text in (error.errors or {}).items()]
    return "\n".join([error.message, *lines])


FAMILY.worker("qmconfig", Worker(begin_config))
