"""Storages: definitions, status, volumes, uploads and downloads (golden 07, 08 and 11)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import archives
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.populate import content_of
from pytest_proxmox.simulator.quorum import is_quorate
from pytest_proxmox.simulator.state import GIB, Storage, Task, Volume
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.volumes import ability, parse_size
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
CONFIG: Final = "/storage"
NODE: Final = "/nodes/{node}/storage"
ONE: Final = NODE + "/{storage}"
CONTENT: Final = ONE + "/content"
NEW_SIZE: Final = 100 * GIB  # what a storage made by a request offers
BLOCK: Final = 4096
REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "btrfs": ("path",),
    "cifs": ("server", "share"),
    "dir": ("path",),
    "esxi": ("server", "username", "password"),
    "iscsi": ("portal", "target"),
    "lvm": ("vgname",),
    "lvmthin": ("thinpool", "vgname"),
    "nfs": ("server", "export"),
    "pbs": ("server", "datastore"),
    "zfspool": ("pool",),
}
DEFAULT_CONTENT: Final[Mapping[str, str]] = {
    "cephfs": "backup",
    "iscsi": "images",
    "lvm": "images,rootdir",
    "pbs": "backup",
}
NETWORKED: Final = ("nfs", "cifs", "cephfs", "rbd", "pbs", "iscsi", "iscsidirect")
SECRETS: Final = ("password", "keyring", "encryption-key", "master-pubkey")
_OWNER: Final = re.compile(r"(?:(?:vm|base|subvol)-)?(\d+)[/-]")  # 100/x.raw, vm-100-disk-0
FORMATS: Final = ("qcow2", "raw", "subvol", "vmdk")


# --- definitions --------------------------------------------------------------------------------


def _definition(storage: Storage) -> dict[str, Any]:
    """Return a storage as its definition shows it."""
    found: dict[str, Any] = {
        "storage": storage.name,
        "type": storage.type,
        "content": ",".join(storage.content),
    }
    if storage.path:
        found["path"] = storage.path
    if storage.shared and storage.type not in NETWORKED:
        found["shared"] = 1
    hidden = (*SECRETS, "made")
    return found | {key: value for key, value in storage.config.items() if key not in hidden}


def _digest(call: Call) -> str:
    """Return the checksum of all definitions: they are one file."""
    digest: str = call.sim.digest_of([_definition(s) for s in call.state.storages.values()])
    return digest


def _visible(call: Call, storage: Storage) -> bool:
    return call.may(
        f"/storage/{storage.name}", "Datastore.Audit", "Datastore.AllocateSpace", either=True
    )


@FAMILY.get(CONFIG)
def list_definitions(call: Call) -> list[dict[str, Any]]:
    """Return the definitions of all storages that the caller may see."""
    wanted = call.params.get("type")
    digest = _digest(call)
    return [
        _definition(storage) | {"digest": digest}
        for storage in call.state.storages.values()
        if _visible(call, storage) and wanted in (None, storage.type)
    ]


@FAMILY.post(CONFIG)
def define(call: Call) -> dict[str, Any]:
    """Define a storage."""
    params = call.params
    name, kind = params["storage"], params["type"]
    _require_quorum(call, "create storage failed")
    if name in call.state.storages:
        raise PveError(500, f"create storage failed: storage ID '{name}' already defined")
    for key in REQUIRED.get(kind, ()):
        if key not in params:
            raise PveError(500, f"missing value for required option '{key}'")
    content = params.get("content") or DEFAULT_CONTENT.get(kind, "images,rootdir")
    fixed = ("storage", "type", "content", "path", "shared")
    config = {key: value for key, value in params.items() if key not in fixed}
    path = params.get("path") or (f"/mnt/pve/{name}" if kind in ("nfs", "cifs", "cephfs") else "")
    shared = bool(params.get("shared")) or kind in NETWORKED
    call.state.storages[name] = Storage(
        name, kind, tuple(content.split(",")), NEW_SIZE, path, None, shared, config
    )
    return {"storage": name, "type": kind}


def _require_quorum(call: Call, what: str) -> None:
    if not is_quorate(call.sim):
        raise PveError(500, f"{what}: cfs-lock 'file-storage_cfg' error: no quorum!")


@FAMILY.get(CONFIG + "/{storage}")
def read_definition(call: Call) -> dict[str, Any]:
    """Return the definition of a storage."""
    storage = call.state.storages.get(call.params["storage"])
    if storage is None:
        raise PveError(500, f"storage '{call.params['storage']}' does not exist")
    return _definition(storage) | {"digest": _digest(call)}


@FAMILY.put(CONFIG + "/{storage}")
def change_definition(call: Call) -> dict[str, Any]:
    """Change and delete options of a storage."""
    params = call.params
    name = params["storage"]
    _require_quorum(call, "update storage failed")
    storage = call.state.storages.get(name)
    if storage is None:
        raise PveError(500, f"update storage failed: storage '{name}' does not exist")
    if params.get("digest") and params["digest"] != _digest(call):
        raise PveError(
            500, "detected modified configuration - file changed by other user? Try again."
        )
    removed = [key for key in str(params.get("delete", "")).split(",") if key]
    changes = {k: v for k, v in params.items() if k not in ("storage", "delete", "digest")}
    content = changes.pop("content", None)
    shared = bool(changes.pop("shared", storage.shared))
    config = {k: v for k, v in storage.config.items() if k not in removed} | changes
    kept = tuple(content.split(",")) if content else storage.content
    call.state.storages[name] = replace(storage, config=config, content=kept, shared=shared)
    return {"storage": name, "type": storage.type}


@FAMILY.delete(CONFIG + "/{storage}")
def undefine(call: Call) -> None:
    """Remove a definition; the volumes stay where they are (golden 11 seq 138)."""
    name = call.params["storage"]
    _require_quorum(call, "delete storage failed")
    if name not in call.state.storages:
        raise PveError(500, f"delete storage failed: storage '{name}' does not exist")
    del call.state.storages[name]
    for poolid, pool in list(call.state.pools.items()):
        if name in pool.storages:
            kept = tuple(other for other in pool.storages if other != name)
            call.state.pools[poolid] = replace(pool, storages=kept)


# --- status -------------------------------------------------------------------------------------


def status_of(call: Call, storage: Storage) -> dict[str, Any]:
    """Return how full a storage is, as seen from the call's node."""
    used, avail = call.sim.volumes.usage(storage, call.node)
    active = not storage.disabled
    return {
        "type": storage.type,
        "content": ",".join(storage.content),
        "shared": int(storage.shared),
        "enabled": int(active),
        "active": int(active),
        "total": used + avail if active else 0,
        "used": used if active else 0,
        "avail": avail if active else 0,
    }


