"""Clones and templates of containers (golden 05)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import containers, guests
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.quorum import require_ready
from pytest_proxmox.simulator.routes.lxc_create import UNPACK_BYTES_PER_S
from pytest_proxmox.simulator.state import EMPTY, Guest, Task, Volume
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.volumes import ability
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
CT: Final = "/nodes/{node}/lxc/{vmid}"
NOT_CLONED: Final = ("lock", "template", "parent", "snaptime")
KIB: Final = 1024


@FAMILY.post(CT + "/clone")
def clone(call: Call) -> str:
    """Start a clone; source and target are locked while it runs."""
    params, newid = call.params, call.params["newid"]
    require_ready(call.sim)
    source = guests.require(call, "lxc")
    _check_target(call, params.get("target"))
    if params.get("pool") is not None and params["pool"] not in call.state.pools:
        raise PveError.forbidden(f"pool '{params['pool']}' does not exist")
    if "storage" in params:
        call.sim.volumes.storage(params["storage"])
        call.require(f"/storage/{params['storage']}", "Datastore.AllocateSpace")
    call.sim.tasks.await_lock(guests.lock_file("lxc", source.vmid))
    source = guests.require(call, "lxc")
    guests.refuse_locked(source)
    taken = guests.exists_text(call.sim, newid)
    if taken:
        raise PveError(500, taken)
    config = _source_config(source, params.get("snapname"))
    _check_reach(call, config)
    full = bool(params.get("full", 0 if source.template else 1))
    _check_kind(call, source, config, full=full)
    entry = _target_config(call, config)
    target = params.get("target") or call.node
    call.sim.put_guest(source.with_config({"lock": "disk"}))
    call.sim.put_guest(
        Guest(newid, "lxc", target, {**entry, "lock": "create"}, created=call.sim.clock.now())
    )
    return call.start("vzclone", source.vmid, args=_args(call, source, full=full))


def _check_target(call: Call, target: str | None) -> None:
    if target is not None and target not in call.state.nodes:
        raise PveError(500, f"no such cluster node '{target}'")


def _check_reach(call: Call, config: Mapping[str, Any]) -> None:
    """Refuse a clone on another node that does not see the volumes (as for VMs, not recorded).

    Raises:
        PveError: a volume lies on a storage of this node alone.
    """
    target = call.params.get("target", call.node)
    names = {volid.partition(":")[0] for volid in containers.volids(config)}
    storages = [call.state.storages.get(name) for name in names]
    if target != call.node and any(s is not None and not s.shared for s in storages):
        raise PveError(500, f"can't clone CT to node '{target}' (CT uses local storage)")


def _source_config(source: Guest, snapname: str | None) -> Mapping[str, Any]:
    if not snapname:
        return source.config
    if snapname not in source.snapshots:
        raise PveError(500, f"snapshot '{snapname}' does not exist")
    return source.snapshots[snapname].config


def _check_kind(call: Call, source: Guest, config: Mapping[str, Any], *, full: bool) -> None:
    """Refuse what cannot be cloned in that way (golden 05 seq 11, 33, 94)."""
    if full and source.running and not call.params.get("snapname"):
        raise PveError(500, "Full clone of a running container is only possible from a snapshot")
    if full:
        return
    for volid in containers.volids(config):
        storage = call.sim.volumes.storage(volid.partition(":")[0])
        if not (source.template and ability(storage).linked):
            raise PveError(500, f"Linked clone feature for '{volid}' is not available")


def _target_config(call: Call, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the clone's configuration: everything but volumes; networks get new addresses."""
    entry: dict[str, Any] = {}
    for key, value in config.items():
        if key in NOT_CLONED or containers.UNUSED.fullmatch(key) or containers.MOUNT.fullmatch(key):
            continue
        if containers.NET.fullmatch(key):
            values = containers.parse(key, str(value))
            values["hwaddr"] = guests.mac_address(call.sim)
            value = containers.render(key, values)
        entry[key] = value
    snapname = call.params.get("snapname")
    words = call.params.get("description")
    if words is None and snapname:
        guest = call.state.guests[call.params["vmid"]]
        words = guest.snapshots[snapname].description or None
    changes = {"hostname": call.params.get("hostname"), "description": words}
    given = {key: value for key, value in changes.items() if value is not None}
    return entry | containers.normalize(call.sim, given)


def _args(call: Call, source: Guest, *, full: bool) -> dict[str, Any]:
    params = call.params
    return {
        "vmid": source.vmid,
        "newid": params["newid"],
        "target": params.get("target") or call.node,
        "full": full,
        "storage": params.get("storage"),
        "snapname": params.get("snapname"),
        "pool": params.get("pool"),
        "bwlimit": params.get("bwlimit", 0),
    }


