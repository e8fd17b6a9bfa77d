"""Disks of VMs: growing them, moving them elsewhere or to another VM (golden 11 seq 58 to 69)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_proxmox.simulator import drives, guests, hotplug, machines, sharing
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.machines import Drive
from pytest_proxmox.simulator.routes.lxc_volumes import rename
from pytest_proxmox.simulator.routes.qemu_config import CHANGED_ELSEWHERE
from pytest_proxmox.simulator.routes.qemu_power import writable
from pytest_proxmox.simulator.state import MIB, Guest, Task, Volume
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.volumes import ability, parse_size, print_size
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
VM: Final = "/nodes/{node}/qemu/{vmid}"
RESIZE_S: Final = 0.5
MOVE_S: Final = 0.5
COPY_BYTES_PER_S: Final = 200 * MIB
KIB: Final = 1024


# --- size ---------------------------------------------------------------------------------------


@FAMILY.put(VM + "/resize")
def resize(call: Call) -> str:
    """Grow a disk; what cannot be shows in the task."""
    params = call.params
    guest = guests.require(call, "qemu")
    args = {
        "vmid": guest.vmid,
        "key": params["disk"],
        "size": str(params["size"]),
        "digest": params.get("digest"),
        "skiplock": guests.skiplock(call),
    }
    lock = sharing.lock(guest.vmid)
    return call.start("resize", guest.vmid, worker="vm-resize", args=args, lock=lock)


def _disk(sim: Simulator, guest: Guest, key: str) -> tuple[Drive, Volume]:
    """Return a disk and its volume.

    Raises:
        TaskDied: there is none, or the volume is gone.
    """
    if key not in guest.config:
        raise TaskDied(f"disk '{key}' does not exist")
    drive = Drive.read(key, guest.config[key])
    if drive.is_cdrom:  # text as in public reports, not recorded
        raise TaskDied("you can't resize a cdrom")
    volume = sim.volumes.find(drive.file, guest.node)
    if volume is None:
        raise TaskDied(f"volume '{drive.file}' does not exist")
    return drive, volume


def begin_resize(sim: Simulator, task: Task) -> Begun:
    """Refuse to shrink, and what is not there."""
    guest = writable(sim, task)
    if task.args["digest"] and task.args["digest"] != guest.digest():
        raise TaskDied(CHANGED_ELSEWHERE)
    _, volume = _disk(sim, guest, task.args["key"])
    if _wanted(task, volume) < volume.size:
        raise TaskDied("shrinking disks is not supported")
    return Begun(RESIZE_S, ("Image resized.",))


def _wanted(task: Task, volume: Volume) -> int:
    text: str = task.args["size"]
    return parse_size(text.removeprefix("+")) + (volume.size if text.startswith("+") else 0)


def finish_resize(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Write the new size to volume and configuration."""
    guest = guests.for_task(sim, task.node, "qemu", task.args["vmid"])
    drive, volume = _disk(sim, guest, task.args["key"])
    size = _wanted(task, volume)
    sim.volumes.put(replace(volume, size=size))
    entry = drive.holding(drive.file, size=print_size(size)).text()
    sim.put_guest(guest.with_config({drive.key: entry}))
    return ()


# --- to another storage -------------------------------------------------------------------------


@FAMILY.post(VM + "/move_disk")
def move(call: Call) -> str:
    """Start moving a disk to another storage, or to another VM."""
    params = call.params
    guest = guests.require(call, "qemu")
    if "storage" in params and "target-vmid" in params:
        raise PveError(500, "either set storage or target-vmid, but not both")
    if "target-vmid" in params:
        return _reassign(call, guest)
    if "storage" not in params:
        raise PveError(500, "either storage or target-vmid needs to be set")
    drives.images_storage(call, params["storage"])
    sharing.await_writers_turn(call, guest.vmid)
    guest = guests.require(call, "qemu")
    guests.require_writable(call.sim, guest)
    guests.refuse_locked(guest)
    _check_move(call, guest)
    args = {
        "vmid": guest.vmid,
        "key": params["disk"],
        "storage": params["storage"],
        "format": params.get("format"),
        "delete": bool(params.get("delete")),
        "bwlimit": params.get("bwlimit", 0),
    }
    return call.start("qmmove", guest.vmid, args=args, lock=sharing.lock(guest.vmid))


def _check_move(call: Call, guest: Guest) -> None:
    """Refuse what cannot move; texts as in public reports, not recorded."""
    params = call.params
    key = params["disk"]
    if params.get("digest") and params["digest"] != guest.digest():
        raise PveError(500, CHANGED_ELSEWHERE)
    if key not in guest.config:
        raise PveError(500, f"disk '{key}' does not exist")
    drive = Drive.read(key, guest.config[key])
    if drive.is_cdrom and not drive.is_cloudinit:
        raise PveError(500, "you can't move a cdrom")
    volume = call.sim.volumes.find(drive.file, call.node)
    fmt = params.get("format") or (volume.format if volume else None)
    same = drive.file.partition(":")[0] == params["storage"]
    if same and volume is not None and fmt == volume.format:
        raise PveError(500, "you can't move to the same storage with same format")
    used = {volid for s in guest.snapshots.values() for volid in machines.volids(s.config)}
    if params.get("delete") and drive.file in used:
        raise PveError(500, "you can't move a disk with snapshots and delete the source")


