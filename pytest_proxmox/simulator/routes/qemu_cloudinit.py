"""Cloud-init of VMs: what the drive says, and what it would say if it were made again.

Shapes from the API's own schema and Proxmox's public documentation; not recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pytest_proxmox.simulator import cloudinit, drives, guests, hotplug, machines, sharing
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.state import EMPTY, Guest

FAMILY: Final = Family()
VM: Final = "/nodes/{node}/qemu/{vmid}"


@FAMILY.get(VM + "/cloudinit")
def differences(call: Call) -> list[dict[str, Any]]:
    """Return each value on the drive with what the configuration would put there."""
    guest = guests.require(call, "qemu")
    wanted = _shown(machines.cloudinit_values(guest, hotplug.expected(guest)))
    written = _written(call, guest)
    told = wanted if written is None else _shown(written)
    rows = []
    for key in sorted({*told, *wanted}):
        row: dict[str, Any] = {"key": key}
        if key in told:
            row["value"] = told[key]
        if key not in wanted:
            row["delete"] = 1
        elif told.get(key) != wanted[key]:
            row["pending"] = wanted[key]
        rows.append(row)
    return rows


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values without the password and without what is no matter of cloud-init's own."""
    return machines.shown({k: v for k, v in values.items() if not machines.NET.fullmatch(k)})


def _written(call: Call, guest: Guest) -> Mapping[str, Any] | None:
    """Return what the drive says, None while nothing was written to it."""
    for drive in machines.drives(guest.config):
        volume = call.sim.volumes.find(drive.file, guest.node) if drive.is_cloudinit else None
        if volume is not None and "cloudinit" in volume.data:
            written: Mapping[str, Any] = volume.data["cloudinit"]
            return written
    return None


@FAMILY.put(VM + "/cloudinit")
def regenerate(call: Call) -> None:
    """Write the drive again: what waited for that is done; without a drive there is nothing to."""
    guest = guests.require(call, "qemu")
    sharing.await_writers_turn(call, guest.vmid)
    guest = guests.require(call, "qemu")
    guests.require_writable(call.sim, guest)
    guests.refuse_locked(guest)
    waiting = [key for key in guest.pending if _is_told(key)]
    changes = {key: guest.pending[key] for key in waiting}
    gone = [name for name in guest.pending.get("delete", ()) if _is_told(name)]
    for key in (*waiting, *gone):
        guest = hotplug.revert(guest, key)
    guest = guest.with_config(changes, remove=tuple(gone))
    call.sim.put_guest(drives.refresh_cloudinit(call.sim, guest))


def _is_told(key: str) -> bool:
    return key in machines.CLOUDINIT_KEYS or machines.IPCONFIG.fullmatch(key) is not None


@FAMILY.get(VM + "/cloudinit/dump")
def dump(call: Call) -> str:
    """Return one of the texts that cloud-init would read."""
    guest = guests.require(call, "qemu")
    values = machines.cloudinit_values(guest, hotplug.expected(guest) or EMPTY)
    return cloudinit.TEXTS[call.params["type"]](values)
