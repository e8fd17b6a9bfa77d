"""The template of a virtual machine."""

from __future__ import annotations

from src_app.iac.hcl import Attribute, Block, Item, attributes
from src_app.iac.names import guest_name
from src_app.iac.properties import flag, number, properties, volume
from src_app.iac.state import GuestFacts
from src_app.iac.terraform.devices import (
    Telling,
    block,
    decimal,
    dns,
    gib,
    ip_config,
    kept,
    lifecycle,
    startup,
    strings,
    switch,
    tags,
    text,
    whole,
)

RESOURCE = "proxmox_virtual_environment_vm"
BUSES = ("scsi", "sata", "virtio")  # of disks; the provider has CD drives and cloud-init on IDE
UNKNOWN = ("on_boot", "protection", "acpi", "tablet_device", "memory[0].floating")
DISK_PARTS = frozenset(
    {
        "volume", "size", "format", "aio", "backup", "cache", "discard", "iothread", "replicate",
        "serial", "ssd",
    }
)  # fmt: skip
MODELS = ("virtio", "e1000", "e1000e", "rtl8139", "vmxnet3")
CARD_PARTS = frozenset(
    {
        *MODELS, "model", "macaddr", "bridge", "firewall", "link_down", "tag", "mtu", "queues",
        "rate", "trunks",
    }
)  # fmt: skip
TOLD = frozenset(
    {
        "acpi", "affinity", "agent", "balloon", "bios", "boot", "ciuser", "cores", "cpu",
        "cpulimit", "cpuunits", "description", "keyboard", "machine", "memory", "name",
        "nameserver", "numa", "onboot", "ostype", "protection", "scsihw", "searchdomain",
        "sockets", "startup", "tablet", "tags", "template", "vcpus", "vga",
    }
)  # fmt: skip


def vm(guest: GuestFacts) -> Block:
    """Return the resource of a virtual machine."""
    told = Telling(guest, TOLD)
    blocks = [*_machine(guest), *_devices(guest, told)]
    ignored = ["description", *([] if guest.config else UNKNOWN)]
    ignored += [] if any(item.type == "disk" for item in blocks) else ["disk"]
    if any(item.type == "initialization" for item in blocks):
        ignored.append("initialization[0].user_account")  # a password may be there, and keys
    body: list[Item | None] = [told.note(), *_head(guest), *blocks, lifecycle(ignored)]
    return Block("resource", (RESOURCE, guest_name(guest.name, guest.vmid, guest.kind)), kept(body))


def _head(guest: GuestFacts) -> tuple[Attribute, ...]:
    order = properties(guest.config.get("boot", ""), "legacy").get("order", "")
    return attributes(
        {
            "node_name": guest.node,
            "vm_id": guest.vmid,
            "name": guest.name or None,
            "tags": tags(guest),
            "template": guest.is_template,
            "started": guest.is_running,
            "on_boot": switch(guest, "onboot"),
            "protection": switch(guest, "protection"),
            "acpi": switch(guest, "acpi", default=True),
            "tablet_device": switch(guest, "tablet", default=True),
            "bios": text(guest, "bios"),
            "machine": text(guest, "machine"),
            "keyboard_layout": text(guest, "keyboard"),
            "scsi_hardware": text(guest, "scsihw"),
            "boot_order": strings(order.split(";")) if order else None,
        }
    )


def _machine(guest: GuestFacts) -> list[Block]:
    agent = properties(guest.config.get("agent", ""), "enabled")
    screen = properties(guest.config.get("vga", ""), "type")
    memory = {"dedicated": guest.memory_mib, "floating": _floating(guest)}
    found = [
        _processor(guest),
        block("memory", memory),
        block(
            "agent",
            {
                "enabled": flag(agent.get("enabled", "")),
                "trim": flag(agent.get("fstrim_cloned_disks", "")),
                "type": agent.get("type"),
            },
        ),
        block("operating_system", {"type": text(guest, "ostype")}),
        block(
            "vga",
            {
                "type": screen.get("type"),
                "memory": number(screen.get("memory", "")),
                "clipboard": screen.get("clipboard"),
            },
        ),
        startup(guest),
    ]
    return [item for item in found if item is not None]


def _processor(guest: GuestFacts) -> Block | None:
    told = properties(guest.config.get("cpu", ""), "cputype")
    flags = told.get("flags", "")
    return block(
        "cpu",
        {
            "cores": whole(guest, "cores") or guest.cores,
            "sockets": whole(guest, "sockets"),
            "type": told.get("cputype"),
            "flags": strings(flags.split(";")) if flags else None,
            "numa": flag(guest.config.get("numa", "")),
            "hotplugged": whole(guest, "vcpus"),
            "limit": decimal(guest.config.get("cpulimit", "")),
            "units": whole(guest, "cpuunits"),
            "affinity": text(guest, "affinity"),
        },
    )


