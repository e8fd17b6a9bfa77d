"""Snapshots of VMs (golden 10 seq 102 to 136); with memory as the documentation describes them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import drives, guests, hotplug, machines, sharing
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.routes.lxc_snapshots import (
    CURRENT,
    snapshot_list,
    with_newline,
    without_snapshot,
)
from pytest_proxmox.simulator.routes.qemu import require_snapshot, snapshot_config
from pytest_proxmox.simulator.routes.qemu_power import (
    power_off,
    power_on,
    save_state,
    state_storage,
    writable,
)
from pytest_proxmox.simulator.state import MIB, Guest, Snapshot, Task
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
VM: Final = "/nodes/{node}/qemu/{vmid}"
ONE: Final = VM + "/snapshot/{snapname}"
SNAPSHOT_S: Final = 0.5
MEMORY_BYTES_PER_S: Final = 200 * MIB
NOT_KEPT: Final = ("lock", "parent", "description", "template")


@FAMILY.get(VM + "/snapshot")
def list_snapshots(call: Call) -> list[dict[str, Any]]:
    """Return the snapshots, the oldest first, and the present as ``current``."""
    guest = guests.require(call, "qemu")
    rows = snapshot_list(guest)
    for row in rows:
        if row["name"] in guest.snapshots:
            row["vmstate"] = int(guest.snapshots[row["name"]].vmstate)
    return rows


@FAMILY.post(VM + "/snapshot")
def take(call: Call) -> str:
    """Take a snapshot; whether the storage can shows in the task."""
    params = call.params
    if params["snapname"] == CURRENT:
        raise PveError(500, f"unable to use snapshot name '{CURRENT}' (reserved name)")
    return guests.start(
        call,
        "qemu",
        "qmsnapshot",
        name=params["snapname"],
        description=params.get("description", ""),
        vmstate=bool(params.get("vmstate")),
    )


@FAMILY.get(ONE)
def index(call: Call) -> list[dict[str, str]]:
    """Return what can be done with a snapshot, whether it is there or not."""
    return [{"cmd": "rollback"}, {"cmd": "config"}]


@FAMILY.get(ONE + "/config")
def read(call: Call) -> dict[str, Any]:
    """Return the configuration that a snapshot keeps."""
    guest = guests.require(call, "qemu")
    return snapshot_config(require_snapshot(guest, call.params["snapname"]))


@FAMILY.put(ONE + "/config")
def describe(call: Call) -> None:
    """Change a snapshot's description."""
    guest = guests.require(call, "qemu")
    call.sim.tasks.await_lock(sharing.lock(guest.vmid))
    guest = guests.require(call, "qemu")
    guests.require_writable(call.sim, guest)
    snapshot = require_snapshot(guest, call.params["snapname"])
    text = str(call.params.get("description", ""))
    changed = replace(snapshot, description=with_newline(text))
    call.sim.put_guest(guest, snapshots={**guest.snapshots, snapshot.name: changed})


@FAMILY.post(ONE + "/rollback")
def roll_back(call: Call) -> str:
    """Put a VM back to a snapshot."""
    start = bool(call.params.get("start"))
    return guests.start(call, "qemu", "qmrollback", name=call.params["snapname"], start=start)


@FAMILY.delete(ONE)
def remove(call: Call) -> str:
    """Delete a snapshot."""
    force = bool(call.params.get("force"))
    return guests.start(call, "qemu", "qmdelsnapshot", name=call.params["snapname"], force=force)


# --- the workers --------------------------------------------------------------------------------


def _require(guest: Guest, name: str) -> Snapshot:
    snapshot = guest.snapshots.get(name)
    if snapshot is None:
        raise TaskDied(f"snapshot '{name}' does not exist")
    return snapshot


def begin_take(sim: Simulator, task: Task) -> Begun:
    """Refuse what cannot be snapshotted, write the memory, and lock the configuration."""
    guest = writable(sim, task)
    name = task.args["name"]
    if guest.template:
        raise TaskDied("you can't take a snapshot if it's a template")
    if name in guest.snapshots:
        raise TaskDied(f"snapshot name '{name}' already used")
    if not drives.can_snapshot(sim, guest.config):
        raise TaskDied("snapshot feature is not available")
    length = SNAPSHOT_S
    changes: dict[str, Any] = {"lock": "snapshot"}
    if task.args["vmstate"] and guest.running:
        changes["vmstate"] = save_state(sim, guest, state_storage(guest), name)
        length += machines.memory_mib(guest.config) * MIB / MEMORY_BYTES_PER_S
    sim.put_guest(guest.with_config(changes))
    return Begun(length, tuple(_log(guest)))


