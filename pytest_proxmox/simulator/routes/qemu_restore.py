"""VMs come back from a backup (``POST qemu`` with ``archive``).

The recorded node had no QEMU that could back up, so only the refusal of a container's archive is
recorded (golden 07 seq 104); what a restore does follows Proxmox's public documentation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import drives, hotplug, machines, sharing
from pytest_proxmox.simulator.drives import NewDrive
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.machines import Drive
from pytest_proxmox.simulator.state import EMPTY, Guest, Storage, Task, Volume
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.volumes import ability, print_size
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
RESTORE_S: Final = 0.5
READ_BYTES_PER_S: Final = 60 * 1024 * 1024
KIB: Final = 1024
NOT_RESTORED: Final = ("parent", "vmstate", "lock", "template", "vmgenid")
NOT_CLEANED: Final = (
    "error before or during data restore, some or all disks were not completely restored."
    " VM {vmid} state is NOT cleaned up."
)


def start(call: Call, args: Mapping[str, Any]) -> str:
    """Start the restore of a VM and return the task's UPID."""
    params, vmid = call.params, call.params["vmid"]
    before = call.state.guests.get(vmid)
    if before is None:
        call.sim.put_guest(machines.half_made(call, vmid))
    more = {
        "archive": params["archive"],
        "storage": params.get("storage"),
        "unique": bool(params.get("unique")),
        "over": before is not None,
        "bwlimit": params.get("bwlimit", 0),
    }
    return call.start("qmrestore", vmid, args={**args, **more}, lock=sharing.lock(vmid))


def archive_of(sim: Simulator, task: Task) -> Volume:
    """Return the backup that a worker restores.

    Raises:
        TaskDied: it is not there, or is none of a VM.
    """
    volid, vmid = task.args["archive"], task.args["vmid"]
    volume = sim.volumes.find(volid, task.node)
    if volume is None or "config" not in volume.data:
        raise TaskDied(f"volume '{volid}' does not exist")
    if volume.data.get("kind") != "qemu":
        sim.tasks.log(task.upid, NOT_CLEANED.format(vmid=vmid))
        path = sim.volumes.path(volume)
        raise TaskDied(f"ERROR: file '{path}' does not look like a QemuServer vzdump backup")
    return volume


def begin(sim: Simulator, task: Task) -> Begun:
    """Make the volumes; what fails leaves an existing VM as it was."""
    guest = sim.state.guests[task.args["vmid"]]
    made: list[str] = []
    try:
        archive = archive_of(sim, task)
        entries, log = _make_volumes(sim, task, guest, archive, made)
    except TaskDied as died:
        drives.discard(sim, guest, made)
        if not task.args["over"] and not str(died).startswith("ERROR"):
            sim.drop_guest(guest.vmid)
        raise
    locked = guest.with_config({"lock": "create"})
    sim.put_guest(locked, extra={"entries": entries})
    rate = int(task.args["bwlimit"]) * KIB or READ_BYTES_PER_S
    return Begun(RESTORE_S + archive.used / rate, tuple(log))


def _make_volumes(
    sim: Simulator, task: Task, guest: Guest, archive: Volume, made: list[str]
) -> tuple[dict[str, str], list[str]]:
    """Return the entries of the restored drives, and what making them logs."""
    saved: Mapping[str, Any] = archive.data["volumes"]
    asked, log, _ = drives.make_all(sim, guest, task.args)
    made += machines.volids(asked)
    entries: dict[str, str] = {}
    lines = list(log)
    for drive in machines.drives(archive.data["config"]):
        if drive.key in asked:
            continue
        if drive.is_cloudinit:
            new = drives.make(sim, guest, _cloudinit(sim, task, drive))
            made.append(new.volume.volid)
            entries[drive.key] = new.drive.text()
        elif not drive.owned:
            entries[drive.key] = drive.text()
        elif drive.key in saved:
            volume = _make_volume(sim, task, guest, drive, saved[drive.key])
            made.append(volume.volid)
            size = print_size(volume.size)
            entries[drive.key] = drive.holding(volume.volid, size=size).text()
            lines += drives.format_log(sim, volume)
    return entries | asked, lines


def _cloudinit(sim: Simulator, task: Task, drive: Drive) -> NewDrive:
    name = _target(sim, task, drive).name
    return NewDrive(drive.key, name, drives.CLOUDINIT, drive.options)


def _target(sim: Simulator, task: Task, drive: Drive) -> Storage:
    """Return the storage that a drive is restored to: the one asked for, or where it was.

    Raises:
        TaskDied: it cannot be used for disks.
    """
    name = task.args["storage"] or drive.file.partition(":")[0]
    try:
        storage = sim.volumes.storage(name)
    except PveError as exc:
        raise TaskDied(exc.message) from exc
    if "images" not in storage.content:
        raise TaskDied(f"storage '{name}' does not support vm images")
    return storage


def _make_volume(
    sim: Simulator, task: Task, guest: Guest, drive: Drive, saved: Mapping[str, Any]
) -> Volume:
    storage = _target(sim, task, drive)
    fmt = saved["format"] if saved["format"] in drives.formats(ability(storage)) else "raw"
    source = Volume(drive.file, "", "images", fmt, saved["size"], saved["used"], data=saved["data"])
    return drives.allocate(sim, guest, storage, saved["size"], fmt=fmt, source=source)


def finish(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Write the configuration from the backup with what the request changes."""
    guest = sim.state.guests[task.args["vmid"]]
    archive = archive_of(sim, task)
    entries: Mapping[str, str] = guest.extra["entries"]
    if task.args["over"]:
        for volid in _old_volumes(guest, entries):
            hotplug.drop(sim, guest, volid)
    saved = archive.data["config"]
    config = {key: value for key, value in saved.items() if _is_restored(key)}
    if task.args["unique"]:
        config |= machines.fresh_addresses(sim, config)
        config |= machines.identity(sim)
    elif "vmgenid" in saved:
        config["vmgenid"] = machines.fresh_uuid(sim)
    config |= {**task.args["config"], **entries}
    sim.put_guest(guest, config=config, snapshots=EMPTY, pending=EMPTY, extra=EMPTY)
    machines.settle(sim, task)
    return ()


def _is_restored(key: str) -> bool:
    return (
        key not in NOT_RESTORED
        and not machines.DRIVE.fullmatch(key)
        and not machines.UNUSED.fullmatch(key)
    )


def _old_volumes(guest: Guest, entries: Mapping[str, str]) -> Iterator[str]:
    new = set(machines.volids(entries))
    for config in (guest.config, *(snapshot.config for snapshot in guest.snapshots.values())):
        yield from (volid for volid in machines.volids(config) if volid not in new)


def abort(sim: Simulator, task: Task) -> tuple[str, ...]:
    """A polite stop removes what was made."""
    guest = sim.state.guests.get(task.args["vmid"])
    if guest is None:
        return ()
    drives.discard(sim, guest, machines.volids(guest.extra.get("entries", EMPTY)))
    if task.args["over"]:
        sim.put_guest(replace(guest.with_config({}, remove=("lock",)), extra=EMPTY))
    else:
        sim.drop_guest(guest.vmid)
    return ()


FAMILY.worker("qmrestore", Worker(begin, finish, abort))
