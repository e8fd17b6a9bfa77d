"""Where a container should go: the best node, storage and template of those listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from src_app.proxmox.errors import NoNodeOnline, StorageNotFound, TemplateNotFound

Listed = Mapping[str, Any]


def best_node(nodes: Sequence[Listed]) -> str:
    """Return the name of the online node with the most free memory.

    A node that is offline reports no memory at all; it is never preferred, and neither is
    one that says nothing about its state.

    Raises:
        NoNodeOnline: none of them is.
    """
    online = [node for node in nodes if node.get("status") == "online"]
    if not online:
        told = ", ".join(f"{node['node']} ({node.get('status', 'unknown')})" for node in nodes)
        raise NoNodeOnline(
            f"no node is online: {told or 'none listed'}",
            origin="GET /nodes",
            hint="Check the cluster, or the rights of the login (Sys.Audit).",
        )
    return str(min(online, key=lambda node: (-_free_memory(node), str(node["node"])))["node"])


def best_storage(storages: Sequence[Listed], *, node: str, content: str) -> str:
    """Return the name of the active storage for ``content`` with the most free space.

    Raises:
        StorageNotFound: none takes that content.
    """
    usable = [storage for storage in storages if _takes(storage, content)]
    if not usable:
        told = ", ".join(str(storage["storage"]) for storage in storages)
        raise StorageNotFound(
            f"no active storage on node {node} takes {content}",
            origin=f"storages there: {told or 'none'}",
            hint=f"Enable the content type {content} on one of them.",
        )
    roomiest = min(usable, key=lambda entry: (-int(entry.get("avail", 0)), str(entry["storage"])))
    return str(roomiest["storage"])


def first_template(volids: Iterable[str], *, node: str) -> str:
    """Return the template to use where none was named: the first by name, so always the same.

    Raises:
        TemplateNotFound: there is none.
    """
    volid = min(volids, default=None)
    if volid is None:
        raise TemplateNotFound("(any)", node=node, present=[])
    return volid


def _takes(storage: Listed, content: str) -> bool:
    kinds = str(storage.get("content", "")).split(",")
    return bool(storage.get("active", 1)) and bool(storage.get("enabled", 1)) and content in kinds


def _free_memory(node: Listed) -> int:
    return int(node.get("maxmem", 0)) - int(node.get("mem", 0))
