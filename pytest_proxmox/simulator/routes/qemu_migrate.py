"""VMs move to another node.

The recorded node was alone, so only the refusal of an unknown node is recorded (golden 10 seq 214);
conditions and their texts follow Proxmox's public documentation and public reports.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import drives, guests, machines, sharing
from pytest_proxmox.simulator.destroy import ha_sid
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.machines import Drive
from pytest_proxmox.simulator.migration import (
    SAME_STORAGE,
    check_storages,
    storage_for,
    traveller,
)
from pytest_proxmox.simulator.quorum import is_online
from pytest_proxmox.simulator.routes.qemu_power import writable
from pytest_proxmox.simulator.state import MIB, Guest, Task, Volume
from pytest_proxmox.simulator.tasks import INTERRUPTED, Begun, TaskDied, Worker
from pytest_proxmox.simulator.volumes import ability
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
VM: Final = "/nodes/{node}/qemu/{vmid}"
MIGRATE_S: Final = 2.0
SEND_BYTES_PER_S: Final = 200 * MIB
_LOCAL_DEVICES: Final = ("hostpci", "usb", "serial", "parallel")


@FAMILY.get(VM + "/migrate")
def preconditions(call: Call) -> dict[str, Any]:
    """Return what stands in the way of moving a VM, and where it could go."""
    guest = guests.require(call, "qemu")
    found: dict[str, Any] = {
        "running": int(guest.running),
        "has-dbus-vmstate": 1,
        "local_disks": [_disk_row(call, guest, volid) for volid in _local_volumes(call.sim, guest)],
        "local_resources": _local_resources(guest),
        "mapped-resources": [],
        "mapped-resource-info": {},
    }
    if guest.running:
        return found
    lacking = {
        name: _unavailable(call.sim, guest, name)
        for name in call.state.nodes
        if name != guest.node and is_online(call.sim, name)
    }
    return found | {
        "allowed_nodes": [name for name, missing in lacking.items() if not missing],
        "not_allowed_nodes": {
            name: {"unavailable_storages": missing} for name, missing in lacking.items() if missing
        },
    }


def _local_volumes(sim: Simulator, guest: Guest) -> Iterator[str]:
    """Yield the volumes of a VM that only its node sees, CD images too."""
    found = [*machines.volids(guest.config)]
    found += [drive.file for drive in machines.drives(guest.config) if drive.volid]
    for volid in dict.fromkeys(found):
        storage = sim.state.storages.get(volid.partition(":")[0])
        if storage is not None and not storage.shared:
            yield volid


def _disk_row(call: Call, guest: Guest, volid: str) -> dict[str, Any]:
    volume = call.sim.volumes.find(volid, guest.node)
    cdrom = any(drive.file == volid and drive.is_cdrom for drive in machines.drives(guest.config))
    used = {drive.file for drive in machines.drives(guest.config)}
    return {
        "volid": volid,
        "size": volume.size if volume is not None else 0,
        "cdrom": int(cdrom),
        "is_unused": int(volid not in used),
    }


def _local_resources(guest: Guest) -> list[str]:
    return sorted(key for key in guest.config if machines.rank(key)[0] in _LOCAL_DEVICES)


def _unavailable(sim: Simulator, guest: Guest, node: str) -> list[str]:
    """Return the storages of a VM that a node does not have."""
    names = {volid.partition(":")[0] for volid in machines.volids(guest.config)}
    storages = [sim.state.storages.get(name) for name in sorted(names)]
    return [s.name for s in storages if s is not None and not sim.volumes.is_on(s, node)]


@FAMILY.post(VM + "/migrate")
def migrate(call: Call) -> str:
    """Start the move of a VM to another node."""
    params = call.params
    guest = traveller(call, "qemu")
    guests.refuse_locked(guest)
    if guest.running and not params.get("online"):
        raise PveError(500, "can't migrate running VM without --online")
    wanted = params.get("targetstorage", SAME_STORAGE)
    check_storages(call, wanted)
    args = {
        "vmid": guest.vmid,
        "target": params["target"],
        "online": bool(params.get("online")),
        "local": bool(params.get("with-local-disks")),
        "storages": wanted,
    }
    managed = ha_sid(guest) in call.state.ha
    kind = "hamigrate" if managed else "qmigrate"
    lock = sharing.lock(guest.vmid)
    return call.start(kind, guest.vmid, worker="qmigrate", args=args, lock=lock)


# --- the worker ---------------------------------------------------------------------------------


def begin_migrate(sim: Simulator, task: Task) -> Begun:
    """Refuse what cannot move, and lock the configuration."""
    guest = writable(sim, task)
    if guest.running and not task.args.get("online", True):
        raise TaskDied("can't migrate running VM without --online")
    if _local_resources(guest):
        names = ", ".join(_local_resources(guest))
        raise TaskDied(f"can't migrate VM which uses local devices: {names}")
    size = 0
    for volid in _local_volumes(sim, guest):
        size += _check_volume(sim, task, guest, volid)
    if guest.running:
        size += machines.memory_mib(guest.config) * MIB
    sim.put_guest(guest.with_config({"lock": "migrate"}))
    line = f"starting migration of VM {guest.vmid} to node '{task.args['target']}'"
    return Begun(MIGRATE_S + size / SEND_BYTES_PER_S, (line,))


def _check_volume(sim: Simulator, task: Task, guest: Guest, volid: str) -> int:
    """Return the bytes to send for a local volume.

    Raises:
        TaskDied: it cannot be sent, or the target has no place for it.
    """
    guests.require_volume(sim, volid, guest.node)
    volume = sim.volumes.find(volid, guest.node)
    if volume is None or volume.vmid != guest.vmid:
        raise TaskDied(f"can't migrate local disk '{volid}': local cdrom image")
    if guest.running and not task.args.get("local", True):
        text = "can't live migrate attached local disks without with-local-disks option"
        raise TaskDied(f"can't migrate local disk '{volid}': {text}")
    name = storage_for(task, volume.storage)
    try:
        storage = sim.volumes.storage(name, node=task.args["target"])
    except PveError as exc:
        raise TaskDied(exc.message) from exc
    if "images" not in storage.content:
        raise TaskDied(f"storage '{name}' does not support vm images")
    return volume.used


def finish_migrate(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Let the VM live on the other node, its local volumes with it."""
    guest = guests.for_task(sim, task.node, "qemu", task.args["vmid"])
    there = replace(guest.with_config({}, remove=("lock",)), node=task.args["target"])
    renamed: dict[str, str] = {}
    for volid in list(_local_volumes(sim, guest)):
        volume = sim.volumes.find(volid, guest.node)
        if volume is not None:
            renamed[volid] = _send(sim, task, there, volume)
    sim.put_guest(_with_volumes(there, renamed))
    return ("migration finished successfully",)