def _log(guest: Guest) -> list[str]:
    lines = []
    if guest.running and not machines.agent_enabled(guest.config):
        lines.append("skipping guest filesystem freeze - disabled in VM options")
    for drive in machines.disks(guest.config):
        lines.append(f"snapshotting 'drive-{drive.key}' ({drive.file})")
        if guest.running and drive.file.endswith(".qcow2"):
            lines.append("internal qemu snapshot")
    return lines


def finish_take(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Keep the configuration and what the disks hold."""
    guest = guests.for_task(sim, task.node, "qemu", task.args["vmid"])
    name = task.args["name"]
    snapshot = Snapshot(
        name,
        {key: value for key, value in guest.config.items() if key not in NOT_KEPT},
        int(task.due),
        guest.config.get("parent"),
        with_newline(task.args["description"]),
        vmstate="vmstate" in guest.config,
        data=_held(sim, guest),
    )
    kept = guest.with_config({"parent": name}, remove=("lock", "vmstate"))
    sim.put_guest(kept, snapshots={**guest.snapshots, name: snapshot})
    return ()


def _held(sim: Simulator, guest: Guest) -> dict[str, Any]:
    """Return what each disk of a VM holds, by volume id."""
    found = {}
    for drive in machines.disks(guest.config):
        volume = sim.volumes.find(drive.file, guest.node)
        if volume is not None:
            held = {"data": volume.data, "size": volume.size, "used": volume.used}
            found[volume.volid] = held
    return found


def abort_take(sim: Simulator, task: Task) -> tuple[str, ...]:
    """A polite stop unlocks the configuration and removes the half-written memory."""
    guest = sim.state.guests.get(task.args["vmid"])
    if guest is not None:
        if "vmstate" in guest.config:
            hotplug.drop(sim, guest, str(guest.config["vmstate"]))
        sim.put_guest(guest.with_config({}, remove=("lock", "vmstate")))
    return ()


def begin_rollback(sim: Simulator, task: Task) -> Begun:
    """Refuse a snapshot that is not there, and lock the configuration."""
    guest = writable(sim, task)
    if guest.template:
        raise TaskDied("you can't rollback if vm is a template")
    _require(guest, task.args["name"])
    sim.put_guest(guest.with_config({"lock": "rollback"}))
    return Begun(SNAPSHOT_S)


def finish_rollback(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Put configuration and disks back; with its memory the VM goes on where it was."""
    guest = guests.for_task(sim, task.node, "qemu", task.args["vmid"])
    snapshot = _require(guest, task.args["name"])
    if guest.running:
        guest = power_off(sim, guest)
    for volid, held in snapshot.data.items():
        volume = sim.volumes.find(volid, guest.node)
        if volume is not None:
            sim.volumes.put(replace(volume, **held))
    config = {key: value for key, value in snapshot.config.items() if key != "vmstate"}
    config["parent"] = snapshot.name
    if "vmgenid" in config:
        config["vmgenid"] = machines.fresh_uuid(sim)
    if "description" in guest.config:
        config["description"] = guest.config["description"]
    rolled = replace(guest, config=config, pending={})
    for volid in machines.volids(guest.config):  # disks that came later stay, unused
        if sim.volumes.find(volid, guest.node) is not None:
            rolled = hotplug.keep_unused(rolled, volid)
    sim.put_guest(rolled)
    if snapshot.vmstate:
        power_on(sim, rolled, at=task.due)
    elif task.args.get("start"):
        sim.tasks.start_after(task, "qmstart", guest.vmid, sharing.lock(guest.vmid))
    return ()


def begin_remove(sim: Simulator, task: Task) -> Begun:
    """Refuse a snapshot that is not there, and lock the configuration."""
    guest = writable(sim, task)
    _require(guest, task.args["name"])
    sim.put_guest(guest.with_config({"lock": "snapshot-delete"}))
    return Begun(SNAPSHOT_S)


def finish_remove(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Forget the snapshot with its memory; its children become its parent's."""
    guest = guests.for_task(sim, task.node, "qemu", task.args["vmid"])
    snapshot = _require(guest, task.args["name"])
    if snapshot.vmstate:
        hotplug.drop(sim, guest, str(snapshot.config.get("vmstate", "")))
    sim.put_guest(without_snapshot(guest, snapshot.name))
    return ()


def abort(sim: Simulator, task: Task) -> tuple[str, ...]:
    """A polite stop unlocks the configuration."""
    guest = sim.state.guests.get(task.args["vmid"])
    if guest is not None:
        sim.put_guest(guest.with_config({}, remove=("lock",)))
    return ()


FAMILY.worker("qmsnapshot", Worker(begin_take, finish_take, abort_take))
FAMILY.worker("qmrollback", Worker(begin_rollback, finish_rollback, abort))
FAMILY.worker("qmdelsnapshot", Worker(begin_remove, finish_remove, abort))