@FAMILY.get(NODE)
def list_status(call: Call) -> list[dict[str, Any]]:
    """Return the storages of a node that the caller may see, with how full they are."""
    params = call.params
    wanted = {kind for kind in str(params.get("content", "")).split(",") if kind}
    target = params.get("target")
    found = []
    for storage in call.state.storages.values():
        here = call.sim.volumes.is_on(storage, call.node) and _visible(call, storage)
        there = target is None or (target in call.state.nodes and storage.shared)
        fits = params.get("storage") in (None, storage.name)
        if not (here and there and fits) or (wanted and not wanted & set(storage.content)):
            continue
        if params.get("enabled") and storage.disabled:
            continue
        found.append(_status_row(call, storage))
    return found


def _status_row(call: Call, storage: Storage) -> dict[str, Any]:
    row = status_of(call, storage) | {"storage": storage.name}
    if row["total"]:
        row["used_fraction"] = row["used"] / row["total"]
    if call.params.get("format") and ability(storage).files:
        default = str(storage.config.get("format", "raw"))
        row["format"] = [dict.fromkeys(FORMATS, 1), default]
        row["formats"] = {"supported": list(FORMATS), "default": default}
    return row


@FAMILY.get(ONE)
def index(call: Call) -> list[dict[str, str]]:
    """Return what there is below a storage."""
    names = "content download-url file-restore import-metadata oci-registry-pull prunebackups rrd"
    return [{"subdir": name} for name in [*names.split(), "rrddata", "status", "upload"]]


@FAMILY.get(ONE + "/status")
def status(call: Call) -> dict[str, Any]:
    """Return how full a storage is."""
    storage = call.state.storages.get(call.params["storage"])
    if storage is None:
        raise PveError.fields({"storage": "No such storage."})
    return status_of(call, storage)


# --- volumes ------------------------------------------------------------------------------------


