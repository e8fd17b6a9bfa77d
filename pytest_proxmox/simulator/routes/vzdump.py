"""Backups: the vzdump task (golden 07)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import archives, containers, guests, restore
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.quorum import is_quorate
from pytest_proxmox.simulator.state import MIB, Guest, Storage, Task, Volume
from pytest_proxmox.simulator.tasks import LOCK_WAIT_S, Begun, NotYet, TaskDied, Worker
from pytest_proxmox.simulator.volumes import Volumes
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
GLOBAL_LOCK: Final = "/run/vzdump.lock"
GLOBAL_LOCK_WAIT_S: Final = 180 * 60.0  # vzdump waits hours for another vzdump
WRITE_BYTES_PER_S: Final = 60 * MIB
KIB: Final = 1024
FAILED: Final = "job errors"


@FAMILY.post("/nodes/{node}/vzdump")
def vzdump(call: Call) -> str:
    """Start a backup; most of what can be wrong shows in the task."""
    params = call.params
    chosen = _chosen(call)
    if params.get("storage"):
        call.require(f"/storage/{params['storage']}", "Datastore.AllocateSpace")
    if params.get("pool") and params["pool"] not in call.state.pools:
        raise PveError(500, f"pool '{params['pool']}' does not exist")
    if chosen and all(_elsewhere(call, vmid) for vmid in chosen):
        return "OK"
    vmids = chosen or _all(call)
    args = {
        "vmids": [vmid for vmid in vmids if not _elsewhere(call, vmid)],
        "storage": params.get("storage", "local"),
        "compress": {"1": "lzo"}.get(
            str(params.get("compress", "0")), str(params.get("compress", "0"))
        ),
        "notes": params.get("notes-template"),
        "protected": bool(params.get("protected")),
        "prune": params.get("prune-backups"),
        "remove": params.get("remove", 1) != 0,
        "bwlimit": params.get("bwlimit", 0),
        "mode": params.get("mode", "snapshot"),
        "forbidden": [v for v in vmids if not call.may(f"/vms/{v}", "VM.Backup")],
        "lock_wait_s": GLOBAL_LOCK_WAIT_S,
    }
    ident = chosen[0] if len(chosen) == 1 else ""
    return call.start("vzdump", ident, args=args, lock=f"{call.node}:{GLOBAL_LOCK}")


def _chosen(call: Call) -> list[int]:
    params = call.params
    if params.get("vmid") and params.get("all"):
        raise PveError.fields({"all": "option conflicts with option 'vmid'"})
    if params.get("pool"):
        return sorted(v for v, pool in call.state.members.items() if pool == params["pool"])
    if not params.get("vmid") and not params.get("all"):
        raise PveError.fields({"vmid": "property is missing"})
    text = str(params.get("vmid", "")).replace(";", ",").replace(" ", ",")
    return [int(part) for part in text.split(",") if part]


def _all(call: Call) -> list[int]:
    excluded = {int(v) for v in str(call.params.get("exclude", "")).split(",") if v.isdigit()}
    return sorted(
        guest.vmid
        for guest in call.state.guests.values()
        if guest.node == call.node and guest.vmid not in excluded
    )


def _elsewhere(call: Call, vmid: int) -> bool:
    guest = call.state.guests.get(vmid)
    return guest is not None and guest.node != call.node


# --- the worker ---------------------------------------------------------------------------------


def _storage(sim: Simulator, task: Task) -> Storage:
    name = task.args["storage"]
    try:
        storage = sim.volumes.storage(name, node=task.node)
    except PveError as exc:
        text = f"could not activate storage '{name}': {exc.message}"
        also = f"could not get storage information for '{name}': {exc.message}"
        raise TaskDied(f"{text} {also}") from exc
    if "backup" not in storage.content:
        raise TaskDied(
            f"could not get storage information for '{name}': can't use storage '{name}' for"
            " backups - wrong content type"
        )
    return storage


def begin(sim: Simulator, task: Task) -> Begun:
    """Lock every guest that can be backed up; the others make the job fail."""
    storage = _storage(sim, task)
    log = [f"INFO: starting new backup job: vzdump {' '.join(map(str, task.args['vmids']))}"]
    locked: list[int] = []
    size = 0
    for vmid in task.args["vmids"]:
        problem = _problem(sim, task, vmid)
        if problem is not None:
            log.append(f"ERROR: Backup of VM {vmid} failed - {problem}")
            continue
        guest = sim.state.guests[vmid]
        log += [f"INFO: Starting Backup of VM {vmid} ({guest.kind})", *_mode(task, guest)]
        size += sum(volume.used for volume in _volumes(sim, guest).values())
        sim.put_guest(guest.with_config({"lock": "backup"}))
        locked.append(vmid)
    _, avail = sim.volumes.usage(storage, task.node)
    args = {
        **task.args,
        "locked": locked,
        "full": size > avail,
        "failed": len(locked) < len(task.args["vmids"]),
    }
    sim.state.tasks[task.upid] = replace(task, args=args)
    rate = int(task.args["bwlimit"]) * KIB or WRITE_BYTES_PER_S
    return Begun(1.0 + size / rate, tuple(log))


def _mode(task: Task, guest: Guest) -> tuple[str, ...]:
    mode = task.args["mode"] if guest.running else "stop"
    return (f"INFO: status = {guest.status}", f"INFO: backup mode: {mode}")


def _problem(sim: Simulator, task: Task, vmid: int) -> str | None:
    guest = sim.state.guests.get(vmid)
    if guest is None:
        return f"unable to find VM '{vmid}'"
    if vmid in task.args["forbidden"]:
        return f"Permission check failed (/vms/{vmid}, VM.Backup)"
    lock = guests.lock_file(guest.kind, vmid)
    holder = sim.tasks.holder(lock)
    if holder is not None:
        if holder.due > task.starttime + LOCK_WAIT_S:
            return f"can't lock file '{lock}' - got timeout"
        raise NotYet(holder.due)
    if guest.lock:
        return guests.lock_text(guest)
    if not is_quorate(sim):
        return guests.unwritable(sim, guest)
    for volid in _keys(guest).values():
        try:
            guests.require_volume(sim, volid, guest.node)
        except TaskDied as died:
            return str(died)
    return None


def _keys(guest: Guest) -> dict[str, str]:
    """Return the volumes that a backup includes, by configuration key.

    Mount points of containers are included only with ``backup=1``, disks of VMs unless
    ``backup=0``.
    """
    found: dict[str, str] = {}
    if guest.kind == "lxc":
        for key, values in containers.mounts(guest.config):
            if ":" in str(values["volume"]) and (key == "rootfs" or values.get("backup")):
                found[key] = str(values["volume"])
        return found
    for key, value in guest.config.items():
        volid, _, options = str(value).partition(",")
        is_disk = key.rstrip("0123456789") in (
            "scsi",
            "virtio",
            "sata",
            "ide",
            "efidisk",
            "tpmstate",
        )
        wanted = "media=cdrom" not in options and "backup=0" not in options
        if is_disk and wanted and ":" in volid:
            found[key] = volid
    return found


def _volumes(sim: Simulator, guest: Guest) -> dict[str, Volume]:
    found = {}
    for key, volid in _keys(guest).items():
        volume = sim.volumes.find(volid, guest.node)
        if volume is not None:
            found[key] = volume
    return found


def finish(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Write the archives, unlock the guests, and prune what retention does not keep."""
    storage = _storage(sim, task)
    log: list[str] = []
    for vmid in task.args["locked"]:
        guest = _unlock(sim, vmid)
        if guest is None or task.args["full"]:
            log.append(f"ERROR: Backup of VM {vmid} failed - no space left on device")
            continue
        volume = _write(sim, task, storage, guest)
        log.append(f"INFO: creating vzdump archive '{sim.volumes.path(volume)}'")
        if task.args["remove"]:
            log += _prune(sim, task, storage, vmid)
        log.append(f"INFO: Finished Backup of VM {vmid} (00:00:01)")
    if task.args["failed"] or task.args["full"]:
        sim.tasks.log(task.upid, *log, f"INFO: Backup job finished with errors\n{FAILED}")
        raise TaskDied(FAILED)
    return (*log, "INFO: Backup job finished successfully")


