"""The cluster as last seen: compared with how it is now, and brought up to date in bulk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, bindparam, insert, select, update

from src_app.db.models import VM, Base, Container, Node, Snapshot, Storage, WantedGuest
from src_app.db.repositories import RepositoryFactory

Key = tuple[Any, ...]
Row = dict[str, Any]
MODELS: Mapping[str, type[Base]] = {
    "node": Node, "vm": VM, "container": Container, "storage": Storage,
}  # fmt: skip
KEYS: Mapping[str, tuple[str, ...]] = {
    "node": ("id",), "vm": ("id",), "container": ("id",), "storage": ("node_id", "name"),
}  # fmt: skip
# What changes by itself: kept up to date, and never called a difference.
VOLATILE = frozenset({"uptime_s", "cpu_usage", "memory_used_bytes", "used_bytes"})
OWN = frozenset({"created_at", "updated_at", "removed_at"})


@dataclass(frozen=True, slots=True)
class Changed:
    """One row that differs: for each field how it was and how it is."""

    type: str
    key: Key
    fields: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Difference:
    """What is to be done to the database, by the type of resource."""

    added: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    returned: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    refreshed: Mapping[str, Sequence[Row]] = field(default_factory=dict)  # the volatile included
    removed: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    changed: tuple[Changed, ...] = ()
    unchanged: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs that is a difference."""
        gone = any(self.added.values()) or any(self.returned.values())
        return not (gone or any(self.removed.values()) or self.changed)


def key_of(kind: str, row: Mapping[str, Any]) -> Key:
    """Return what tells a row from others of its type."""
    return tuple(row[name] for name in KEYS[kind])


def read(db: RepositoryFactory) -> dict[str, dict[Key, Row]]:
    """Return all rows by type and key, those that are marked as removed too."""
    found: dict[str, dict[Key, Row]] = {}
    for kind, model in MODELS.items():
        rows = [_plain(row) for row in db.session.execute(select(model.__table__)).mappings()]
        found[kind] = {key_of(kind, row): row for row in rows}
    return found


def names(db: RepositoryFactory) -> dict[str, list[tuple[Any, str]]]:
    """Return id and name of what is there, by type: what completion needs, and no more."""
    columns = {
        "node": (Node.id, Node.id),
        "vm": (VM.id, VM.name),
        "container": (Container.id, Container.hostname),
        "storage": (Storage.name, Storage.name),
        "wanted": (WantedGuest.vmid, WantedGuest.name),
    }
    found: dict[str, list[tuple[Any, str]]] = {}
    for kind, (key, name) in columns.items():
        query = select(key, name)
        if kind != "wanted":
            query = query.where(MODELS[kind].__table__.c.removed_at.is_(None))
        found[kind] = [(row[0], str(row[1])) for row in db.session.execute(query)]
    return found


def compare(
    before: Mapping[str, Mapping[Key, Row]],
    now: Mapping[str, Sequence[Row]],
    missing: Mapping[str, Sequence[Key]],
) -> Difference:
    """Return how the database differs from ``now``; ``missing`` are the rows that are gone."""
    added: dict[str, list[Row]] = {}
    returned: dict[str, list[Row]] = {}
    refreshed: dict[str, list[Row]] = {}
    changed: list[Changed] = []
    unchanged = 0
    for kind, rows in now.items():
        for row in rows:
            old = before[kind].get(key := key_of(kind, row))
            if old is None:
                added.setdefault(kind, []).append(row)
                continue
            fields = {n: (old[n], v) for n, v in row.items() if old[n] != v}
            drift = {n: pair for n, pair in fields.items() if n not in VOLATILE}
            if old["removed_at"] is not None:
                returned.setdefault(kind, []).append(row)
            elif fields:
                refreshed.setdefault(kind, []).append(row)
            if drift and old["removed_at"] is None:
                changed.append(Changed(kind, key, drift))
            elif old["removed_at"] is None:
                unchanged += 1
    removed = {
        kind: [before[kind][key] for key in keys if before[kind][key]["removed_at"] is None]
        for kind, keys in missing.items()
    }
    return Difference(added, returned, refreshed, removed, tuple(changed), unchanged)


