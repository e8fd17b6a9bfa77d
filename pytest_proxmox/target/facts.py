"""Facts about the target: what guests are made on, made from and backed up to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.target.calls import Calls
from pytest_proxmox.values import NodeName

TargetKind = Literal["simulator", "real", "replay", "url"]

_OPTIONS = {
    "node": "--proxmox-node or PROXMOX_NODE",
    "storage": "--proxmox-storage or PROXMOX_STORAGE",
    "backup_storage": "--proxmox-backup-storage or PROXMOX_BACKUP_STORAGE",
    "template": "--proxmox-template or PROXMOX_TEMPLATE",
    "bridge": "--proxmox-bridge or PROXMOX_BRIDGE",
}
# Storages whose containers can be snapshotted: a raw file on a directory cannot (golden 06).
_SNAPSHOTS = frozenset({"btrfs", "cephfs", "lvmthin", "rbd", "zfspool"})
_WANTED = {
    "backup_storage": "storage for backups",
    "template": "container template",
    "bridge": "network bridge",
}


@dataclass(frozen=True, slots=True)
class Given:
    """What the settings say about the target; None means: find it there."""

    node: str | None = None
    storage: str | None = None
    backup_storage: str | None = None
    template: str | None = None
    bridge: str | None = None


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """The endpoint as tests see it; there is no secret in it.

    ``user`` is whom the target's tasks name, ``user@realm`` or ``user@realm!token``. ``found``
    names the values that nobody gave and that were found on the target. ``backup_storage``,
    ``template`` and ``bridge`` are None where the target has none: ``require`` says so.
    """

    kind: TargetKind
    url: str
    node: str
    storage: str
    backup_storage: str | None
    template: str | None
    bridge: str | None
    version: str
    user: str = "root@pam"
    found: frozenset[str] = frozenset()

    def require(self, name: Literal["backup_storage", "template", "bridge"]) -> str:
        """Return the value of one of the facts that may be missing.

        Raises:
            InvalidValue: it is missing; names the option that sets it.
        """
        value: str | None = getattr(self, name)
        if value is None:
            raise InvalidValue(
                f"no {_WANTED[name]} found on node {self.node} of {self.url}",
                hint=f"Make one, or name it with {_OPTIONS[name]}",
            )
        return value


def discover(
    calls: Calls, given: Given | None = None, *, kind: TargetKind, url: str, user: str
) -> TargetFacts:
    """Return the facts, reading from the target what ``given`` leaves open.

    The node is the given one or the first that is online; storages, template and bridge are
    the first of that node, by name, that fit. Storages that can snapshot come first.

    Raises:
        InvalidValue: there is no usable node or storage, or a given one is not there.
        ApiFailure: the target cannot be read.
    """
    wish = given if given is not None else Given()
    node = _node(calls, wish.node, url)
    storages = _storages(calls, node)
    _must_exist(wish.storage, storages, "storage", node)
    _must_exist(wish.backup_storage, storages, "backup_storage", node)
    values = {
        "storage": wish.storage or _first_with(storages, "rootdir"),
        "backup_storage": wish.backup_storage or _first_with(storages, "backup"),
        "template": wish.template or _template(calls, node, storages),
        "bridge": wish.bridge or _bridge(calls, node),
    }
    storage = values.pop("storage")
    if storage is None:
        raise InvalidValue(
            f"no active storage for container disks on node {node} of {url}",
            hint=f"Allow the content Container on one, or name it with {_OPTIONS['storage']}",
        )
    return TargetFacts(
        kind=kind,
        url=url,
        node=node,
        storage=storage,
        version=str(calls.get("version")["version"]),
        user=user,
        found=frozenset(name for name in _OPTIONS if getattr(wish, name) is None),
        **values,
    )


def _node(calls: Calls, wanted: str | None, url: str) -> str:
    nodes = {row["node"]: row.get("status") for row in calls.get("nodes")}
    online = sorted(name for name, status in nodes.items() if status == "online")
    if wanted is None:
        if not online:
            raise InvalidValue(f"no node of {url} is online", hint="Start one, or wait")
        return str(NodeName.parse(online[0]))
    if wanted not in nodes:
        raise InvalidValue(
            f'{url} has no node "{wanted}", it has {", ".join(sorted(nodes))}',
            hint=f"Name one of them (not its DNS name) with {_OPTIONS['node']}",
        )
    if wanted not in online:
        raise InvalidValue(f'node "{wanted}" of {url} is offline', hint="Start it, or name another")
    return wanted


def _storages(calls: Calls, node: str) -> list[dict[str, Any]]:
    rows = calls.get(f"nodes/{node}/storage", enabled=1)
    return sorted(rows, key=lambda row: (row.get("type") not in _SNAPSHOTS, row["storage"]))


def _must_exist(wanted: str | None, storages: list[dict[str, Any]], name: str, node: str) -> None:
    there = [str(row["storage"]) for row in storages]
    if wanted is not None and wanted not in there:
        raise InvalidValue(
            f'node {node} has no enabled storage "{wanted}", it has {", ".join(there) or "none"}',
            hint=f"Name one of them with {_OPTIONS[name]}",
        )


def _with(storages: Iterable[dict[str, Any]], content: str) -> list[str]:
    return [
        str(row["storage"])
        for row in storages
        if row.get("active") and content in str(row.get("content", "")).split(",")
    ]


def _first_with(storages: Iterable[dict[str, Any]], content: str) -> str | None:
    return next(iter(_with(storages, content)), None)


def _template(calls: Calls, node: str, storages: list[dict[str, Any]]) -> str | None:
    for storage in _with(storages, "vztmpl"):
        rows = calls.get(f"nodes/{node}/storage/{storage}/content", content="vztmpl")
        if rows:
            return min(str(row["volid"]) for row in rows)
    return None


def _bridge(calls: Calls, node: str) -> str | None:
    rows = calls.get(f"nodes/{node}/network", type="any_bridge")
    return min((str(row["iface"]) for row in rows), default=None)
