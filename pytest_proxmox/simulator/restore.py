"""Guests come back from a backup (golden 07 and 14)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import containers, guests
from pytest_proxmox.simulator.state import EMPTY, MIB, Guest, Task, Volume, altered
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.volumes import print_size
from pytest_proxmox.simulator.wire import PveError
from pytest_proxmox.values import GuestKind

if TYPE_CHECKING:
    from pytest_proxmox.simulator.family import Call
    from pytest_proxmox.simulator.simulator import Simulator

READ_BYTES_PER_S: Final = 60 * MIB
NOT_CONFIG: Final = frozenset(
    [
        "vmid",
        "node",
        "ostemplate",
        "storage",
        "pool",
        "force",
        "restore",
        "start",
        "unique",
        "password",
        "ssh-public-keys",
        "bwlimit",
        "ignore-unpack-errors",
        "ha-managed",
    ]
)


def check_overwrite(call: Call, kind: GuestKind, vmid: int) -> None:
    """Refuse to restore over a guest that must not be lost.

    Raises:
        PveError: it is of the other kind or elsewhere, runs, is protected, or 403.
    """
    guest = call.state.guests[vmid]
    if (guest.kind, guest.node) != (kind, call.node):
        raise PveError(500, guests.exists_text(call.sim, vmid) or "")
    call.require(f"/vms/{vmid}", "VM.Backup")
    short = guests.SHORT[kind]
    if guest.protected:
        raise PveError(500, f"unable to restore {short} {vmid} - protection mode enabled")
    if guest.running:
        what = "container" if kind == "lxc" else "VM"
        raise PveError(500, f"can't overwrite running {what}")
    guests.refuse_locked(guest)


def start_lxc(call: Call, storage: str) -> str:
    """Start the restore of a container and return the task's UPID."""
    params, vmid = call.params, call.params["vmid"]
    if "rootfs" not in params:
        containers.require_rootdir(call, storage)
    mounts = {k: v for k, v in params.items() if containers.MOUNT.fullmatch(k)}
    fresh, kept = (
        containers.wanted_mounts(call, mounts, default_storage=storage) if mounts else ([], {})
    )
    before = call.state.guests.get(vmid)
    args = {
        "vmid": vmid,
        "archive": params["ostemplate"],
        "storage": storage,
        "fresh": [[m.key, m.storage, m.gib, dict(m.options)] for m in fresh],
        "kept": kept,
        "config": {k: v for k, v in params.items() if k not in NOT_CONFIG and k not in mounts},
        "unique": bool(params.get("unique")),
        "start": bool(params.get("start")),
        "pool": params.get("pool"),
        "over": before is not None,
    }
    if before is None:
        half = Guest(vmid, "lxc", call.node, {"lock": "create"}, created=call.sim.clock.now())
        call.sim.put_guest(half)
    lock = guests.lock_file("lxc", vmid)
    return call.start("vzrestore", vmid, args=args, lock=lock)


def archive_of(sim: Simulator, task: Task) -> Volume:
    """Return the backup that a worker restores.

    Raises:
        TaskDied: it is not there.
    """
    volid = task.args["archive"]
    volume = sim.volumes.find(volid, task.node)
    if volume is None or "config" not in volume.data:
        raise TaskDied(f"volume '{volid}' does not exist")
    return volume


def begin(sim: Simulator, task: Task) -> Begun:
    """Make the volumes; what fails leaves things as they were."""
    guest = sim.state.guests[task.args["vmid"]]
    log = (f"recovering backed-up configuration from '{task.args['archive']}'",)
    sim.tasks.log(task.upid, *log)
    made: list[str] = []
    try:
        archive = archive_of(sim, task)
        entries = _make_volumes(sim, task, guest, archive, made)
    except TaskDied as died:
        for volid in made:
            volume = sim.volumes.find(volid, guest.node)
            if volume is not None:
                sim.volumes.drop(volume)
        if not task.args["over"]:
            sim.drop_guest(guest.vmid)
        raise TaskDied(f"unable to restore CT {guest.vmid} - {died}") from died
    locked = guest.with_config({"lock": "create"})
    sim.put_guest(locked, extra={"entries": entries})
    return Begun(0.5 + archive.used / READ_BYTES_PER_S)


