"""How a VM's configuration changes: at once, or only when the VM stops.

Which options a running VM takes over at once follows Proxmox's public documentation of hotplug;
golden 10 seq 87 to 113 shows memory and processors wait, and the name does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import guests, machines
from pytest_proxmox.simulator.lists import split
from pytest_proxmox.simulator.machines import Drive
from pytest_proxmox.simulator.state import EMPTY, Guest

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FORCED: Final = "!"  # before the name of a pending removal that takes the volume with it
# Nothing of the running QEMU depends on these.
_NOT_QEMU: Final = frozenset(
    [
        "balloon",
        "cpulimit",
        "cpuunits",
        "description",
        "hookscript",
        "hotplug",
        "lock",
        "migrate_downtime",
        "migrate_speed",
        "name",
        "onboot",
        "protection",
        "shares",
        "startup",
        "tags",
        "vmstatestorage",
    ]
)
_FEATURE_OF: Final = {"net": "network", "scsi": "disk", "virtio": "disk", "usb": "usb"}


def features(config: Mapping[str, Any]) -> list[str]:
    """Return what a VM can be given while it runs."""
    text = str(config.get("hotplug", "1"))
    return split(machines.DEFAULT_HOTPLUG if text == "1" else text)


def is_immediate(guest: Guest, key: str, value: Any = None) -> bool:
    """Return whether a VM takes a change over now; one that does not run takes everything."""
    if not guest.running or key in _NOT_QEMU or machines.UNUSED.fullmatch(key):
        return True
    if machines.DRIVE.fullmatch(key) and value is not None and key in guest.config:
        old, new = Drive.read(key, guest.config[key]), Drive.read(key, value)
        if old.is_cdrom and new.is_cdrom:  # another disc in the same drive
            return True
    able = features(guest.config)
    if key == "vcpus":
        return "cpu" in able
    if key == "memory":
        return "memory" in able
    return _FEATURE_OF.get(machines.rank(key)[0]) in able


def problem(sim: Simulator, guest: Guest, key: str, value: Any) -> str | None:
    """Return why a running VM cannot be given this now; texts as in public reports."""
    if not guest.running or not is_immediate(guest, key, value):
        return None
    if machines.NET.fullmatch(key):
        bridge = machines.parse(key, str(value)).get("bridge")
        if bridge and bridge not in sim.state.nodes[guest.node].bridges:
            return f"bridge '{bridge}' does not exist"
    if key == "memory" and not guest.config.get("numa"):
        return "numa needs to be enabled for memory hotplug"
    return None


# --- the changes --------------------------------------------------------------------------------


def put(guest: Guest, key: str, value: Any) -> Guest:
    """Return the VM with a key set; a disk that it replaces stays as an unused one."""
    if value == "" and key in ("description", "tags"):
        return guest.with_config({}, remove=(key,))
    if not machines.DRIVE.fullmatch(key):
        return guest.with_config({key: value})
    old = Drive.read(key, guest.config[key]) if key in guest.config else None
    new = Drive.read(key, value)
    again = tuple(
        name
        for name, volid in guest.config.items()
        if machines.UNUSED.fullmatch(name) and volid == new.file
    )
    guest = guest.with_config({key: value}, remove=again)
    return keep_unused(guest, old.file) if old is not None and is_disk(old) else guest


def is_disk(drive: Drive) -> bool:
    """Return whether a drive holds data of the VM's own."""
    return drive.owned and not drive.is_cdrom


def keep_unused(guest: Guest, volid: str) -> Guest:
    """Return the VM with a volume that it no longer uses kept in its configuration."""
    if volid in machines.volids(guest.config):
        return guest
    return guest.with_config({guests.next_unused(guest.config): volid})


def remove(sim: Simulator, guest: Guest, key: str, *, destroy: bool = False) -> Guest:
    """Return the VM without a key; a disk stays as an unused one unless it is to be destroyed."""
    value = guest.config.get(key)
    if value is None:
        return guest
    removed = guest.with_config({}, remove=(key,))
    if machines.UNUSED.fullmatch(key):
        drop(sim, guest, str(value))
        return removed
    if machines.NET.fullmatch(key):
        return machines.without_boot_key(removed, key)
    if not machines.DRIVE.fullmatch(key):
        return removed
    drive = Drive.read(key, value)
    removed = machines.without_boot_key(removed, key)
    if drive.is_cloudinit or (destroy and is_disk(drive)):
        drop(sim, guest, drive.file)
        return removed
    return keep_unused(removed, drive.file) if is_disk(drive) else removed


def drop(sim: Simulator, guest: Guest, volid: str) -> None:
    """Remove a volume of a VM from its storage; one that is not there, or another's, stays so."""
    volume = sim.volumes.find(volid, guest.node)
    if volume is not None and volume.vmid == guest.vmid:
        sim.volumes.drop(volume)


# --- what waits ---------------------------------------------------------------------------------


def postpone(guest: Guest, key: str, value: Any) -> Guest:
    """Return the VM with a change that waits until it stops."""
    waiting = {k: v for k, v in _without_removal(guest.pending, key).items() if k != key}
    if guest.config.get(key) != value:
        waiting[key] = value
    return replace(guest, pending=waiting)


def postpone_removal(guest: Guest, key: str, *, destroy: bool = False) -> Guest:
    """Return the VM with a removal that waits until it stops."""
    if key not in guest.config:
        return revert(guest, key)
    waiting = {k: v for k, v in _without_removal(guest.pending, key).items() if k != key}
    name = FORCED + key if destroy else key
    return replace(guest, pending={**waiting, "delete": (*waiting.get("delete", ()), name)})


def revert(guest: Guest, key: str) -> Guest:
    """Return the VM without what waits for a key."""
    waiting = {k: v for k, v in _without_removal(guest.pending, key).items() if k != key}
    return replace(guest, pending=waiting)


def _without_removal(pending: Mapping[str, Any], key: str) -> dict[str, Any]:
    names = tuple(name for name in pending.get("delete", ()) if name.removeprefix(FORCED) != key)
    kept = {name: value for name, value in pending.items() if name != "delete"}
    return kept | ({"delete": names} if names else {})


def apply_pending(sim: Simulator, guest: Guest) -> Guest:
    """Return the VM with everything that waited done, as its stop does it."""
    pending = guest.pending
    if not pending:
        return guest
    guest = replace(guest, pending=EMPTY)
    for name in pending.get("delete", ()):
        key = name.removeprefix(FORCED)
        guest = remove(sim, guest, key, destroy=name.startswith(FORCED))
    for key, value in pending.items():
        if key != "delete":
            guest = put(guest, key, value)
    return guest


def expected(guest: Guest) -> dict[str, Any]:
    """Return the configuration as it will be once what waits is done: what reads show."""
    gone = {name.removeprefix(FORCED) for name in guest.pending.get("delete", ())}
    kept = {key: value for key, value in guest.config.items() if key not in gone}
    return kept | {key: value for key, value in guest.pending.items() if key != "delete"}
