"""What moving a container and moving a VM to another node have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_proxmox.simulator import guests
from pytest_proxmox.simulator.lists import split
from pytest_proxmox.simulator.quorum import is_online, require_ready
from pytest_proxmox.simulator.state import Guest, Task
from pytest_proxmox.simulator.wire import PveError
from pytest_proxmox.values import GuestKind

if TYPE_CHECKING:
    from pytest_proxmox.simulator.family import Call

SAME_STORAGE: Final = "1"  # ``targetstorage=1``: each storage to the one of the same name


def traveller(call: Call, kind: GuestKind) -> Guest:
    """Return the guest that a call wants on another node.

    Raises:
        PveError: the target is this node, unknown or offline, or there is no such guest.
    """
    target = call.params["target"]
    require_ready(call.sim)
    if target == call.node:
        raise PveError.fields({"target": "target is local node."})
    if target not in call.state.nodes:
        raise PveError(500, f"no such cluster node '{target}'")
    guest = guests.require(call, kind)
    if not is_online(call.sim, target):
        raise PveError(500, f"node '{target}' is not online")
    return guest


def check_storages(call: Call, wanted: str) -> None:
    """Refuse a map of storages that names one which is not there, or not the caller's to use.

    Raises:
        PveError: 500, or 403.
    """
    if wanted == SAME_STORAGE:
        return
    for pair in split(wanted):
        call.sim.volumes.storage(pair.rpartition(":")[2])
        call.require(f"/storage/{pair.rpartition(':')[2]}", "Datastore.AllocateSpace")


def storage_for(task: Task, name: str) -> str:
    """Return the storage on the target that takes what lies on a storage here."""
    wanted = str(task.args.get("storages", SAME_STORAGE))
    if wanted == SAME_STORAGE:
        return name
    found = name
    for pair in split(wanted):
        here, colon, there = pair.partition(":")
        if colon and here == name:
            return there
        if not colon:
            found = pair
    return found
