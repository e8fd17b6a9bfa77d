"""The template of a container."""

from __future__ import annotations

from src_app.iac.hcl import Attribute, Block, Expression, Item, attributes, quote
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

RESOURCE = "proxmox_virtual_environment_container"
TEMPLATES = "container_templates"  # the variable: Proxmox does not keep what one was made from
MOUNT_PARTS = frozenset(
    {"volume", "mp", "size", "acl", "backup", "mountoptions", "quota", "ro", "replicate", "shared"}
)
CARD_PARTS = frozenset(
    {
        "name", "bridge", "hwaddr", "firewall", "tag", "mtu", "rate", "ip", "gw", "ip6", "gw6",
        "type",
    }
)  # fmt: skip
TOLD = frozenset(
    {
        "arch", "cmode", "console", "cores", "cpuunits", "description", "features", "hostname",
        "memory", "nameserver", "onboot", "ostype", "protection", "searchdomain", "startup",
        "swap", "tags", "template", "tty", "unprivileged",
    }
)  # fmt: skip


def container(guest: GuestFacts) -> Block:
    """Return the resource of a container."""
    told = Telling(guest, TOLD)
    blocks = kept([*_machine(guest), *_volumes(guest, told), *_network(guest, told)])
    ignored = ["description", "operating_system[0].template_file_id"]
    ignored += [] if guest.config else ["start_on_boot", "protection"]
    disks = [item for item in blocks if isinstance(item, Block) and item.type == "disk"]
    ignored += [] if disks else ["disk"]
    body: list[Item | None] = [told.note(), *_head(guest), *blocks, lifecycle(ignored)]
    return Block("resource", (RESOURCE, guest_name(guest.name, guest.vmid, guest.kind)), kept(body))


def os_type(guest: GuestFacts) -> str:
    """Return the distribution, as both Proxmox and the provider call it."""
    return text(guest, "ostype") or guest.ostype or "unmanaged"


def _head(guest: GuestFacts) -> tuple[Attribute, ...]:
    told = flag(guest.config.get("unprivileged", ""))
    return attributes(
        {
            "node_name": guest.node,
            "vm_id": guest.vmid,
            "tags": tags(guest),
            "template": guest.is_template,
            "started": guest.is_running,
            "start_on_boot": switch(guest, "onboot"),
            "unprivileged": guest.unprivileged if told is None else told,
            "protection": switch(guest, "protection"),
        }
    )


def _machine(guest: GuestFacts) -> list[Block | None]:
    features = properties(guest.config.get("features", ""), "")
    mounts = features.get("mount", "")
    kind = os_type(guest)
    return [
        block(
            "cpu",
            {
                "architecture": text(guest, "arch"),
                "cores": whole(guest, "cores") or guest.cores,
                "units": whole(guest, "cpuunits"),
            },
        ),
        block("memory", {"dedicated": guest.memory_mib, "swap": whole(guest, "swap")}),
        block(
            "operating_system",
            {
                "template_file_id": Expression(f"var.{TEMPLATES}[{quote(kind)}]"),
                "type": kind,
            },
        ),
        block(
            "features",
            {
                "nesting": flag(features.get("nesting", "")),
                "fuse": flag(features.get("fuse", "")),
                "keyctl": flag(features.get("keyctl", "")),
                "mount": strings(mounts.split(";")) if mounts else None,
            },
        ),
        block(
            "console",
            {
                "enabled": flag(guest.config.get("console", "")),
                "type": text(guest, "cmode"),
                "tty_count": whole(guest, "tty"),
            },
        ),
        startup(guest),
    ]


def _volumes(guest: GuestFacts, told: Telling) -> list[Block]:
    found = []
    root = text(guest, "rootfs") or ""
    if storage := volume(root)[0]:
        size = gib(properties(root, "volume").get("size", ""))
        found.append(Block("disk", body=attributes({"datastore_id": storage, "size": size})))
        told.tell("rootfs", properties(root, "volume"), {"volume", "size"})
    for key, value in guest.numbered("mp"):
        found.append(_mount_point(value))
        told.tell(key, properties(value, "volume"), MOUNT_PARTS)
    return found


def _mount_point(value: str) -> Block:
    told = properties(value, "volume")
    options = told.get("mountoptions", "")
    return Block(
        "mount_point",
        body=attributes(
            {
                "volume": told.get("volume", ""),
                "path": told.get("mp", ""),
                "size": told.get("size"),
                "acl": flag(told.get("acl", "")),
                "backup": flag(told.get("backup", "")),
                "mount_options": strings(options.split(";")) if options else None,
                "quota": flag(told.get("quota", "")),
                "read_only": flag(told.get("ro", "")),
                "replicate": flag(told.get("replicate", "")),
                "shared": flag(told.get("shared", "")),
            }
        ),
    )


def _network(guest: GuestFacts, told: Telling) -> list[Block]:
    cards = [(key, properties(value, "name")) for key, value in guest.numbered("net")]
    for key, card in cards:
        told.tell(key, card, CARD_PARTS)
    inner = kept([dns(guest), *(ip_config(card) for _, card in cards)])
    first = Block("initialization", body=(Attribute("hostname", guest.name), *inner))
    return [first, *(_card(key, card) for key, card in cards)]


def _card(key: str, told: dict[str, str]) -> Block:
    return Block(
        "network_interface",
        body=attributes(
            {
                "name": told.get("name", key),
                "bridge": told.get("bridge"),
                "mac_address": told.get("hwaddr"),
                "firewall": flag(told.get("firewall", "")),
                "vlan_id": number(told.get("tag", "")),
                "mtu": number(told.get("mtu", "")),
                "rate_limit": decimal(told.get("rate", "")),
            }
        ),
    )
