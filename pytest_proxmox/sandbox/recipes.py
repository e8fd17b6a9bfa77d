"""Recipes: what a guest is made of when the test does not say, safe by default.

Containers are unprivileged and have a random password that nobody keeps. A guest is on a
network only if somebody named the bridge: a test must not turn up on a network by chance.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_proxmox.target.facts import TargetFacts
from pytest_proxmox.values import GuestKind, GuestRef, NodeName, Vmid

DISK_GIB = 1  # the smallest that every storage type takes; templates of 100 MB fit many times
MEMORY_MIB = 256


@dataclass(frozen=True, slots=True)
class Recipe:
    """A POST that makes a guest, all but the VMID, the description and the pool.

    ``name_field`` and ``vmid_field`` are what PVE calls the name and the VMID there;
    ``storage`` is where its disks are made, as far as that is known.
    """

    what: str
    kind: GuestKind
    node: NodeName
    path: str
    name_field: str
    storage: str
    vmid_field: str = "vmid"
    source: Vmid | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def name(self, vmid: Vmid) -> str:
        """Return the guest's name: the wished one, or one from its VMID."""
        return str(self.parameters.get(self.name_field) or f"pytest-{int(vmid)}")

    def order(self, vmid: Vmid, *, mark: str, pool: str | None) -> dict[str, Any]:
        """Return the POST's parameters for this VMID; ``mark`` goes into the description."""
        said = self.parameters.get("description")
        order = dict(self.parameters)
        order[self.vmid_field] = int(vmid)
        order[self.name_field] = self.name(vmid)
        order["description"] = f"{said}\n\n{mark}" if said else mark
        if pool is not None:
            order["pool"] = pool
        return order


def container(facts: TargetFacts, wishes: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a container; with ``restore=1`` the backup says what is in it."""
    wish = dict(wishes)
    node = _node(facts, wish)
    storage = wish.pop("storage", facts.storage)
    bridge = wish.pop("bridge", _named_bridge(facts))
    if wish.get("restore"):
        defaults: dict[str, Any] = {"storage": storage}
    else:
        defaults = {
            "ostemplate": wish.get("ostemplate") or facts.require("template"),
            "rootfs": f"{storage}:{DISK_GIB}",
            "unprivileged": 1,
            "password": secrets.token_urlsafe(18),
            "cores": 1,
            "memory": MEMORY_MIB,
            "swap": 0,
        }
        if bridge is not None:
            defaults["net0"] = f"name=eth0,bridge={bridge},ip=dhcp"
    return Recipe(
        "create",
        "lxc",
        node,
        f"nodes/{node}/lxc",
        "hostname",
        str(wish.get("rootfs", storage)).partition(":")[0],
        parameters=_merge(defaults, wish),
    )


def machine(facts: TargetFacts, wishes: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a virtual machine with one small disk and nothing to boot."""
    wish = dict(wishes)
    node = _node(facts, wish)
    storage = wish.pop("storage", facts.storage)
    bridge = wish.pop("bridge", _named_bridge(facts))
    defaults: dict[str, Any] = {
        "scsi0": f"{storage}:{DISK_GIB}",
        "cores": 1,
        "memory": MEMORY_MIB,
    }
    if bridge is not None:
        defaults["net0"] = f"virtio,bridge={bridge}"
    return Recipe(
        "create",
        "qemu",
        node,
        f"nodes/{node}/qemu",
        "name",
        str(wish.get("scsi0", storage)).partition(":")[0],
        parameters=_merge(defaults, wish),
    )


def clone(facts: TargetFacts, source: GuestRef, wishes: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a guest's clone, on its node unless ``target`` names another."""
    wish = dict(wishes)
    return Recipe(
        f"clone of {source} as",
        source.kind,
        NodeName.parse(str(wish.get("target", source.node))),
        f"{source.path.removeprefix('/')}/clone",
        "hostname" if source.kind == "lxc" else "name",
        str(wish.get("storage", facts.storage)),
        vmid_field="newid",
        source=source.vmid,
        parameters=_merge({}, wish),
    )


def _node(facts: TargetFacts, wish: dict[str, Any]) -> NodeName:
    return NodeName.parse(str(wish.pop("node", facts.node)))


def _named_bridge(facts: TargetFacts) -> str | None:
    """The bridge that the settings named; the simulator's are nobody's network."""
    return facts.bridge if facts.kind == "simulator" or "bridge" not in facts.found else None


def _merge(defaults: Mapping[str, Any], wishes: Mapping[str, Any]) -> dict[str, Any]:
    """Wishes win; None takes a default away; True is 1; ``ssh_public_keys`` has dashes."""
    named = {name.replace("_", "-"): value for name, value in wishes.items()}
    merged = {**defaults, **named}
    return {
        name: int(value) if isinstance(value, bool) else value
        for name, value in merged.items()
        if value is not None
    }
