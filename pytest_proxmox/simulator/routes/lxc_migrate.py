"""Containers move to another node (golden 08 seq 103 for the refusals); the rest as documented."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import containers, guests
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.migration import (
    SAME_STORAGE,
    check_storages,
    storage_for,
    traveller,
)
from pytest_proxmox.simulator.routes.lxc_power import power_off, power_on
from pytest_proxmox.simulator.state import MIB, Guest, Task, Volume
from pytest_proxmox.simulator.tasks import INTERRUPTED, LOCK_WAIT_S, Begun, NotYet, TaskDied, Worker
from pytest_proxmox.simulator.volumes import ability
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
CT: Final = "/nodes/{node}/lxc/{vmid}"
MIGRATE_S: Final = 3.0
SEND_BYTES_PER_S: Final = 100 * MIB
ABORTED: Final = "migration aborted"


@FAMILY.get(CT + "/migrate")
def preconditions(call: Call) -> dict[str, Any]:
    """Return where a container could move to; its volumes go along, so they forbid nothing."""
    guest = guests.require(call, "lxc")
    return {
        "running": int(guest.running),
        "allowed-nodes": [name for name in call.state.nodes if name != guest.node],
        "not-allowed-nodes": {},
    }


@FAMILY.post(CT + "/migrate")
def migrate(call: Call) -> str:
    """Start the move of a container to another node."""
    params = call.params
    guest = traveller(call, "lxc")
    restart, online = bool(params.get("restart")), bool(params.get("online"))
    if guest.running and not (restart or online):
        raise PveError(500, "can't migrate running container without --online or --restart")
    wanted = params.get("target-storage", SAME_STORAGE)
    check_storages(call, wanted)
    args = {
        "vmid": guest.vmid,
        "target": params["target"],
        "restart": restart,
        "storages": wanted,
    }
    # not the lock of the configuration: who changes that meanwhile hears of the lock in it
    return call.start("vzmigrate", guest.vmid, args=args, lock=f"pve-migrate-{guest.vmid}")


# --- the worker ---------------------------------------------------------------------------------


def begin(sim: Simulator, task: Task) -> Begun:
    """Refuse what cannot move, and lock the configuration."""
    _await_turn(sim, task)
    guest = guests.for_task(sim, task.node, "lxc", task.args["vmid"])
    guests.die_if_locked(guest)
    try:
        if guest.running and not task.args["restart"]:
            raise TaskDied("lxc live migration is currently not implemented")
        size = sum(_check(sim, task, guest, volid) for volid in _volids(guest))
    except TaskDied as died:
        sim.tasks.log(task.upid, f"ERROR: {ABORTED} (duration 00:00:00): {died}")
        raise TaskDied(ABORTED) from died
    sim.put_guest(guest.with_config({"lock": "migrate"}))
    line = f"starting migration of CT {guest.vmid} to node '{task.args['target']}'"
    return Begun(MIGRATE_S + size / SEND_BYTES_PER_S, (line,))


def _await_turn(sim: Simulator, task: Task) -> None:
    """Wait for whoever changes the container.

    Raises:
        NotYet: that ends soon enough.
        TaskDied: it does not.
    """
    lock = guests.lock_file("lxc", task.args["vmid"])
    holder = sim.tasks.holder(lock)
    if holder is None or holder.upid == task.upid:
        return
    if holder.due > task.starttime + LOCK_WAIT_S:
        raise TaskDied(f"can't lock file '{lock}' - got timeout")
    raise NotYet(holder.due)


def _volids(guest: Guest) -> list[str]:
    """Return the volumes that a container or one of its snapshots names."""
    configs = [guest.config, *(snapshot.config for snapshot in guest.snapshots.values())]
    return list(dict.fromkeys(volid for config in configs for volid in containers.volids(config)))


def _check(sim: Simulator, task: Task, guest: Guest, volid: str) -> int:
    """Return the bytes to send for a volume: none for what the target sees already.

    Raises:
        TaskDied: it is not there, has linked clones, or finds no place on the target.
    """
    guests.require_volume(sim, volid, guest.node)
    volume = sim.volumes.find(volid, guest.node)
    name = volid.partition(":")[0]
    local = volume is not None and bool(volume.node)
    try:
        storage = sim.volumes.storage(
            storage_for(task, name) if local else name, node=task.args["target"]
        )
    except PveError as exc:
        raise TaskDied(exc.message) from exc
    if volume is None or not local:
        return 0
    if sim.volumes.children(volume):
        raise TaskDied(f"can't migrate '{volid}': base volume is still in use by linked clones")
    if "rootdir" not in storage.content:
        raise TaskDied(
            f"content type 'rootdir' is not available or configured on storage '{storage.name}'"
        )
    return volume.used


def finish(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Let the container live on the other node, its local volumes with it."""
    guest = guests.for_task(sim, task.node, "lxc", task.args["vmid"])
    running = guest.running
    if running:
        guest = power_off(sim, guest)
    there = replace(guest.with_config({}, remove=("lock",)), node=task.args["target"])
    renamed: dict[str, str] = {}
    for volid in _volids(guest):
        volume = sim.volumes.find(volid, guest.node)
        if volume is not None and volume.node:
            renamed[volid] = _send(sim, task, there, volume)
    there = sim.put_guest(_with_volumes(there, renamed))
    if running:
        power_on(sim, there, at=task.due)
    return ("migration finished successfully",)


def _send(sim: Simulator, task: Task, there: Guest, volume: Volume) -> str:
    """Move a volume to the other node, whole, and return its id there."""
    sim.volumes.drop(volume)
    name = storage_for(task, volume.storage)
    if name == volume.storage:
        return sim.volumes.put(replace(volume, node=there.node, parent=None)).volid
    storage = sim.volumes.storage(name)
    sent = sim.volumes.allocate(
        storage,
        there.node,
        there.vmid,
        volume.size,
        content="rootdir",
        fmt="subvol" if ability(storage).subvolume else "raw",
        used=volume.used,
        data=volume.data,
    )
    return sent.volid


def _with_volumes(guest: Guest, renamed: Mapping[str, str]) -> Guest:
    """Return the container, and its snapshots, with volumes under their new ids."""
    snapshots = {
        name: replace(
            snapshot,
            config={**snapshot.config, **_entries(snapshot.config, renamed)},
            data={renamed.get(volid, volid): kept for volid, kept in snapshot.data.items()},
        )
        for name, snapshot in guest.snapshots.items()
    }
    changed = guest.with_config(_entries(guest.config, renamed))
    return replace(changed, snapshots=snapshots) if snapshots else changed


def _entries(config: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, values in containers.mounts(config):
        if values["volume"] in renamed:
            found[key] = containers.render(key, values | {"volume": renamed[values["volume"]]})
    unused: Iterable[tuple[str, Any]] = config.items()
    for key, value in unused:
        if containers.UNUSED.fullmatch(key) and value in renamed:
            found[key] = renamed[value]
    return found


def abort(sim: Simulator, task: Task) -> tuple[str, ...]:
    """A polite stop leaves the container where it was."""
    guest = sim.state.guests.get(task.args["vmid"])
    if guest is not None:
        sim.put_guest(guest.with_config({}, remove=("lock",)))
    return (f"ERROR: {ABORTED}: {INTERRUPTED}",)


FAMILY.worker("vzmigrate", Worker(begin, finish, abort))
