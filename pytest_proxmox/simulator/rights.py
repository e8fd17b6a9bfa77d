"""Which rights changing a VM needs, key by key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import machines
from pytest_proxmox.simulator.machines import Drive
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.family import Call

_ONLY_ROOT: Final = ("args", "hookscript")
# which privilege a key needs, from Proxmox's documentation of user management
_PRIVILEGES: Final[Mapping[str, tuple[str, ...]]] = {
    "VM.Config.CPU": (
        "affinity",
        "cores",
        "cpu",
        "cpulimit",
        "cpuunits",
        "numa",
        "smp",
        "sockets",
        "vcpus",
    ),
    "VM.Config.Memory": (
        "allow-ksm",
        "balloon",
        "hugepages",
        "keephugepages",
        "memory",
        "shares",
    ),
    "VM.Config.HWType": (
        "acpi",
        "amd-sev",
        "arch",
        "hotplug",
        "intel-tdx",
        "ivshmem",
        "kvm",
        "machine",
        "rng",
        "scsihw",
        "smbios1",
        "tablet",
        "vga",
        "vmgenid",
        "watchdog",
        "audio",
        "hostpci",
        "parallel",
        "serial",
        "usb",
        "virtiofs",
    ),
    "VM.Config.Disk": ("boot", "bootdisk", "vmstatestorage", "unused"),
    "VM.Config.Cloudinit": (*machines.CLOUDINIT_KEYS, "ipconfig"),
    "VM.Config.Network": ("net",),
    "VM.PowerMgmt": ("freeze",),
}
_PASSED_ON: Final = re.compile(r"mapping=|(?:^|=)spice\b")  # no device of the node itself
_PRIVILEGE_OF: Final = {key: priv for priv, keys in _PRIVILEGES.items() for key in keys}


def privilege(key: str, value: Any = None) -> str:
    """Return the privilege that changing a key needs."""
    if key == "cdrom" or (machines.DRIVE.fullmatch(key) and Drive.read(key, value).is_cdrom):
        return "VM.Config.CDROM"
    if machines.DRIVE.fullmatch(key):
        return "VM.Config.Disk"
    return _PRIVILEGE_OF.get(key) or _PRIVILEGE_OF.get(machines.rank(key)[0], "VM.Config.Options")


def require_privileges(
    call: Call, vmid: int, changes: Mapping[str, Any], *, pool: str | None = None
) -> None:
    """Refuse unless the caller may change each of these keys to its value.

    A VM that is being made in a pool needs the privileges on the VM or on the pool.

    Raises:
        PveError: 403 with the first privilege that is missing, 500 where only root may.
    """
    if call.auth.is_root_ticket:
        return
    for key, value in changes.items():
        if key in _ONLY_ROOT:  # text as in public reports, not recorded
            raise PveError(500, f"only root can set '{key}' config")
        if machines.rank(key)[0] in ("hostpci", "usb") and not _PASSED_ON.search(str(value or "")):
            raise PveError(500, f"only root can set '{key}' config for non-mapped devices")
        wanted = privilege(key, value)
        if pool is None or not call.may(f"/pool/{pool}", wanted):
            call.require(f"/vms/{vmid}", wanted)


def require_bridges(call: Call, params: Mapping[str, Any]) -> None:
    """Refuse a network on a bridge that the caller may not use."""
    for key in filter(machines.NET.fullmatch, params):
        if bridge := machines.parse(key, params[key]).get("bridge"):
            call.require(f"/sdn/zones/localnetwork/{bridge}", "SDN.Use")
