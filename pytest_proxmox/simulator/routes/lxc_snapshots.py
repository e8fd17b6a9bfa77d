"""Snapshots of containers (golden 06)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import containers, guests
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.routes.lxc import snapshot_config
from pytest_proxmox.simulator.routes.lxc_power import power_off
from pytest_proxmox.simulator.state import Guest, Snapshot, Task
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.volumes import ability
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
CT: Final = "/nodes/{node}/lxc/{vmid}"
ONE: Final = CT + "/snapshot/{snapname}"
CURRENT: Final = "current"
NOT_KEPT: Final = ("lock", "parent", "description", "template")


def can_snapshot(sim: Simulator, config: Mapping[str, Any]) -> bool:
    """Return whether every volume lies on a storage that can snapshot it."""
    for volid in containers.volids({k: v for k, v in config.items() if k[:6] != "unused"}):
        storage = sim.state.storages.get(volid.partition(":")[0])
        if storage is None or not ability(storage).snapshots:
            return False
    return True


@FAMILY.get(CT + "/feature")
def feature(call: Call) -> dict[str, int]:
    """Return whether a container's storages can snapshot, clone or copy."""
    guest, config = guests.require(call, "lxc"), None
    if "snapname" in call.params:
        config = _snapshot(call)[1].config
    able = call.params["feature"] == "copy" or can_snapshot(call.sim, config or guest.config)
    return {"hasFeature": int(able)}


@FAMILY.get(CT + "/snapshot")
def list_snapshots(call: Call) -> list[dict[str, Any]]:
    """Return the snapshots, the oldest first, and the present as ``current``."""
    return snapshot_list(guests.require(call, "lxc"))


def snapshot_list(guest: Guest) -> list[dict[str, Any]]:
    """Return a guest's snapshots as lists show them."""
    found: list[dict[str, Any]] = []
    for snapshot in guest.snapshots.values():
        row: dict[str, Any] = {
            "name": snapshot.name,
            "snaptime": snapshot.snaptime,
            "description": snapshot.description,
        }
        if snapshot.parent:
            row["parent"] = snapshot.parent
        found.append(row)
    here = {"name": CURRENT, "description": "You are here!", "running": int(guest.running)}
    if guest.config.get("parent"):
        here["parent"] = guest.config["parent"]
    here["digest"] = guest.digest()
    return [*found, here]


@FAMILY.post(CT + "/snapshot")
def take(call: Call) -> str:
    """Take a snapshot; whether the storage can shows in the task."""
    params = call.params
    if params["snapname"] == CURRENT:
        raise PveError(500, f"unable to use snapshot name '{CURRENT}' (reserved name)")
    args = {"name": params["snapname"], "description": params.get("description", "")}
    return guests.start(call, "lxc", "vzsnapshot", **args)


@FAMILY.get(ONE)
def index(call: Call) -> list[dict[str, str]]:
    """Return what can be done with a snapshot, whether it is there or not (golden 06)."""
    return [{"cmd": "rollback"}, {"cmd": "config"}]


def _snapshot(call: Call) -> tuple[Guest, Snapshot]:
    guest = guests.require(call, "lxc")
    snapshot = guest.snapshots.get(call.params["snapname"])
    if snapshot is None:
        raise PveError(500, f"snapshot '{call.params['snapname']}' does not exist")
    return guest, snapshot


@FAMILY.get(ONE + "/config")
def read(call: Call) -> dict[str, Any]:
    """Return the configuration that a snapshot keeps."""
    _, snapshot = _snapshot(call)
    return snapshot_config(snapshot.config, snapshot)


@FAMILY.put(ONE + "/config")
def describe(call: Call) -> None:
    """Change a snapshot's description."""
    guest, snapshot = _snapshot(call)
    text = str(call.params.get("description", ""))
    changed = replace(snapshot, description=with_newline(text))
    call.sim.put_guest(guest, snapshots={**guest.snapshots, snapshot.name: changed})


def with_newline(text: str) -> str:
    """Return a description as it is kept: with a newline at its end, or empty."""
    return text + "\n" if text and not text.endswith("\n") else text


@FAMILY.post(ONE + "/rollback")
def roll_back(call: Call) -> str:
    """Put a container back to a snapshot."""
    start = bool(call.params.get("start"))
    return guests.start(call, "lxc", "vzrollback", name=call.params["snapname"], start=start)


@FAMILY.delete(ONE)
def remove(call: Call) -> str:
    """Delete a snapshot."""
    force = bool(call.params.get("force"))
    return guests.start(call, "lxc", "vzdelsnapshot", name=call.params["snapname"], force=force)


# --- the workers --------------------------------------------------------------------------------


