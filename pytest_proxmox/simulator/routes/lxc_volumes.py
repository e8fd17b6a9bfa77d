"""Volumes of containers: growing them, moving them to a storage or to another container."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import containers, guests
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.routes.lxc import keep_unused
from pytest_proxmox.simulator.state import Guest, Task, Volume
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.volumes import ability, parse_size, print_size
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
CT: Final = "/nodes/{node}/lxc/{vmid}"


def _locked_guest(call: Call) -> Guest:
    """Return the container once its file lock is free and its configuration is not locked."""
    guest = guests.require(call, "lxc")
    call.sim.tasks.await_lock(guests.lock_file("lxc", guest.vmid))
    guest = guests.require(call, "lxc")
    guests.require_writable(call.sim, guest)
    guests.refuse_locked(guest)
    return guest


@FAMILY.put(CT + "/resize")
def resize(call: Call) -> str:
    """Grow a volume; what cannot be is refused at once."""
    params = call.params
    guest = _locked_guest(call)
    guests.check_digest(guest, params.get("digest"))
    key = params["disk"]
    if key not in guest.config:
        missing = "property is missing and it is not optional"
        raise PveError(500, "format error", errors={"volume": missing, "mp": missing})
    values = containers.parse(key, str(guest.config[key]))
    volume = call.sim.volumes.find(values["volume"], guest.node)
    if volume is None:
        raise PveError(500, f"volume '{values['volume']}' does not exist")
    text = str(params["size"])
    size = parse_size(text.removeprefix("+")) + (volume.size if text.startswith("+") else 0)
    if size < volume.size:
        raise PveError(500, "unable to shrink disk size")
    if size == volume.size:
        raise PveError(500, "disk is already at specified size")
    args = {"vmid": guest.vmid, "key": key, "size": size}
    return call.start("resize", guest.vmid, worker="ct-resize", args=args, lock=_lock(guest))


def _lock(guest: Guest) -> str:
    return guests.lock_file("lxc", guest.vmid)


def begin_resize(sim: Simulator, task: Task) -> Begun:
    """Refuse to touch a base image: it is read-only on its storage (golden 05 seq 91)."""
    guest = guests.for_task(sim, task.node, "lxc", task.args["vmid"])
    values = containers.parse(task.args["key"], str(guest.config[task.args["key"]]))
    volume = sim.volumes.find(values["volume"], guest.node)
    if volume is not None and "/base-" in volume.name:
        path = sim.volumes.path(volume)
        raise TaskDied(
            f"command '/usr/bin/qemu-img resize '--preallocation=off' -f raw {path}"
            f" {task.args['size']}' failed: exit code 1"
        )
    return Begun(1.0, ("Image resized.",))


def finish_resize(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Write the new size to volume and configuration."""
    guest = guests.for_task(sim, task.node, "lxc", task.args["vmid"])
    key, size = task.args["key"], task.args["size"]
    values = containers.parse(key, str(guest.config[key]))
    volume = sim.volumes.find(values["volume"], guest.node)
    if volume is None:
        raise TaskDied(f"volume '{values['volume']}' does not exist")
    sim.volumes.put(replace(volume, size=size))
    entry = containers.render(key, values | {"size": print_size(size)})
    sim.put_guest(guest.with_config({key: entry}))
    return ()


@FAMILY.post(CT + "/move_volume")
def move(call: Call) -> str:
    """Start moving a volume to another storage, or to another container."""
    params = call.params
    if "storage" in params and "target-vmid" in params:
        guests.require(call, "lxc")
        raise PveError(500, "either set storage or target-vmid, but not both")
    if "target-vmid" in params:
        return _reassign(call)
    if "storage" not in params:
        raise PveError(500, "either storage or target-vmid needs to be set")
    guest = _locked_guest(call)
    if guest.snapshots and params.get("delete"):
        raise PveError(500, "you can't move a volume with snapshots and delete the source")
    if params["storage"] in call.state.storages:
        call.require(f"/storage/{params['storage']}", "Datastore.AllocateSpace")
    args = {
        "vmid": guest.vmid,
        "key": params["volume"],
        "storage": params["storage"],
        "delete": bool(params.get("delete")),
    }
    return call.start("move_volume", guest.vmid, args=args, lock=_lock(guest))


def begin_move(sim: Simulator, task: Task) -> Begun:
    """Lock the configuration while the data is copied."""
    guest = guests.for_task(sim, task.node, "lxc", task.args["vmid"])
    if task.args["key"] not in guest.config:
        raise TaskDied(f"cannot move volume '{task.args['key']}', the container has none")
    if guest.running:
        raise TaskDied("cannot move volumes of a running container")
    try:
        storage = sim.volumes.storage(task.args["storage"], node=task.node)
    except PveError as exc:
        raise TaskDied(exc.message) from exc
    if "rootdir" not in storage.content:
        raise TaskDied(
            f"content type 'rootdir' is not available or configured on storage '{storage.name}'"
        )
    sim.put_guest(guest.with_config({"lock": "disk"}))
    return Begun(1.0)


