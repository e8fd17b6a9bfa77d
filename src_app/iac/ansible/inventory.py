"""The inventory: which hosts there are, in which groups, and how to reach them."""

from __future__ import annotations

import ipaddress
from typing import Any

from src_app.iac.names import inventory_name, slug
from src_app.iac.properties import properties
from src_app.iac.state import CONTAINER_KIND, VM_KIND, ClusterState, GuestFacts, NodeFacts

NODES = "proxmox_nodes"
GROUPS = {VM_KIND: "vms", CONTAINER_KIND: "containers"}


def host_name(guest: GuestFacts) -> str:
    """Return the guest's name in the inventory."""
    return inventory_name(guest.name, guest.vmid, guest.kind)


def node_host_name(node: NodeFacts) -> str:
    """Return the node's name in the inventory, which no guest's can be: theirs end in a number."""
    return f"node-{node.name}-node"


def address(guest: GuestFacts) -> str:
    """Return where the guest is reached: its fixed address, else its name."""
    for _, value in guest.numbered("net", "ipconfig"):
        told = properties(value, "")
        for key in ("ip", "ip6"):
            try:
                return str(ipaddress.ip_interface(told.get(key, "")).ip)
            except ValueError:
                continue  # dhcp, auto or manual
    return guest.name or host_name(guest)


def inventory(state: ClusterState) -> dict[str, Any]:
    """Return the inventory as Ansible's YAML plugin reads it."""
    children: dict[str, Any] = {
        NODES: {
            "hosts": {
                node_host_name(node): {"ansible_host": node.address or node.name}
                for node in state.nodes
            }
        },
        "guests": {"children": {"vms": {}, "containers": {}}},
    }
    for kind, group in GROUPS.items():
        children[group] = {
            "hosts": {
                host_name(guest): {"ansible_host": address(guest)} for guest in state.kind(kind)
            }
        }
    for group, members in _views(state).items():
        children[group] = {"hosts": {host_name(guest): {} for guest in members}}
    return {"all": {"children": children}}


def _views(state: ClusterState) -> dict[str, list[GuestFacts]]:
    """Return the groups that guests are also in."""
    found: dict[str, list[GuestFacts]] = {"running": [], "stopped": [], "templates": []}
    for guest in state.guests:
        word = "templates" if guest.is_template else "running" if guest.is_running else "stopped"
        found[word].append(guest)
        found.setdefault(f"on_node_{slug(guest.node)}", []).append(guest)
        for tag in guest.tags:
            if name := slug(tag):
                found.setdefault(f"tag_{name}", []).append(guest)
    return dict(sorted(found.items()))