def _guest(sim: Simulator, task: Task) -> Guest:
    return guests.for_task(sim, task.node, "lxc", task.args["vmid"])


def begin_take(sim: Simulator, task: Task) -> Begun:
    """Refuse what cannot be snapshotted, and lock the configuration."""
    guest = _guest(sim, task)
    guests.die_if_locked(guest)
    if guest.template:
        raise TaskDied("you can't take a snapshot if it's a template")
    if task.args["name"] in guest.snapshots:
        raise TaskDied(f"snapshot name '{task.args['name']}' already used")
    if not can_snapshot(sim, guest.config):
        raise TaskDied("snapshot feature is not available")
    sim.put_guest(guest.with_config({"lock": "snapshot"}))
    return Begun(1.0)


def finish_take(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Keep the configuration and what the volumes hold."""
    guest = _guest(sim, task)
    name = task.args["name"]
    config = {key: value for key, value in guest.config.items() if key not in NOT_KEPT}
    snapshot = Snapshot(
        name,
        config,
        int(task.due),
        guest.config.get("parent"),
        with_newline(task.args["description"]),
        data=volume_data(sim, guest),
    )
    snapshots = {**guest.snapshots, name: snapshot}
    kept = guest.with_config({"parent": name}, remove=("lock",))
    sim.put_guest(kept, snapshots=snapshots)
    return ()


def volume_data(sim: Simulator, guest: Guest) -> dict[str, Any]:
    """Return what each of a guest's volumes holds, by volume id."""
    found = {}
    for volid in containers.volids(guest.config):
        volume = sim.volumes.find(volid, guest.node)
        if volume is not None:
            found[volid] = {"data": volume.data, "size": volume.size, "used": volume.used}
    return found


def begin_rollback(sim: Simulator, task: Task) -> Begun:
    """Refuse a snapshot that is not there, and lock the configuration."""
    guest = _guest(sim, task)
    guests.die_if_locked(guest)
    _require(guest, task.args["name"])
    sim.put_guest(guest.with_config({"lock": "rollback"}))
    return Begun(1.0)


def _require(guest: Guest, name: str) -> Snapshot:
    snapshot = guest.snapshots.get(name)
    if snapshot is None:
        raise TaskDied(f"snapshot '{name}' does not exist")
    return snapshot


def finish_rollback(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Put configuration and volumes back; the container is stopped then."""
    guest = _guest(sim, task)
    snapshot = _require(guest, task.args["name"])
    if guest.running:
        guest = power_off(sim, guest)
    for volid, kept in snapshot.data.items():
        volume = sim.volumes.find(volid, guest.node)
        if volume is not None:
            sim.volumes.put(replace(volume, **kept))
    config = {**snapshot.config, "parent": snapshot.name}
    if "description" in guest.config:
        config["description"] = guest.config["description"]
    sim.put_guest(guest, config=config)
    if task.args.get("start"):
        lock = guests.lock_file("lxc", guest.vmid)
        sim.tasks.start_after(task, "vzstart", guest.vmid, lock)
    return ()


def begin_remove(sim: Simulator, task: Task) -> Begun:
    """Refuse a snapshot that is not there, and lock the configuration."""
    guest = _guest(sim, task)
    guests.die_if_locked(guest)
    _require(guest, task.args["name"])
    sim.put_guest(guest.with_config({"lock": "snapshot-delete"}))
    return Begun(1.0)


def finish_remove(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Forget the snapshot; its children become its parent's."""
    sim.put_guest(without_snapshot(_guest(sim, task), task.args["name"]))
    return ()


def without_snapshot(guest: Guest, name: str) -> Guest:
    """Return a guest without one of its snapshots, unlocked."""
    gone = guest.snapshots[name]
    snapshots = {
        key: replace(value, parent=gone.parent) if value.parent == name else value
        for key, value in guest.snapshots.items()
        if key != name
    }
    changed = replace(guest.with_config({}, remove=("lock",)), snapshots=snapshots)
    if guest.config.get("parent") != name:
        return changed
    if gone.parent:
        return changed.with_config({"parent": gone.parent})
    return changed.with_config({}, remove=("parent",))


def abort(sim: Simulator, task: Task) -> tuple[str, ...]:
    """A polite stop unlocks the configuration."""
    guest = sim.state.guests.get(task.args["vmid"])
    if guest is not None:
        sim.put_guest(guest.with_config({}, remove=("lock",)))
    return ()


FAMILY.worker("vzsnapshot", Worker(begin_take, finish_take, abort))
FAMILY.worker("vzrollback", Worker(begin_rollback, finish_rollback, abort))
FAMILY.worker("vzdelsnapshot", Worker(begin_remove, finish_remove, abort))
