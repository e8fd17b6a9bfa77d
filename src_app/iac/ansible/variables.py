"""The variables of each guest: what community.proxmox's modules are called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from src_app.iac.properties import flag, number, properties, volume
from src_app.iac.state import VM_KIND, GuestFacts
from src_app.iac.terraform.container import os_type
from src_app.iac.terraform.devices import gib
from src_app.iac.terraform.vm import BUSES

Read = Callable[[object], Any]
_UNKNOWN: Any = object()


def _text(value: object) -> Any:
    return str(value) if value not in (None, "") else None


# The module's argument: Proxmox's setting, and how it is read. Never a password, nor keys.
VM_SETTINGS: Mapping[str, tuple[str, Read]] = {
    "sockets": ("sockets", number),
    "cpu": ("cpu", _text),
    "cpulimit": ("cpulimit", number),
    "cpuunits": ("cpuunits", number),
    "vcpus": ("vcpus", number),
    "balloon": ("balloon", number),
    "bios": ("bios", _text),
    "machine": ("machine", _text),
    "scsihw": ("scsihw", _text),
    "boot": ("boot", _text),
    "ostype": ("ostype", _text),
    "vga": ("vga", _text),
    "keyboard": ("keyboard", _text),
    "agent": ("agent", _text),
    "startup": ("startup", _text),
    "onboot": ("onboot", flag),
    "protection": ("protection", flag),
    "acpi": ("acpi", flag),
    "tablet": ("tablet", flag),
    "numa_enabled": ("numa", flag),
    "ciuser": ("ciuser", _text),
}
CONTAINER_SETTINGS: Mapping[str, tuple[str, Read]] = {
    "swap": ("swap", number),
    "cpuunits": ("cpuunits", number),
    "onboot": ("onboot", flag),
    "nameserver": ("nameserver", _text),
    "searchdomain": ("searchdomain", _text),
}


def host_variables(guest: GuestFacts) -> dict[str, Any]:
    """Return a guest's variables; what is not known is not there."""
    return {
        "proxmox_vmid": guest.vmid,
        "proxmox_name": guest.name,
        "proxmox_node": guest.node,
        "proxmox_kind": guest.kind,
        "proxmox_state": "started" if guest.is_running else "stopped",
        "proxmox_is_template": guest.is_template,
        "proxmox_tags": list(guest.tags),
        "proxmox_cores": number(guest.config.get("cores", "")) or guest.cores,
        "proxmox_memory_mib": guest.memory_mib,
        "proxmox_disk_gib": guest.disk_gib,
        **(_vm(guest) if guest.kind == VM_KIND else _container(guest)),
    }


def _settings(guest: GuestFacts, table: Mapping[str, tuple[str, Read]]) -> dict[str, Any]:
    read = {name: how(guest.config.get(key, "")) for name, (key, how) in table.items()}
    return {name: value for name, value in read.items() if value is not None}


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _vm(guest: GuestFacts) -> dict[str, Any]:
    drives: dict[str, dict[str, str]] = {}
    for key, value in guest.numbered(*BUSES, "ide"):
        drives.setdefault(key.rstrip("0123456789"), {})[key] = _drive(value)
    nameservers = str(guest.config.get("nameserver", "")).replace(",", " ").split()
    domains = str(guest.config.get("searchdomain", "")).split()
    return {
        "proxmox_settings": _settings(guest, VM_SETTINGS),
        "proxmox_devices": _filled(
            {
                **drives,
                "net": dict(guest.numbered("net")),
                "serial": dict(guest.numbered("serial")),
                "ipconfig": dict(guest.numbered("ipconfig")),
                "nameservers": nameservers,
                "searchdomains": domains,
                "efidisk0": _firmware(guest, "efidisk0", "efitype"),
                "tpmstate0": _firmware(guest, "tpmstate0", "version"),
            }
        ),
    }


def _drive(value: str) -> str:
    """Return a drive as it is asked for: the storage and the size, not the volume that it is."""
    (storage, name), told = volume(value), properties(value, "volume")
    if "cloudinit" in name:
        return f"{storage}:cloudinit"
    if told.get("media") == "cdrom" or not storage:
        return value
    rest = [f"{key}={text}" for key, text in told.items() if key not in {"volume", "size"}]
    return ",".join([f"{storage}:{gib(told.get('size', '')) or 1}", *rest])


def _firmware(guest: GuestFacts, key: str, sort: str) -> dict[str, Any]:
    value = str(guest.config.get(key, ""))
    told = properties(value, "volume")
    found: dict[str, Any] = {"storage": volume(value)[0], sort: told.get(sort, "").lstrip("v")}
    if sort == "efitype":
        found["pre_enrolled_keys"] = flag(told.get("pre-enrolled-keys", ""))
    return _filled(found)


def _container(guest: GuestFacts) -> dict[str, Any]:
    root = str(guest.config.get("rootfs", ""))
    told = flag(guest.config.get("unprivileged", ""))
    features = str(guest.config.get("features", ""))
    disk = {
        "storage": volume(root)[0],
        "size": gib(properties(root, "volume").get("size", "")) or guest.disk_gib,
    }
    return {
        "proxmox_ostype": os_type(guest),
        "proxmox_unprivileged": guest.unprivileged if told is None else told,
        "proxmox_settings": _settings(guest, CONTAINER_SETTINGS),
        "proxmox_devices": _filled(
            {
                "disk_volume": disk if disk["storage"] else None,
                "mount_volumes": [_mount(key, value) for key, value in guest.numbered("mp")],
                "netif": dict(guest.numbered("net")),
                "features": [part for part in features.split(",") if part],
                "startup": str(guest.config.get("startup", "")).split(",")
                if guest.config.get("startup")
                else [],
            }
        ),
    }


def _mount(key: str, value: str) -> dict[str, Any]:
    storage, name = volume(value)
    told = properties(value, "volume")
    rest = {name: text for name, text in told.items() if name not in {"volume", "mp", "size"}}
    found: dict[str, Any] = {"id": key, "mountpoint": told.get("mp", "")}
    if storage:
        found |= {"storage": storage, "size": gib(told.get("size", "")) or 1}
    else:
        found["host_path"] = name
    return found | _filled({"options": rest})