def _make_volumes(
    sim: Simulator, task: Task, guest: Guest, archive: Volume, made: list[str]
) -> dict[str, str]:
    wanted = {key: (storage, gib, opts) for key, storage, gib, opts in task.args["fresh"]}
    entries: dict[str, str] = dict(task.args["kept"])
    saved: Mapping[str, Any] = archive.data["volumes"]
    for key, values in containers.mounts(archive.data["config"]):
        if key in entries or key not in saved:
            continue
        storage, gib, options = wanted.pop(key, (task.args["storage"], None, None))
        size = saved[key]["size"]
        entry = _make_volume(sim, guest, storage, saved[key], gib)
        made.append(entry.volid)
        chosen = options if options is not None else values
        shown = print_size(entry.size or size)
        entries[key] = containers.render(key, {**chosen, "volume": entry.volid, "size": shown})
    for key, (storage, gib, options) in wanted.items():
        mount = containers.NewMount(key, storage, gib, options)
        entries[key], _ = containers.make_mount(sim, guest, mount)
        made.append(containers.parse(key, entries[key])["volume"])
    return entries


def _make_volume(
    sim: Simulator, guest: Guest, name: str, saved: Mapping[str, Any], gib: str | None
) -> Volume:
    try:
        storage = sim.volumes.storage(name)
        return sim.volumes.allocate(
            storage,
            guest.node,
            guest.vmid,
            saved["size"] if gib is None else containers.gib_to_bytes(gib),
            content="rootdir",
            fmt=saved["format"],
            used=saved["used"],
            data=saved["data"],
        )
    except PveError as exc:
        raise TaskDied(exc.message) from exc


def finish(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Write the configuration from the backup with what the request changes."""
    guest = sim.state.guests[task.args["vmid"]]
    archive = archive_of(sim, task)
    entries = guest.extra["entries"]
    if task.args["over"]:
        _drop_old(sim, guest, entries)
    config = {
        key: value
        for key, value in archive.data["config"].items()
        if not containers.MOUNT.fullmatch(key)
        and not containers.UNUSED.fullmatch(key)
        and key != "template"
    }
    if task.args["unique"]:
        config |= _fresh_addresses(sim, config)
    config |= containers.normalize(sim, task.args["config"])
    config |= entries
    sim.put_guest(guest, config=config, snapshots=EMPTY, pending=EMPTY, extra=EMPTY)
    pool = task.args["pool"]
    if pool and pool in sim.state.pools:
        sim.state.members[guest.vmid] = pool
    if task.args["start"]:
        sim.tasks.start_after(task, "vzstart", guest.vmid, guests.lock_file("lxc", guest.vmid))
    return ()


def _drop_old(sim: Simulator, guest: Guest, entries: Mapping[str, str]) -> None:
    new = {containers.parse(key, value)["volume"] for key, value in entries.items()}
    for volid in containers.volids(guest.config):
        volume = sim.volumes.find(volid, guest.node)
        if volume is not None and volid not in new:
            sim.volumes.drop(volume)


def _fresh_addresses(sim: Simulator, config: Mapping[str, Any]) -> dict[str, str]:
    fresh = {}
    for key, value in config.items():
        if containers.NET.fullmatch(key):
            values = containers.parse(key, str(value)) | {"hwaddr": guests.mac_address(sim)}
            fresh[key] = containers.render(key, values)
    return fresh


def abort(sim: Simulator, task: Task) -> tuple[str, ...]:
    """A polite stop removes what was made."""
    guest = sim.state.guests.get(task.args["vmid"])
    if guest is None:
        return ()
    for key, value in guest.extra.get("entries", EMPTY).items():
        volume = sim.volumes.find(containers.parse(key, value)["volume"], guest.node)
        if volume is not None:
            sim.volumes.drop(volume)
    if task.args["over"]:
        sim.put_guest(altered(guest.with_config({}, remove=("lock",)), extra=EMPTY))
    else:
        sim.drop_guest(guest.vmid)
    return ()


WORKER: Final = Worker(begin, finish, abort)