def _floating(guest: GuestFacts) -> int | None:
    """Return the memory to balloon to: Proxmox balloons unless told not to, the provider asks."""
    told = whole(guest, "balloon")
    return (guest.memory_mib if guest.config else None) if told is None else told


def _devices(guest: GuestFacts, told: Telling) -> list[Block]:
    """Return disks, drives and cards."""
    found: list[Block] = []
    drive: Block | None = None
    clouds: dict[str, str] = {}
    for key, value in guest.numbered(*BUSES, "ide"):
        (storage, name), parts = volume(value), properties(value, "volume")
        if name == "cloudinit" or name.partition(".")[0].endswith("-cloudinit"):
            clouds = {"datastore_id": storage, "interface": key}
            told.tell(key, parts, {"volume", "media", "size"})
        elif parts.get("media") == "cdrom":
            if drive is None:
                drive = _drive(key, value)
                told.tell(key, parts, {"volume", "media", "size"})
        elif storage and not key.startswith("ide"):
            found.append(_disk(key, value))
            told.tell(key, parts, DISK_PARTS)
    found += _firmware(guest, told)
    for key, value in guest.numbered("net"):
        found.append(_card(value))
        told.tell(key, properties(value, "model"), CARD_PARTS)
    for key, value in guest.numbered("serial"):
        found.append(Block("serial_device", body=attributes({"device": value})))
        told.tell(key, {}, ())
    return [*([drive] if drive else []), *found, *_cloud_init(guest, clouds, told)]


def _drive(key: str, value: str) -> Block:
    file = properties(value, "volume").get("volume", "none")
    return Block("cdrom", body=attributes({"file_id": file, "interface": key}))


def _disk(key: str, value: str) -> Block:
    told = properties(value, "volume")
    storage, name = volume(value)
    suffix = name.rpartition(".")[2]
    return Block(
        "disk",
        body=attributes(
            {
                "interface": key,
                "datastore_id": storage,
                "size": gib(told.get("size", "")),
                "file_format": told.get("format")
                or (suffix if suffix in {"qcow2", "raw", "vmdk"} else None),
                "aio": told.get("aio"),
                "backup": flag(told.get("backup", "")),
                "cache": told.get("cache"),
                "discard": told.get("discard"),
                "iothread": flag(told.get("iothread", "")),
                "replicate": flag(told.get("replicate", "")),
                "serial": told.get("serial"),
                "ssd": flag(told.get("ssd", "")),
            }
        ),
    )


def _firmware(guest: GuestFacts, told: Telling) -> list[Block]:
    """Return what the firmware keeps on storages."""
    found: list[Block] = []
    if variables := text(guest, "efidisk0"):
        parts = properties(variables, "volume")
        values = {
            "datastore_id": volume(variables)[0] or None,
            "type": parts.get("efitype"),
            "pre_enrolled_keys": flag(parts.get("pre-enrolled-keys", "")),
        }
        found.append(Block("efi_disk", body=attributes(values)))
        told.tell("efidisk0", parts, {"volume", "size", "efitype", "pre-enrolled-keys"})
    if chip := text(guest, "tpmstate0"):
        parts = properties(chip, "volume")
        values = {"datastore_id": volume(chip)[0] or None, "version": parts.get("version")}
        found.append(Block("tpm_state", body=attributes(values)))
        told.tell("tpmstate0", parts, {"volume", "size", "version"})
    return found


def _card(value: str) -> Block:
    told = properties(value, "model")
    model = next((name for name in MODELS if name in told), told.get("model"))
    address = told.get(model or "") or told.get("macaddr")
    return Block(
        "network_device",
        body=attributes(
            {
                "bridge": told.get("bridge"),
                "model": model,
                "mac_address": address,
                "firewall": flag(told.get("firewall", "")),
                "disconnected": flag(told.get("link_down", "")),
                "vlan_id": number(told.get("tag", "")),
                "mtu": number(told.get("mtu", "")),
                "queues": number(told.get("queues", "")),
                "rate_limit": decimal(told.get("rate", "")),
                "trunks": told.get("trunks"),
            }
        ),
    )


def _cloud_init(guest: GuestFacts, drive: dict[str, str], told: Telling) -> list[Block]:
    """Return what cloud-init is told; never a password."""
    cards = guest.numbered("ipconfig")
    for key, value in cards:
        told.tell(key, properties(value, ""), {"ip", "gw", "ip6", "gw6"})
    inner = [dns(guest), *(ip_config(properties(value, "")) for _, value in cards)]
    if user := text(guest, "ciuser"):
        inner.append(Block("user_account", body=attributes({"username": user})))
    body = (*attributes(drive), *kept(inner))
    return [Block("initialization", body=body)] if body else []
