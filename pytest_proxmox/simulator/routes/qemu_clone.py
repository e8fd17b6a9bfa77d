"""Clones and templates of VMs (golden 10 seq 126 to 173, golden 11 seq 4 to 27)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import drives, guests, hotplug, machines, sharing
from pytest_proxmox.simulator.drives import NewDrive
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.machines import Drive
from pytest_proxmox.simulator.quorum import require_ready
from pytest_proxmox.simulator.routes.qemu import require_snapshot
from pytest_proxmox.simulator.routes.qemu_power import writable
from pytest_proxmox.simulator.state import EMPTY, MIB, Guest, Storage, Task, Volume
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.volumes import ability, print_size
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
VM: Final = "/nodes/{node}/qemu/{vmid}"
NOT_CLONED: Final = ("lock", "template", "parent", "snaptime", "vmstate", "smbios1", "vmgenid")
CLONE_S: Final = 0.3
COPY_BYTES_PER_S: Final = 200 * MIB
KIB: Final = 1024
_NOT_LINKED: Final = "parameter '{key}' not allowed for linked clones"


@FAMILY.post(VM + "/clone")
def clone(call: Call) -> str:
    """Start a clone; the target is locked while it runs, the source can be cloned again."""
    params, newid = call.params, call.params["newid"]
    require_ready(call.sim)
    source = guests.require(call, "qemu")
    if params.get("pool") is not None and params["pool"] not in call.state.pools:
        raise PveError.forbidden(f"pool '{params['pool']}' does not exist")
    if "storage" in params:
        drives.images_storage(call, params["storage"])
    call.sim.tasks.await_lock(sharing.lock(source.vmid))
    source = guests.require(call, "qemu")
    guests.refuse_locked(source)
    target = _check_target(call, source)
    if newid in call.state.guests:
        raise PveError(500, f"unable to create VM {newid}: config file already exists")
    name = params.get("snapname")
    config = require_snapshot(source, name).config if name else hotplug.expected(source)
    full = bool(params.get("full", 0 if source.template else 1))
    _check_kind(call, source, config, full=full)
    half = {**_target_config(call, source, config), "lock": "clone"}
    call.sim.put_guest(Guest(newid, "qemu", target, half, created=call.sim.clock.now()))
    args = _args(call, source, full=full)
    return call.start(sharing.READER, source.vmid, args=args, lock=sharing.lock(newid))


def _check_target(call: Call, source: Guest) -> str:
    """Return the node that the clone comes to be on: another one must see the disks."""
    target: str = call.params.get("target") or call.node
    if target not in call.state.nodes:
        raise PveError(500, f"no such cluster node '{target}'")
    if target != call.node:
        for drive in machines.disks(source.config):
            storage = call.state.storages.get(drive.file.partition(":")[0])
            if storage is None or not storage.shared:  # text as in public reports
                raise PveError(500, f"can't clone VM to node '{target}' (VM uses local storage)")
    return target


def _check_kind(call: Call, source: Guest, config: Mapping[str, Any], *, full: bool) -> None:
    """Refuse what cannot be cloned in that way (golden 10 seq 126)."""
    if full:
        return
    for key in ("storage", "format"):
        if key in call.params:  # text as in public reports, not recorded
            raise PveError.fields({key: _NOT_LINKED.format(key=key)})
    for drive in machines.disks(config):
        if not (source.template and drives.can_link(call.sim, drive)):
            raise PveError(
                500, f"Linked clone feature is not supported for '{drive.file}' ({drive.key})"
            )


def _target_config(call: Call, source: Guest, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the clone's configuration: everything but disks; it is a machine of its own."""
    sim = call.sim
    kept = {
        key: value
        for key, value in config.items()
        if key not in NOT_CLONED
        and not machines.UNUSED.fullmatch(key)
        and not machines.DRIVE.fullmatch(key)
    }
    kept |= machines.fresh_addresses(sim, kept)
    fixed = {k: v for k, v in config.items() if k == "smbios1"}
    if "smbios1" in fixed:
        values = machines.parse("smbios1", str(fixed["smbios1"]))
        fixed["smbios1"] = machines.render("smbios1", {**values, "uuid": machines.fresh_uuid(sim)})
    if "vmgenid" in config:
        fixed["vmgenid"] = machines.fresh_uuid(sim)
    default = f"Copy-of-VM-{source.config.get('name', source.vmid)}"
    fixed["name"] = call.params.get("name") or default
    if "description" in call.params:
        fixed["description"] = call.params["description"]
    return kept | fixed


def _args(call: Call, source: Guest, *, full: bool) -> dict[str, Any]:
    params = call.params
    return {
        "vmid": source.vmid,
        "newid": params["newid"],
        "full": full,
        "storage": params.get("storage"),
        "format": params.get("format"),
        "snapname": params.get("snapname"),
        "pool": params.get("pool"),
        "bwlimit": params.get("bwlimit", 0),
    }


# --- the worker ---------------------------------------------------------------------------------


def begin_clone(sim: Simulator, task: Task) -> Begun:
    """Make the clone's disks; what goes wrong leaves no clone behind."""
    source = guests.for_task(sim, task.node, "qemu", task.args["vmid"])
    sharing.take_readers_turn(sim, task, source.vmid)
    target = sim.state.guests[task.args["newid"]]
    name = task.args["snapname"]
    config = source.snapshots[name].config if name else hotplug.expected(source)
    log = [f"creating a clone of VM {source.vmid} with ID {target.vmid}"]
    entries: dict[str, str] = {}
    copied = 0
    try:
        for drive in machines.drives(config):
            if not drive.owned:
                entries[drive.key] = drive.text()
                continue
            new, lines = _copy(sim, task, target, drive)
            entries[drive.key] = new.text()
            volume = sim.volumes.find(new.file, target.node)
            copied += volume.used if volume is not None else 0
            log += lines
    except TaskDied as died:
        _undo(sim, task)
        raise TaskDied(f"clone failed: {died}") from died
    sim.put_guest(target, extra={"entries": entries})
    rate = int(task.args["bwlimit"]) * KIB or COPY_BYTES_PER_S
    return Begun(CLONE_S + (copied / rate if task.args["full"] else 0), tuple(log))