def apply(db: RepositoryFactory, difference: Difference, at: datetime) -> None:
    """Bring the database up to date, with a snapshot of each resource that differs."""
    snapshots: list[Row] = []
    drifted = {(changed.type, changed.key) for changed in difference.changed}
    for kind, model in MODELS.items():
        stamp = {"updated_at": at, "removed_at": None}
        fresh = [{**row, **stamp, "created_at": at} for row in difference.added.get(kind, ())]
        if fresh:
            db.session.execute(insert(model.__table__), fresh)  # type: ignore[arg-type]
        back, old = difference.returned.get(kind, ()), difference.refreshed.get(kind, ())
        _update(db, kind, [{**row, **stamp} for row in (*back, *old)])
        gone = difference.removed.get(kind, ())
        _update(db, kind, [{**_keyed(kind, row), "removed_at": at} for row in gone])
        told = [row for row in old if (kind, key_of(kind, row)) in drifted]
        for change, rows in (
            ("discovered", difference.added.get(kind, ())),
            ("created", back),
            ("updated", told),
            ("deleted", gone),
        ):
            snapshots += [_snapshot(kind, row, change, at) for row in rows]
    if snapshots:
        db.session.execute(insert(Snapshot.__table__), snapshots)  # type: ignore[arg-type]


def put(db: RepositoryFactory, kind: str, row: Row, at: datetime) -> None:
    """Store one resource as it is now."""
    before = {name: _one(db, name, row) if name == kind else {} for name in MODELS}
    apply(db, compare(before, {kind: [row]}, {}), at)


def mark_removed(db: RepositoryFactory, kind: str, key: Key, at: datetime) -> None:
    """Mark one resource as gone; one that is not known is no error."""
    before = {
        name: _one(db, name, dict(zip(KEYS[kind], key, strict=True))) if name == kind else {}
        for name in MODELS
    }
    if key in before[kind]:
        apply(db, compare(before, {}, {kind: [key]}), at)


def _one(db: RepositoryFactory, kind: str, row: Mapping[str, Any]) -> dict[Key, Row]:
    table = MODELS[kind].__table__
    query = select(table).where(*(table.c[name] == row[name] for name in KEYS[kind]))
    rows = [_plain(row) for row in db.session.execute(query).mappings()]
    return {key_of(kind, found): found for found in rows}


def _plain(row: RowMapping) -> Row:
    return {str(name): value for name, value in row.items()}


def _keyed(kind: str, row: Mapping[str, Any]) -> Row:
    return {name: row[name] for name in KEYS[kind]}


def _update(db: RepositoryFactory, kind: str, rows: Sequence[Row]) -> None:
    """Change rows by their keys; all have the same columns."""
    if not rows:
        return
    table = MODELS[kind].__table__
    values: Row = {name: bindparam(f"new_{name}") for name in rows[0] if name not in KEYS[kind]}
    where = [table.c[name] == bindparam(f"old_{name}") for name in KEYS[kind]]
    given = [
        {f"{'old' if name in KEYS[kind] else 'new'}_{name}": value for name, value in row.items()}
        for row in rows
    ]
    db.session.connection().execute(update(table).where(*where).values(values), given)  # type: ignore[arg-type]


def _snapshot(kind: str, row: Mapping[str, Any], change: str, at: datetime) -> Row:
    data = {n: v for n, v in row.items() if n not in VOLATILE | OWN | {"id"} or n in KEYS[kind]}
    return {
        "taken_at": at,
        "resource_type": kind,
        "resource_id": "/".join(map(str, key_of(kind, row))),
        "resource_data": data,
        "change_type": change,
    }
