"""The end of a guest: what may stop it, and what goes with it (golden 03, 05, 11 and 14)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pytest_proxmox.simulator import guests
from pytest_proxmox.simulator.quorum import is_quorate
from pytest_proxmox.simulator.state import Guest, Volume
from pytest_proxmox.simulator.tasks import TaskDied
from pytest_proxmox.simulator.volumes import ability
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.family import Call
    from pytest_proxmox.simulator.simulator import Simulator


def ha_sid(guest: Guest) -> str:
    """Return the guest's name in high availability: ``ct:100``, ``vm:100``."""
    return f"{'ct' if guest.kind == 'lxc' else 'vm'}:{guest.vmid}"


def check(call: Call, guest: Guest, *, purge: bool) -> None:
    """Refuse to destroy a guest that is protected or used elsewhere.

    Raises:
        PveError: protection, high availability or replication without ``purge``.
    """
    short = guests.SHORT[guest.kind]
    if guest.protected:
        raise PveError(500, f"can't remove {short} {guest.vmid} - protection mode enabled")
    if ha_sid(guest) in call.state.ha and not purge:
        raise PveError(
            500,
            f"unable to remove {short} {guest.vmid} - used in HA resources and purge parameter"
            " not set.",
        )
    for family, ident in call.state.records:
        if family == "replication" and ident.startswith(f"{guest.vmid}-") and not purge:
            raise PveError(
                500,
                f"There is a replication job '{ident}' for guest '{guest.vmid}' -"
                " Please remove that first.",
            )


def check_volumes(sim: Simulator, guest: Guest, volids: Iterable[str]) -> None:
    """End a worker whose volumes cannot be removed: the configuration stays.

    Raises:
        TaskDied: a storage is gone or disabled, or a base volume has linked clones.
    """
    for volid in volids:
        try:
            sim.volumes.storage(volid.partition(":")[0])
        except PveError as exc:
            raise TaskDied(exc.message) from exc
        volume = sim.volumes.find(volid, guest.node)
        if volume is not None and sim.volumes.children(volume):
            raise TaskDied(f"base volume '{volid}' is still in use by linked clones")


def remove(
    sim: Simulator, guest: Guest, volids: Iterable[str], args: Mapping[str, Any]
) -> tuple[str, ...]:
    """Remove a guest with its volumes and return what the worker logs.

    Raises:
        TaskDied: without quorum the volumes go and the configuration stays (golden 13).
    """
    log: list[str] = []
    left = sim.faults.leaves_disk(guest.vmid)
    for volid in dict.fromkeys(volids):
        volume = sim.volumes.find(volid, guest.node)
        if volume is not None and left:
            log.append(_left_behind(sim, guest, volume))
        elif volume is not None:
            sim.volumes.drop(volume)
        elif ability(sim.state.storages[volid.partition(":")[0]]).files:
            log.append(f"disk image '{_path(sim, volid)}' does not exist")
    if args.get("unreferenced"):
        for volume in sim.volumes.of_guest(guest.vmid, guest.node):
            sim.volumes.drop(volume)
    if not is_quorate(sim):
        raise TaskDied(guests.unwritable(sim, guest))
    if args.get("purge"):
        log += _purge(sim, guest)
    _forget(sim, guest.vmid)
    sim.drop_guest(guest.vmid)
    return tuple(log)


def _left_behind(sim: Simulator, guest: Guest, volume: Volume) -> str:
    """Return the warning of a VM whose disk stays; a container is not destroyed then.

    Raises:
        TaskDied: the container keeps its configuration (golden 11 seq 93).
    """
    if guest.kind == "lxc":
        path = sim.volumes.path(volume)
        raise TaskDied(f"unlink '{path}' failed - Operation not permitted")
    return f"WARN: Could not remove disk '{volume.volid}', check manually: unlink failed"


def _path(sim: Simulator, volid: str) -> str:
    name, _, rest = volid.partition(":")
    return f"{sim.state.storages[name].path}/images/{rest}"


def _purge(sim: Simulator, guest: Guest) -> list[str]:
    """Take the guest out of backup jobs, replication and high availability."""
    short = f"{guests.SHORT[guest.kind]} {guest.vmid}"
    log = [f"purging {short} from related configurations.."]
    if sim.state.ha.pop(ha_sid(guest)) is not None:
        log.append(f"NOTE: removed {short} from HA resource configuration.")
    for key in [key for key in sim.state.records if key[0] == "replication"]:
        if key[1].startswith(f"{guest.vmid}-"):
            del sim.state.records[key]
    for ident, job in list(sim.state.jobs.items()):
        named = [vmid for vmid in str(job.get("vmid", "")).split(",") if vmid]
        if str(guest.vmid) in named:
            named.remove(str(guest.vmid))
            if named:
                sim.state.jobs[ident] = {**job, "vmid": ",".join(named)}
            else:
                del sim.state.jobs[ident]
    return log


def _forget(sim: Simulator, vmid: int) -> None:
    """Remove what always goes with a guest: its ACL entries and firewall rules."""
    for key in [key for key in sim.state.acls if key[0] == f"/vms/{vmid}"]:
        del sim.state.acls[key]
    for record in [key for key in sim.state.records if key[0].endswith(f"firewall/{vmid}")]:
        del sim.state.records[record]