def begin_clone(sim: Simulator, task: Task) -> Begun:
    """Make the clone's volumes; what goes wrong leaves neither clone nor lock behind."""
    source = guests.for_task(sim, task.node, "lxc", task.args["vmid"])
    config = _source_config(source, task.args["snapname"])
    log = [f"creating a clone of container {source.vmid} with ID {task.args['newid']}"]
    entries: dict[str, str] = {}
    copied = 0
    try:
        for key, values in containers.mounts(config):
            if ":" not in str(values["volume"]):
                entries[key] = str(config[key])
                continue
            entries[key], volume = _copy(sim, task, source, key, values)
            copied += volume.used
            word = "full" if task.args["full"] else "linked"
            log.append(f"create {word} clone of mountpoint {key} ({values['volume']})")
    except TaskDied as died:
        _undo(sim, task)
        raise TaskDied(f"clone failed: {died}") from died
    target = sim.state.guests[task.args["newid"]]
    sim.put_guest(target, extra={"entries": entries})
    rate = int(task.args["bwlimit"]) * KIB or UNPACK_BYTES_PER_S
    return Begun(0.5 + (copied / rate if task.args["full"] else 0), tuple(log))


def _copy(
    sim: Simulator, task: Task, source: Guest, key: str, values: dict[str, Any]
) -> tuple[str, Volume]:
    """Make one volume of the clone and return its entry and the volume."""
    volid = str(values["volume"])
    guests.require_volume(sim, volid, source.node)
    original = sim.volumes.find(volid, source.node)
    if original is None:
        raise TaskDied(f"volume '{volid}' does not exist")
    name = task.args["storage"] if task.args["full"] else None
    try:
        storage = sim.volumes.storage(name or original.storage, node=task.args["target"])
    except PveError as exc:
        raise TaskDied(exc.message) from exc
    if "rootdir" not in storage.content:
        raise TaskDied(
            f"content type 'rootdir' is not available or configured on storage '{storage.name}'"
        )
    kept = (_snapshot(source, task.args["snapname"])).get(volid, EMPTY)
    try:
        volume = sim.volumes.allocate(
            storage,
            task.args["target"],
            task.args["newid"],
            original.size,
            content="rootdir",
            fmt=original.format,
            used=original.used if task.args["full"] else 0,
            parent=None if task.args["full"] else original.name,
            data=kept.get("data", original.data),
        )
    except PveError as exc:
        raise TaskDied(exc.message) from exc
    return containers.render(key, values | {"volume": volume.volid}), volume


def _snapshot(source: Guest, snapname: str | None) -> Mapping[str, Any]:
    return source.snapshots[snapname].data if snapname else EMPTY


def _unlock(sim: Simulator, vmid: int) -> None:
    guest = sim.state.guests.get(vmid)
    if guest is not None:
        sim.put_guest(guest.with_config({}, remove=("lock",)))


def _undo(sim: Simulator, task: Task) -> None:
    target = sim.state.guests.get(task.args["newid"])
    if target is not None:
        for volume in sim.volumes.of_guest(target.vmid, target.node):
            sim.volumes.drop(volume)
        sim.drop_guest(target.vmid)
    _unlock(sim, task.args["vmid"])


def finish_clone(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Unlock both, and give the clone its volumes and its pool."""
    guests.complete_clone(sim, task, lock="create")
    _unlock(sim, task.args["vmid"])
    return ()


def abort_clone(sim: Simulator, task: Task) -> tuple[str, ...]:
    """A polite stop removes the clone (golden 05 seq 64)."""
    _undo(sim, task)
    return ()


@FAMILY.post(CT + "/template")
def to_template(call: Call) -> None:
    """Make a container a template: its volumes become bases."""
    guest = guests.require(call, "lxc")
    call.sim.tasks.await_lock(guests.lock_file("lxc", guest.vmid))
    guest = guests.require(call, "lxc")
    guests.require_writable(call.sim, guest)
    guests.refuse_locked(guest)
    if guest.template:
        raise PveError(500, "you can't convert a template to a template")
    if guest.running:
        raise PveError(500, "you can't convert a CT to template if the CT is running")
    if guest.snapshots:
        raise PveError(500, "unable to create template, because CT contains snapshots")
    entries: dict[str, Any] = {"template": 1}
    for key, values in containers.mounts(guest.config):
        volume = call.sim.volumes.find(str(values["volume"]), guest.node)
        if volume is not None:
            base = call.sim.volumes.make_base(volume)
            entries[key] = containers.render(key, values | {"volume": base.volid})
    call.sim.put_guest(guest.with_config(entries))


FAMILY.worker("vzclone", Worker(begin_clone, finish_clone, abort_clone))