def finish_move(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Use the copy; the old volume goes, or stays as unused."""
    guest = guests.for_task(sim, task.node, "lxc", task.args["vmid"])
    guest = guest.with_config({}, remove=("lock",))
    key = task.args["key"]
    values = containers.parse(key, str(guest.config[key]))
    old = sim.volumes.find(values["volume"], guest.node)
    if old is None:
        sim.put_guest(guest)
        raise TaskDied(f"volume '{values['volume']}' does not exist")
    storage = sim.volumes.storage(task.args["storage"])
    new = sim.volumes.allocate(
        storage,
        guest.node,
        guest.vmid,
        old.size,
        content="rootdir",
        fmt=old.format,
        used=old.used,
        data=old.data,
    )
    if guest.template:
        new = sim.volumes.make_base(new)
    entry = containers.render(key, values | {"volume": new.volid, "size": print_size(old.size)})
    guest = guest.with_config({key: entry})
    if task.args["delete"]:
        sim.volumes.drop(old)
    else:
        guest = keep_unused(guest, old.volid)
    sim.put_guest(guest)
    return ()


def abort_move(sim: Simulator, task: Task) -> tuple[str, ...]:
    """A polite stop unlocks the configuration."""
    guest = sim.state.guests.get(task.args["vmid"])
    if guest is not None:
        sim.put_guest(guest.with_config({}, remove=("lock",)))
    return ()


# --- to another container (golden 16) -----------------------------------------------------------


def _reassign(call: Call) -> str:
    params = call.params
    source = guests.require(call, "lxc")
    key = params["volume"]
    target_key = params.get("target-volume", key)
    target = guests.find(call.sim, call.node, "lxc", params["target-vmid"])
    if target is None:
        raise PveError(500, f"could not find CT {params['target-vmid']}")
    _check_reassign(call, source, target, key, target_key)
    ident = f"{source.vmid}-{key}>{target.vmid}-{target_key}"
    args = {"vmid": source.vmid, "key": key, "target": target.vmid, "target_key": target_key}
    return call.start("move_volume", ident, worker="reassign_volume", args=args, lock=_lock(source))


def _check_reassign(call: Call, source: Guest, target: Guest, key: str, target_key: str) -> None:
    call.require(f"/vms/{target.vmid}", "VM.Config.Disk")
    if "rootfs" in (key, target_key):
        raise PveError(500, "Cannot move to/from 'rootfs'")
    guests.check_digest(source, call.params.get("digest"), prefix=f"Container {source.vmid}: ")
    guests.check_digest(
        target, call.params.get("target-digest"), prefix=f"Container {target.vmid}: "
    )
    guests.refuse_locked(source)
    guests.refuse_locked(target)
    if key not in source.config:
        raise PveError(500, f"volume '{key}' for container '{source.vmid}' does not exist")
    if target_key in target.config:
        raise PveError(
            500, f"One target volume '{target_key}' is already used by container '{target.vmid}'"
        )
    for guest, name in ((source, "source"), (target, "target")):
        if guest.running:
            raise PveError(
                500,
                f"Cannot move in-use volume while the {name} CT is running - detach or shutdown"
                " first",
            )


def finish_reassign(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Rename the volume for its new owner and move its entry."""
    source = guests.for_task(sim, task.node, "lxc", task.args["vmid"])
    target = guests.for_task(sim, task.node, "lxc", task.args["target"])
    key, target_key = task.args["key"], task.args["target_key"]
    values: dict[str, Any] = containers.parse(key, str(source.config[key]))
    volume = sim.volumes.find(values["volume"], source.node)
    if volume is None:
        raise TaskDied(f"volume '{values['volume']}' does not exist")
    moved = rename(sim, volume, target)
    sim.put_guest(source.with_config({}, remove=(key,)))
    entry = containers.render(target_key, values | {"volume": moved.volid})
    sim.put_guest(target.with_config({target_key: entry}))
    return (
        f"moving volume '{key}' from container '{source.vmid}' to '{target.vmid}'",
        f"removing volume '{key}' from container '{source.vmid}' config",
        f"target container '{target.vmid}' updated with '{target_key}'",
    )


def rename(sim: Simulator, volume: Volume, owner: Guest) -> Volume:
    """Give a volume to another guest and return it under its new name."""
    storage = sim.state.storages[volume.storage]
    fmt = volume.format if ability(storage).files or volume.format == "subvol" else "raw"
    name = sim.volumes.free_name(storage, owner.node, owner.vmid, fmt=fmt, base=False)
    sim.volumes.drop(volume)
    return sim.volumes.put(replace(volume, volid=f"{volume.storage}:{name}", vmid=owner.vmid))


FAMILY.worker("ct-resize", Worker(begin_resize, finish_resize))
FAMILY.worker("move_volume", Worker(begin_move, finish_move, abort_move))
FAMILY.worker("reassign_volume", Worker(finish=finish_reassign))