def _row(volume: Volume) -> dict[str, Any]:
    """Return a volume as listings show it."""
    found: dict[str, Any] = {
        "volid": volume.volid,
        "content": volume.content,
        "format": volume.format,
        "size": volume.size,
    }
    if volume.format != "subvol":
        found["ctime"] = volume.ctime
    if volume.vmid is not None:
        found["vmid"] = volume.vmid
    if volume.content in ("images", "rootdir"):
        found |= {"parent": volume.parent, "used": volume.used}
    if volume.content == "backup":
        found["subtype"] = archives.subtype(volume)
        if volume.notes:
            found["notes"] = volume.notes.split("\n")[0]
        if volume.protected:
            found["protected"] = 1
    return found


@FAMILY.get(CONTENT)
def list_volumes(call: Call) -> list[dict[str, Any]]:
    """Return the volumes of a storage that the caller may see."""
    params = call.params
    storage = call.sim.volumes.storage(params["storage"], node=call.node)
    wanted = {kind for kind in str(params.get("content", "")).split(",") if kind}
    return [
        _row(volume)
        for volume in call.sim.volumes.listing(storage, call.node)
        if (not wanted or volume.content in wanted)
        and params.get("vmid") in (None, volume.vmid)
        and _may_see(call, volume)
    ]


def _may_see(call: Call, volume: Volume) -> bool:
    """A backup shows only to who may back its guest up (golden 14 seq 86)."""
    if volume.vmid is None or call.may(f"/storage/{volume.storage}", "Datastore.Allocate"):
        return True
    wanted = "VM.Backup" if volume.content == "backup" else "VM.Audit"
    return call.may(f"/vms/{volume.vmid}", wanted)


@FAMILY.post(CONTENT)
def allocate(call: Call) -> str:
    """Make an empty disk and return its volume id."""
    params = call.params
    storage = call.sim.volumes.storage(params["storage"], node=call.node)
    filename, vmid = params["filename"], params["vmid"]
    name = f"{vmid}/{filename}" if ability(storage).files else filename
    volid = f"{storage.name}:{name}"
    size = parse_size(params["size"]) if not str(params["size"]).isdigit() else 0
    size = size or int(params["size"]) * 1024  # a bare number is in KiB
    suffix = filename.rpartition(".")[2]
    fmt = params.get("format") or (suffix if suffix in FORMATS else "raw")
    place = call.sim.volumes.node_of(storage, call.node)
    now = int(call.sim.clock.now())
    volume = Volume(volid, place, "images", fmt, size, BLOCK, vmid, now)
    if call.sim.volumes.find(volid, call.node) is not None:
        raise PveError(500, f"disk image '{call.sim.volumes.path(volume)}' already exists")
    call.sim.volumes.put(volume)
    return volid


def _volid(call: Call) -> str:
    """Return the volume id in a path, which may leave the storage out.

    Raises:
        PveError: it names another storage, or is no name of a volume.
    """
    text, storage = str(call.params["volume"]), call.params["storage"]
    if ":" in text:
        given = text.partition(":")[0]
        if given != storage:
            text = f"storage ID mismatch ({given} != {storage})\n"
            raise PveError.fields({"volume": text})
        return text
    known = call.state.storages.get(storage)
    if known is not None and ability(known).files and "/" not in text:
        raise PveError(500, f"unable to parse directory volume name '{text}'")
    return f"{storage}:{text}"


@FAMILY.get(CONTENT + "/{volume}")
def read_volume(call: Call) -> dict[str, Any]:
    """Return a volume's size, format and path."""
    volume = _existing(call)
    found: dict[str, Any] = {
        "path": call.sim.volumes.path(volume),
        "size": volume.size,
        "used": volume.used,
        "format": "raw" if volume.content == "backup" else volume.format,
    }
    if volume.content == "backup":
        if volume.notes is not None:
            found["notes"] = volume.notes
        if volume.protected:
            found["protected"] = 1
    return found


def _existing(call: Call) -> Volume:
    volid = _volid(call)
    volume = call.sim.volumes.find(volid, call.node)
    if volume is None:
        raise PveError(500, f"volume_size_info on '{volid}' failed - no format")
    if not _may_see(call, volume):
        raise PveError.forbidden(f"/vms/{volume.vmid}, VM.Backup")
    return volume


