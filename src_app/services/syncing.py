"""From the cluster to the workspace's database: discovered, compared, stored in one transaction."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from src_app.db import inventory as rows
from src_app.db import words
from src_app.db.inventory import Difference, Key, Row
from src_app.db.repositories import RepositoryFactory
from src_app.db.store import Store
from src_app.domain.errors import InvalidInput
from src_app.proxmox.inventory import (
    Configs,
    Inventory,
    Progress,
    Reader,
    Seen,
    SeenGuest,
    SeenNode,
    SeenStorage,
)

TYPES = ("node", "vm", "container", "storage")
FIELDS = ("type", "node", "name", "status", "tag", "vmid")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which resources a sync is about: all conditions hold, ``*`` stands for anything."""

    conditions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Filter:
        """Return the filter that texts like ``vms``, ``node=pve`` or ``name=web*`` say.

        Raises:
            InvalidInput: one says none.
        """
        found = []
        for text in texts:
            name, separator, value = text.partition("=")
            if not separator and text.rstrip("s") in TYPES:
                name, value = "type", text.rstrip("s")
            if name not in FIELDS or not value:
                raise InvalidInput(
                    f'"{text}" is no filter. Write {", ".join(f"{t}s" for t in TYPES)}, '
                    f"or one of {', '.join(FIELDS)} with a value, e.g. name=web*.",
                    fields={"filter": "is none"},
                )
            found.append((name, value.rstrip("s") if name == "type" else value))
        return cls(tuple(found))

    def takes(self, kind: str, row: Mapping[str, Any]) -> bool:
        """Whether a row of the database, or one to be, is meant."""
        facts = {
            "type": [kind],
            "node": [row.get("node_id", row.get("id"))],
            "name": [row.get("name") or row.get("hostname") or row.get("id")],
            "status": [row.get("status")],
            "tag": row.get("tags") or [],
            "vmid": [row.get("id")] if kind in ("vm", "container") else [],
        }
        return all(
            any(fnmatch.fnmatchcase(str(fact), value) for fact in facts[name])
            for name, value in self.conditions
        )


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync found; ``stored`` is false for a dry run."""

    difference: Difference
    seen: Seen
    stored: bool

    def counts(self) -> dict[str, int]:
        """Return how many resources were added, changed, removed, and are as they were."""
        told = self.difference
        return {
            "added": sum(map(len, told.added.values())),
            "changed": len(told.changed),
            "removed": sum(map(len, told.removed.values())),
            "returned": sum(map(len, told.returned.values())),
            "unchanged": told.unchanged,
        }


def utc_now() -> datetime:
    """Return the wall time, with its zone."""
    return datetime.now(UTC)


class SyncService:
    """Keeps a database in step with a cluster."""

    def __init__(
        self,
        store: Store,
        reader: Reader,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._inventory = Inventory(reader)
        self._now = now

    def sync_all(
        self,
        wanted: Filter = Filter(),
        *,
        dry_run: bool = False,
        known: Configs | None = None,
        progress: Progress = lambda done, total: None,
    ) -> SyncReport:
        """Return what differed, once it is stored; a dry run stores nothing.

        ``known`` are configs that an interrupted sync had read. Where Proxmox fails, the
        database stays as it was.

        Raises:
            Interrupted, ProxmoxError: Proxmox could not be read.
        """
        seen = self.discover(wanted, known=known, progress=progress)
        return self.take(seen, wanted, dry_run=dry_run)

    def discover(
        self,
        wanted: Filter = Filter(),
        *,
        known: Configs | None = None,
        progress: Progress = lambda done, total: None,
    ) -> Seen:
        """Return what is on the cluster, configs only of guests that are wanted."""
        return self._inventory.discover(
            wanted=lambda guest: wanted.takes(guest.kind, guest_row(guest)),
            known=known,
            progress=progress,
        )

    def take(self, seen: Seen, wanted: Filter = Filter(), *, dry_run: bool = False) -> SyncReport:
        """Return what differed from the database, once it is stored there."""
        if dry_run:
            return SyncReport(
                self._store.read(lambda db: difference(db, seen, wanted)), seen, False
            )

        def store(db: RepositoryFactory) -> Difference:
            found = difference(db, seen, wanted)
            rows.apply(db, found, self._now())
            return found

        return SyncReport(self._store.run(store), seen, stored=True)


def difference(db: RepositoryFactory, seen: Seen, wanted: Filter = Filter()) -> Difference:
    """Return how the database differs from what was seen, within a filter."""
    before, now = rows.read(db), _rows(seen)
    _keep_configs(before, now, seen)
    missing = {}
    for kind in TYPES:
        present = {rows.key_of(kind, row) for row in now[kind]}
        missing[kind] = [
            key
            for key, row in before[kind].items()
            if key not in present and wanted.takes(kind, row)
        ]
    chosen = {
        kind: [row for row in found if wanted.takes(kind, row) or _is_parent(kind, row, before)]
        for kind, found in now.items()
    }
    return rows.compare(before, chosen, missing)


def _is_parent(kind: str, row: Row, before: Mapping[str, Mapping[Key, Row]]) -> bool:
    """Whether a row must be there for others to refer to: a node that is not known yet."""
    return kind == "node" and (row["id"],) not in before["node"]


def _keep_configs(
    before: Mapping[str, Mapping[Key, Row]], now: Mapping[str, list[Row]], seen: Seen
) -> None:
    """Let a guest on a node that is offline keep what was known of it."""
    blind = {(guest.kind, guest.vmid) for guest in seen.guests if not guest.has_config}
    for kind in ("vm", "container"):
        for row in now[kind]:
            old = before[kind].get((row["id"],))
            if (kind, row["id"]) in blind and old is not None:
                row.update({k: v for k, v in old.items() if k in row and k != "status"})


def _rows(seen: Seen) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {kind: [] for kind in TYPES}
    found["node"] = [node_row(node) for node in seen.nodes]
    for guest in seen.guests:
        found[guest.kind].append(guest_row(guest))
    found["storage"] = [storage_row(storage) for storage in seen.storages]
    return found


def node_row(node: SeenNode) -> Row:
    """Return a node as the database keeps it."""
    return {
        "id": node.name,
        "status": node.status,
        "ip": node.ip,
        "cpu_count": node.cpu_count,
        "cpu_usage": node.cpu_usage,
        "memory_bytes": node.memory_bytes,
        "memory_used_bytes": node.memory_used_bytes,
        "uptime_s": node.uptime_s,
    }


def guest_row(guest: SeenGuest) -> Row:
    """Return a guest as the database keeps it."""
    row: Row = {
        "id": guest.vmid,
        "node_id": guest.node,
        "status": guest.status if guest.status in words.GUEST_STATUS else "unknown",
        "cores": guest.cores,
        "memory_bytes": guest.memory_bytes,
        "disk_bytes": guest.disk_bytes,
        "uptime_s": guest.uptime_s,
        "is_template": guest.is_template,
        "tags": list(guest.tags),
        "config": dict(guest.config),
    }
    if guest.kind == "vm":
        return {**row, "name": guest.name}
    ostype = guest.config.get("ostype")
    return {
        **row,
        "hostname": guest.name,
        "ostype": None if ostype is None else str(ostype),
        "unprivileged": bool(guest.config.get("unprivileged", 0)),
    }


def storage_row(storage: SeenStorage) -> Row:
    """Return a storage as the database keeps it."""
    return {
        "node_id": storage.node,
        "name": storage.name,
        "type": storage.type,
        "content": list(storage.content),
        "shared": storage.shared,
        "active": storage.active,
        "total_bytes": storage.total_bytes,
        "used_bytes": storage.used_bytes,
    }