def _copy(sim: Simulator, task: Task, target: Guest, drive: Drive) -> tuple[Drive, list[str]]:
    """Make one disk of the clone and return its drive and what that logs."""
    source = sim.state.guests[task.args["vmid"]]
    guests.require_volume(sim, drive.file, source.node)
    original = sim.volumes.find(drive.file, source.node)
    if original is None:
        raise TaskDied(f"volume '{drive.file}' does not exist")
    if drive.is_cloudinit:
        storage = _storage(sim, task, original)
        made = drives.make(
            sim, target, NewDrive(drive.key, storage.name, drives.CLOUDINIT, drive.options)
        )
        return made.drive, []
    if not task.args["full"]:
        volume = _link(sim, target, original)
        word, lines = "linked", [*drives.format_log(sim, volume)]
    else:
        volume = _copy_data(sim, task, target, original)
        size = f"{volume.size / MIB:.1f} MiB"
        word = "full"
        lines = [
            *drives.format_log(sim, volume),
            f"allocated target volume '{volume.volid}'",
            f"transferred {size} of {size} (100.00%)",
        ]
    log = [f"create {word} clone of drive {drive.key} ({drive.file})", *lines]
    return drive.holding(volume.volid, size=print_size(volume.size)), log


def _storage(sim: Simulator, task: Task, original: Volume) -> Storage:
    name = task.args["storage"] if task.args["full"] else None
    try:
        return sim.volumes.storage(name or original.storage)
    except PveError as exc:
        raise TaskDied(exc.message) from exc


def _link(sim: Simulator, target: Guest, base: Volume) -> Volume:
    """Return a disk that holds only what differs from its base."""
    storage = sim.volumes.storage(base.storage)
    able = ability(storage)
    copies = able.files and not able.snapshots  # an image file on top of the base's
    try:
        volume = sim.volumes.allocate(
            storage,
            target.node,
            target.vmid,
            base.size,
            content="images",
            fmt="qcow2" if copies else base.format,
            parent=base.name if copies or not able.files else None,
            data=base.data,
        )
    except PveError as exc:
        raise TaskDied(exc.message) from exc
    return volume


def _copy_data(sim: Simulator, task: Task, target: Guest, original: Volume) -> Volume:
    storage = _storage(sim, task, original)
    if "images" not in storage.content:
        raise TaskDied(f"storage '{storage.name}' does not support vm images")
    able = drives.formats(ability(storage))
    fmt = task.args["format"] or original.format
    kept = _at_snapshot(sim, task).get(original.volid, EMPTY)
    held = replace(original, **kept)
    return drives.allocate(
        sim, target, storage, held.size, fmt=fmt if fmt in able else "raw", source=held
    )


def _at_snapshot(sim: Simulator, task: Task) -> Mapping[str, Any]:
    name = task.args["snapname"]
    return sim.state.guests[task.args["vmid"]].snapshots[name].data if name else EMPTY


def _undo(sim: Simulator, task: Task) -> None:
    target = sim.state.guests.get(task.args["newid"])
    if target is not None:
        for volume in sim.volumes.of_guest(target.vmid, target.node):
            sim.volumes.drop(volume)
        sim.drop_guest(target.vmid)


def finish_clone(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Unlock the clone, give it its disks, and put it into its pool."""
    guests.complete_clone(sim, task, lock="clone")
    return ()


def abort_clone(sim: Simulator, task: Task) -> tuple[str, ...]:
    """A polite stop removes the clone."""
    _undo(sim, task)
    return ()


# --- templates ----------------------------------------------------------------------------------


@FAMILY.post(VM + "/template")
def to_template(call: Call) -> str:
    """Make a VM a template: its disks become bases."""
    guest = guests.require(call, "qemu")
    sharing.await_writers_turn(call, guest.vmid)
    guest = guests.require(call, "qemu")
    guests.require_writable(call.sim, guest)
    guests.refuse_locked(guest)
    if guest.snapshots:
        raise PveError(500, "unable to create template, because VM contains snapshots")
    key = call.params.get("disk")
    if guest.template and key is None:
        raise PveError(500, "you can't convert a template to a template")
    if guest.running:
        raise PveError(500, "you can't convert a VM to template if VM is running")
    args = {"vmid": guest.vmid, "key": key}
    return call.start("qmtemplate", guest.vmid, args=args, lock=sharing.lock(guest.vmid))


def finish_template(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Rename the disks as bases and mark the VM; ``disk`` converts that one alone."""
    guest = writable(sim, task)
    entries: dict[str, Any] = {"template": 1}
    for drive in machines.disks(guest.config):
        volume = sim.volumes.find(drive.file, guest.node)
        if volume is None or task.args["key"] not in (None, drive.key):
            continue
        if "base-" not in volume.name.rpartition("/")[2]:
            entries[drive.key] = drive.holding(sim.volumes.make_base(volume).volid).text()
    sim.put_guest(guest.with_config(entries))
    return ()


FAMILY.worker("qmclone", Worker(begin_clone, finish_clone, abort_clone))
FAMILY.worker("qmtemplate", Worker(finish=finish_template))