@FAMILY.put(CONTENT + "/{volume}")
def change_volume(call: Call) -> None:
    """Change the notes and the protection of a backup."""
    volume = _existing(call)
    if volume.content != "backup":
        raise PveError(500, "update of this volume is not supported: it is no backup")
    params = call.params
    changed = replace(
        volume,
        notes=params.get("notes", volume.notes),
        protected=bool(params.get("protected", volume.protected)),
    )
    call.sim.volumes.put(changed)


@FAMILY.post(CONTENT + "/{volume}")
def copy_volume(call: Call) -> str:
    """Start a copy of a volume under another name."""
    volume = _existing(call)
    target = str(call.params["target"])
    target = target if ":" in target else f"{volume.storage}:{target}"
    node = call.params.get("target_node", call.node)
    if node not in call.state.nodes:
        raise PveError(500, f"no such cluster node '{node}'")
    call.sim.volumes.storage(target.partition(":")[0], node=node)
    args = {"source": volume.volid, "target": target, "node": node}
    return call.start("imgcopy", "", args=args)


def finish_copy(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Make the copy, for the guest that its name shows; what is there is never overwritten."""
    volume = sim.volumes.find(task.args["source"], task.node)
    if volume is None:
        raise TaskDied(f"volume '{task.args['source']}' does not exist")
    target, node = str(task.args["target"]), str(task.args["node"])
    storage = sim.volumes.storage(target.partition(":")[0], node=node)
    if sim.volumes.find(target, node) is not None:
        raise TaskDied(f"volume '{target}' already exists")
    owner = owner_of(target)
    copy = replace(
        volume,
        volid=target,
        node=sim.volumes.node_of(storage, node),
        vmid=volume.vmid if owner is None else owner,
        ctime=int(sim.clock.now()),
        parent=None,
        protected=False,
    )
    sim.volumes.put(copy)
    return (f"copied '{volume.volid}' to '{target}'",)


@FAMILY.delete(CONTENT + "/{volume}")
def remove_volume(call: Call) -> str | None:
    """Remove a volume; one that is not there is removed all the same (golden README, 10)."""
    volid = _volid(call)
    volume = call.sim.volumes.find(volid, call.node)
    owner = volume.vmid if volume is not None else owner_of(volid)
    if owner is not None and volid.partition(":")[2].startswith("backup/"):
        if not call.may(f"/storage/{call.params['storage']}", "Datastore.Allocate"):
            call.require(f"/vms/{owner}", "VM.Backup")
    elif not call.may(f"/storage/{call.params['storage']}", "Datastore.Allocate"):
        call.require(f"/storage/{call.params['storage']}", "Datastore.AllocateSpace")
    ident = f"{owner}@{call.params['storage']}" if owner is not None else call.params["storage"]
    upid = call.start("imgdel", ident, args={"volid": volid})
    if "delay" not in call.params:
        return upid
    call.sim.tasks.finish_within(upid, float(call.params["delay"]))
    task = call.sim.tasks.get(upid)
    return upid if task is None or task.running else None


def owner_of(volid: str) -> int | None:
    """Return the VMID that a volume's name shows, or None."""
    name = volid.partition(":")[2]
    if name.startswith("backup/vzdump-"):
        part = name.split("-")[2]
        return int(part) if part.isdigit() else None
    match = _OWNER.match(name)
    return int(match[1]) if match is not None else None


def begin_remove(sim: Simulator, task: Task) -> Begun:
    """Refuse a protected backup and a base with linked clones."""
    volume = sim.volumes.find(task.args["volid"], task.node)
    if volume is None:
        return Begun(0.5)
    if volume.protected:
        raise TaskDied(f"cannot remove protected volume '{volume.name}' on '{volume.storage}'")
    if sim.volumes.children(volume):
        raise TaskDied(f"base volume '{volume.volid}' is still in use by linked clones")
    return Begun(0.5)


def finish_remove(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Let the volume go."""
    volid = task.args["volid"]
    volume = sim.volumes.find(volid, task.node)
    done = f"Removed volume '{volid}'"
    if volume is not None:
        sim.volumes.drop(volume)
        return (done,)
    storage = volid.partition(":")[0]
    ghost = Volume(volid, "", content_of(volid.partition(":")[2]), "raw", 0)
    if storage in sim.state.storages and sim.state.storages[storage].path:
        return (f"disk image '{sim.volumes.path(ghost)}' does not exist", done)
    return (done,)


FAMILY.worker("imgcopy", Worker(finish=finish_copy))
FAMILY.worker("imgdel", Worker(begin_remove, finish_remove))