def _unlock(sim: Simulator, vmid: int) -> Guest | None:
    guest = sim.state.guests.get(vmid)
    if guest is None or guest.lock != "backup":
        return guest
    return sim.put_guest(guest.with_config({}, remove=("lock",)))


def _write(sim: Simulator, task: Task, storage: Storage, guest: Guest) -> Volume:
    compress = task.args["compress"]
    moment = float(task.starttime)
    place = sim.volumes.node_of(storage, task.node)
    while (place, f"{storage.name}:{archives.name(guest, moment, compress)}") in sim.state.volumes:
        moment += 1.0  # two backups within a second must not share a name
    used = sum(volume.used for volume in _volumes(sim, guest).values())
    size = archives.EMPTY_ARCHIVE + int(used * archives.RATIO[compress])
    held = archives.holdings(sim, guest, _keys(guest))
    return sim.volumes.put(
        Volume(
            f"{storage.name}:{archives.name(guest, moment, compress)}",
            place,
            "backup",
            archives.SUFFIX[guest.kind, compress],
            size,
            size,
            guest.vmid,
            int(moment),
            notes=_notes(sim, task.args["notes"], guest),
            protected=task.args["protected"],
            data=held,
        )
    )


def _notes(sim: Simulator, template: str | None, guest: Guest) -> str | None:
    if template is None:
        return None
    values = {
        "cluster": sim.state.settings["cluster.name"] or "standalone node - no cluster",
        "guestname": guest.name,
        "node": guest.node,
        "vmid": str(guest.vmid),
    }
    text = template
    for key, value in values.items():
        text = text.replace("{{" + key + "}}", value)
    return text.replace("\\n", "\n")


