"""What containers and VMs have in common: finding them, their locks, their place in the lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator.quorum import is_quorate
from pytest_proxmox.simulator.state import EMPTY, Guest, Task
from pytest_proxmox.simulator.tasks import TaskDied
from pytest_proxmox.simulator.wire import PveError
from pytest_proxmox.values import GuestKind

if TYPE_CHECKING:
    from pytest_proxmox.simulator.family import Call
    from pytest_proxmox.simulator.simulator import Simulator

CONFIG_FOLDER: Final = {"lxc": "lxc", "qemu": "qemu-server"}
SHORT: Final = {"lxc": "CT", "qemu": "VM"}


def lock_file(kind: GuestKind, vmid: int) -> str:
    """Return the file that whoever changes a guest's configuration must hold."""
    if kind == "lxc":
        return f"/run/lock/lxc/pve-config-{vmid}.lock"
    return f"/var/lock/qemu-server/lock-{vmid}.conf"


def start(call: Call, kind: GuestKind, worker: str, **args: Any) -> str:
    """Start a task on the guest in a call's path, under the lock of its configuration."""
    vmid = call.params["vmid"]
    args = {"vmid": vmid, **args}
    return call.start(worker, vmid, args=args, lock=lock_file(kind, vmid), may_defer=True)


def missing(node: str, kind: GuestKind, vmid: int) -> str:
    """Return what PVE says of a guest that is not there (golden README, point 1)."""
    return f"Configuration file 'nodes/{node}/{CONFIG_FOLDER[kind]}/{vmid}.conf' does not exist"


def find(sim: Simulator, node: str, kind: GuestKind, vmid: int) -> Guest | None:
    """Return a guest of that kind on that node, or None."""
    guest = sim.state.guests.get(vmid)
    return guest if guest is not None and (guest.kind, guest.node) == (kind, node) else None


def require(call: Call, kind: GuestKind) -> Guest:
    """Return the guest in a call's path.

    Raises:
        PveError: 500, there is no configuration file.
    """
    vmid: int = call.params["vmid"]
    guest = find(call.sim, call.node, kind, vmid)
    if guest is None:
        raise PveError(500, missing(call.node, kind, vmid))
    return guest


def for_task(sim: Simulator, node: str, kind: GuestKind, vmid: int) -> Guest:
    """Return the guest that a worker works on.

    Raises:
        TaskDied: there is no configuration file.
    """
    guest = find(sim, node, kind, vmid)
    if guest is None:
        raise TaskDied(missing(node, kind, vmid))
    return guest


def lock_text(guest: Guest) -> str:
    """Return what PVE says of a guest whose configuration is locked."""
    return f"{SHORT[guest.kind]} is locked ({guest.lock})"


def refuse_locked(guest: Guest) -> None:
    """Refuse a request on a guest whose configuration is locked.

    Raises:
        PveError: ``CT is locked (backup)``.
    """
    if guest.lock:
        raise PveError(500, lock_text(guest))


def die_if_locked(guest: Guest) -> None:
    """End a worker on a guest whose configuration is locked.

    Raises:
        TaskDied: ``CT is locked (backup)``.
    """
    if guest.lock:
        raise TaskDied(lock_text(guest))


def exists_text(sim: Simulator, vmid: int) -> str | None:
    """Return ``CT 100 already exists on node 'pve1'``, or None where the VMID is free."""
    guest = sim.state.guests.get(vmid)
    if guest is None:
        return None
    return f"{SHORT[guest.kind]} {vmid} already exists on node '{guest.node}'"


def check_digest(guest: Guest, given: Any, *, prefix: str = "") -> None:
    """Refuse a change that was made against another version of the configuration.

    Raises:
        PveError: ``detected modified configuration - …`` (golden 08 seq 7).
    """
    if given and given != guest.digest():
        text = "detected modified configuration - file changed by other user? Try again."
        raise PveError(500, prefix + text)


def unwritable(sim: Simulator, guest: Guest) -> str:
    """Return why a configuration file cannot be written without quorum (golden 13 seq 28)."""
    folder = CONFIG_FOLDER[guest.kind]
    return (
        f"unable to open file '/etc/pve/nodes/{guest.node}/{folder}/{guest.vmid}.conf.tmp"
        f".{sim.count('pid')}' - Permission denied"
    )


def require_writable(sim: Simulator, guest: Guest) -> None:
    """Refuse a change of a configuration that cannot be written.

    Raises:
        PveError: 500 without quorum.
    """
    if not is_quorate(sim):
        raise PveError(500, unwritable(sim, guest))


def skiplock(call: Call) -> bool:
    """Return whether the locks are to be passed over.

    Raises:
        PveError: 400 unless root asks with a ticket.
    """
    asked = bool(call.params.get("skiplock"))
    if asked and not call.auth.is_root_ticket:
        raise PveError.fields({"skiplock": "Only root may use this option."})
    return asked


def join_pool(call: Call, vmid: int, poolid: str | None) -> None:
    """Put a guest that a request made into a pool, where the pool is still there."""
    if poolid and poolid in call.state.pools:
        call.state.members[vmid] = poolid


def may_allocate(call: Call, vmid: int, pool: str | None) -> None:
    """Refuse unless the caller may make a guest of that id, or one in that pool.

    Raises:
        PveError: 403; a pool that is not there is one as well (golden 01 seq 83).
    """
    if pool is not None and pool not in call.state.pools:
        raise PveError.forbidden(f"pool '{pool}' does not exist")
    if call.may(f"/vms/{vmid}", "VM.Allocate"):
        return
    if pool is None or not call.may(f"/pool/{pool}", "VM.Allocate"):
        raise PveError.forbidden()


def next_unused(config: Any) -> str:
    """Return the first free ``unusedN`` key of a configuration."""
    number = 0
    while f"unused{number}" in config:
        number += 1
    return f"unused{number}"


def mac_address(sim: Simulator) -> str:
    """Return a fresh MAC address with Proxmox's own prefix."""
    number = sim.count("mac", start=0x8F06B9, step=0x1D3)
    return "BC:24:11:" + ":".join(f"{number >> shift & 0xFF:02X}" for shift in (16, 8, 0))


def require_volume(sim: Simulator, volid: str, node: str) -> None:
    """End a worker that needs a volume which cannot be used.

    Raises:
        TaskDied: the storage does not exist or is disabled, or the volume does not exist.
    """
    try:
        sim.volumes.storage(volid.partition(":")[0])
    except PveError as exc:
        raise TaskDied(exc.message) from exc
    if sim.volumes.find(volid, node) is None:
        raise TaskDied(f"volume '{volid}' does not exist")


def complete_clone(sim: Simulator, task: Task, *, lock: str) -> None:
    """Unlock a clone, give it the volumes that were made for it, and put it into its pool.

    Raises:
        TaskDied: somebody removed it, or its lock.
    """
    target = sim.state.guests.get(task.args["newid"])
    if target is None or target.lock != lock:
        raise TaskDied(f"clone failed: Lost '{lock}' config lock, aborting.")
    config = target.with_config(target.extra["entries"], remove=("lock",))
    sim.put_guest(config, extra=EMPTY)
    pool = task.args["pool"]
    if pool and pool in sim.state.pools:
        sim.state.members[target.vmid] = pool