def begin_move(sim: Simulator, task: Task) -> Begun:
    """Begin to copy the data."""
    guest = writable(sim, task)
    drive, old = _drive_to_move(sim, guest, task.args["key"])
    storage = sim.volumes.storage(task.args["storage"])
    able = drives.formats(ability(storage))
    fmt = task.args["format"] or old.format
    new = drives.allocate(
        sim, guest, storage, old.size, fmt=fmt if fmt in able else "raw", source=old
    )
    if guest.template:
        new = sim.volumes.make_base(new)
    task = replace(sim.state.tasks[task.upid], args={**task.args, "new": new.volid})
    sim.state.tasks[task.upid] = task
    rate = int(task.args["bwlimit"]) * KIB or COPY_BYTES_PER_S
    log = (
        f"create full clone of drive {drive.key} ({drive.file})",
        *drives.format_log(sim, new),
        f"allocated target volume '{new.volid}'",
    )
    return Begun(MOVE_S + old.used / rate, log)


def _drive_to_move(sim: Simulator, guest: Guest, key: str) -> tuple[Drive, Volume]:
    drive = Drive.read(key, guest.config.get(key, "none"))
    volume = sim.volumes.find(drive.file, guest.node)
    if volume is None:
        raise TaskDied(f"volume '{drive.file}' does not exist")
    return drive, volume


def finish_move(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Use the copy; the old volume goes, or stays as unused."""
    guest = guests.for_task(sim, task.node, "qemu", task.args["vmid"])
    drive, old = _drive_to_move(sim, guest, task.args["key"])
    size = {} if drive.is_cloudinit else {"size": print_size(old.size)}
    entry = drive.holding(task.args["new"], **size).text()
    guest = guest.with_config({drive.key: entry})
    if task.args["delete"]:
        sim.volumes.drop(old)
    else:
        guest = hotplug.keep_unused(guest, old.volid)
    sim.put_guest(guest)
    return ()


def abort_move(sim: Simulator, task: Task) -> tuple[str, ...]:
    """A polite stop removes the half-made copy."""
    guest = sim.state.guests.get(task.args["vmid"])
    if guest is not None and "new" in task.args:
        hotplug.drop(sim, guest, task.args["new"])
    return ()


# --- to another VM ------------------------------------------------------------------------------


def _reassign(call: Call, source: Guest) -> str:
    """Start giving a disk to another VM; texts follow those of containers (golden 16)."""
    params = call.params
    key = params["disk"]
    target_key = params.get("target-disk", key)
    call.require(f"/vms/{params['target-vmid']}", "VM.Config.Disk")
    target = guests.find(call.sim, call.node, "qemu", params["target-vmid"])
    if target is None:
        raise PveError(500, f"could not find VM {params['target-vmid']}")
    _check_reassign(call, source, target, key, target_key)
    ident = f"{source.vmid}-{key}>{target.vmid}-{target_key}"
    args = {"vmid": source.vmid, "key": key, "target": target.vmid, "target_key": target_key}
    lock = sharing.lock(source.vmid)
    return call.start("qmmove", ident, worker="vm-reassign", args=args, lock=lock)


def _check_reassign(call: Call, source: Guest, target: Guest, key: str, target_key: str) -> None:
    for guest, given in ((source, "digest"), (target, "target-digest")):
        if call.params.get(given) and call.params[given] != guest.digest():
            raise PveError(500, f"VM {guest.vmid}: {CHANGED_ELSEWHERE}")
        guests.refuse_locked(guest)
    if key not in source.config:
        raise PveError(500, f"Disk '{key}' for VM '{source.vmid}' does not exist")
    if target_key in target.config:
        raise PveError(
            500, f"Target disk key '{target_key}' is already in use for VM '{target.vmid}'"
        )
    if not machines.UNUSED.fullmatch(key) and source.running:
        raise PveError(500, "Cannot move disk of a running VM - shut it down or detach it first")
    drive = Drive.read(key, source.config[key])
    if drive.is_cdrom:
        raise PveError(500, "you can't move a cdrom")
    if source.snapshots:
        raise PveError(500, f"you can't reassign a disk of VM '{source.vmid}' with snapshots")


def finish_reassign(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Rename the volume for its new owner and move its entry."""
    source = writable(sim, task)
    target = guests.for_task(sim, task.node, "qemu", task.args["target"])
    key, target_key = task.args["key"], task.args["target_key"]
    drive, volume = _drive_to_move(sim, source, key)
    moved = rename(sim, volume, target)
    left = source.with_config({}, remove=(key,))
    sim.put_guest(machines.without_boot_key(left, key))
    if machines.UNUSED.fullmatch(target_key):
        entry = moved.volid
    else:
        kept = Drive(target_key, moved.volid, drive.options)
        entry = kept.holding(moved.volid, size=print_size(moved.size)).text()
    sim.put_guest(target.with_config({target_key: entry}))
    return (
        f"moving disk '{key}' from VM '{source.vmid}' to '{target.vmid}'",
        f"removing disk '{key}' from VM '{source.vmid}' config",
        f"update disk '{target_key}' of VM '{target.vmid}' config",
    )


FAMILY.worker("vm-resize", Worker(begin_resize, finish_resize))
FAMILY.worker("qmmove", Worker(begin_move, finish_move, abort_move))
FAMILY.worker("vm-reassign", Worker(finish=finish_reassign))
