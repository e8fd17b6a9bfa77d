"""The end of a VM: what stops it at once, what shows in the task (golden 10 and 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_proxmox.simulator import destroy, guests, machines, sharing
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.routes.qemu_power import writable
from pytest_proxmox.simulator.state import Guest, Task
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
VM: Final = "/nodes/{node}/qemu/{vmid}"
DESTROY_S: Final = 0.5
THIN: Final = ("lvmthin",)  # a base may go: its clones keep what they share


@FAMILY.delete(VM)
def remove(call: Call) -> str:
    """Destroy a VM with its volumes; a lock shows in the task."""
    params = call.params
    guest = guests.require(call, "qemu")
    skip = guests.skiplock(call)
    destroy.check(call, guest, purge=bool(params.get("purge")))
    if guest.running:
        raise PveError(500, f"VM {guest.vmid} is running - destroy failed")
    args = {
        "vmid": guest.vmid,
        "skiplock": skip,
        "purge": bool(params.get("purge")),
        "unreferenced": bool(params.get("destroy-unreferenced-disks")),
    }
    lock = sharing.lock(guest.vmid)
    return call.start("qmdestroy", guest.vmid, args=args, lock=lock, may_defer=True)


def begin_destroy(sim: Simulator, task: Task) -> Begun:
    """Refuse a locked VM, one that was started meanwhile, and the base of linked clones."""
    guest = writable(sim, task)
    if guest.running:
        raise TaskDied(f"VM {guest.vmid} is running - destroy failed")
    for volid in _own_volumes(guest):
        volume = sim.volumes.find(volid, guest.node)
        storage = sim.state.storages.get(volid.partition(":")[0])
        if volume is None or (storage is not None and storage.type in THIN):
            continue
        if sim.volumes.children(volume):
            raise TaskDied(f"base volume '{volid}' is still in use by linked cloned")
    return Begun(DESTROY_S)


def _own_volumes(guest: Guest) -> list[str]:
    """Return the volumes that the configuration and its snapshots name, each once."""
    found = machines.volids(guest.config)
    for snapshot in guest.snapshots.values():
        found += machines.volids(snapshot.config)
    return list(dict.fromkeys(found))


def finish_destroy(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Remove the volumes and the configuration; a disk that cannot go is left with a warning."""
    guest = guests.for_task(sim, task.node, "qemu", task.args["vmid"])
    removable, warnings = [], []
    for volid in _own_volumes(guest):
        storage = sim.state.storages.get(volid.partition(":")[0])
        if storage is None or storage.disabled:
            what = "is disabled" if storage else "does not exist"
            why = f"storage '{volid.partition(':')[0]}' {what}"
            warnings.append(f"WARN: Could not remove disk '{volid}', check manually: {why}")
        elif _is_own(sim, guest, volid):
            removable.append(volid)
    return (*warnings, *destroy.remove(sim, guest, removable, task.args))


def _is_own(sim: Simulator, guest: Guest, volid: str) -> bool:
    volume = sim.volumes.find(volid, guest.node)
    return volume is None or volume.vmid == guest.vmid


FAMILY.worker("qmdestroy", Worker(begin_destroy, finish_destroy))