def archives_of(volumes: Volumes, storage: Storage, node: str, vmid: int) -> list[Volume]:
    """Return the backups of a guest on a storage."""
    return [v for v in volumes.listing(storage, node) if v.content == "backup" and v.vmid == vmid]


def _prune(sim: Simulator, task: Task, storage: Storage, vmid: int) -> Iterator[str]:
    rules = archives.retention(task.args["prune"] or storage.config.get("prune-backups"))
    found = archives_of(sim.volumes, storage, task.node, vmid)
    for volid, mark in archives.marks(found, rules).items():
        volume = sim.volumes.find(volid, task.node)
        if mark == "remove" and volume is not None:
            sim.volumes.drop(volume)
            yield f"INFO: removing backup '{volid}'"


def abort(sim: Simulator, task: Task) -> tuple[str, ...]:
    """A polite stop unlocks the guests and leaves no archive."""
    for vmid in task.args.get("locked", ()):
        _unlock(sim, vmid)
    return ("ERROR: Backup job failed - interrupted by signal",)


@FAMILY.get("/nodes/{node}/vzdump/extractconfig")
def extract_config(call: Call) -> str:
    """Return the configuration in a backup as text."""
    volid = call.params["volume"]
    volume = call.sim.volumes.find(volid, call.node)
    if volume is None or "config" not in volume.data:
        raise PveError(500, f"volume '{volid}' does not exist")
    config: Mapping[str, Any] = volume.data["config"]
    return archives.config_text(config)


@FAMILY.get("/nodes/{node}/vzdump/defaults")
def defaults(call: Call) -> dict[str, Any]:
    """Return what a backup uses where the request says nothing."""
    found: dict[str, Any] = {
        "all": 0,
        "bwlimit": 0,
        "compress": "0",
        "fleecing": {"enabled": 0},
        "ionice": 7,
        "lockwait": 180,
        "mailnotification": "always",
        "mode": "snapshot",
        "notification-mode": "auto",
        "performance": {"max-workers": 16, "pbs-entries-max": 1048576},
        "pigz": 0,
        "prune-backups": "keep-all=1",
        "quiet": 0,
        "remove": 1,
        "stdexcludes": 1,
        "stop": 0,
        "stopwait": 10,
        "zstd": 1,
    }
    name = call.params.get("storage")
    if name:
        storage = call.sim.volumes.storage(name)
        found |= {"storage": name, "dumpdir": f"{storage.path}/dump"}
        found["prune-backups"] = storage.config.get("prune-backups", "keep-all=1")
    return found


FAMILY.worker("vzdump", Worker(begin, finish, abort))
FAMILY.worker("vzrestore", restore.WORKER)