def _send(sim: Simulator, task: Task, there: Guest, volume: Volume) -> str:
    """Move a volume to the other node and return its id there."""
    sim.volumes.drop(volume)
    name = storage_for(task, volume.storage)
    if name == volume.storage:
        return sim.volumes.put(replace(volume, node=there.node)).volid
    storage = sim.volumes.storage(name)
    able = drives.formats(ability(storage))
    fmt = volume.format if volume.format in able else "raw"
    return drives.allocate(sim, there, storage, volume.size, fmt=fmt, source=volume).volid


def _with_volumes(guest: Guest, renamed: dict[str, str]) -> Guest:
    """Return the VM with its volumes under their new ids."""
    changes: dict[str, Any] = {}
    for key, value in guest.config.items():
        if machines.UNUSED.fullmatch(key) or key == "vmstate":
            changes[key] = renamed.get(str(value), value)
        elif machines.DRIVE.fullmatch(key):
            drive = Drive.read(key, value)
            changes[key] = drive.holding(renamed.get(drive.file, drive.file)).text()
    return guest.with_config(changes)


def abort_migrate(sim: Simulator, task: Task) -> tuple[str, ...]:
    """A polite stop leaves the VM where it was."""
    guest = sim.state.guests.get(task.args["vmid"])
    if guest is not None:
        sim.put_guest(guest.with_config({}, remove=("lock",)))
    return (f"ERROR: migration aborted: {INTERRUPTED}",)


FAMILY.worker("qmigrate", Worker(begin_migrate, finish_migrate, abort_migrate))
