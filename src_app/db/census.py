"""How many of what there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from src_app.db.models import App, Backup, Operation
from src_app.db.repositories import RepositoryFactory

Counts = Mapping[tuple[str, ...], int]


@dataclass(frozen=True, slots=True)
class Census:
    """Counts by their labels."""

    apps: Counts
    operations: Counts
    backups: Counts
    backup_bytes: int


def count(db: RepositoryFactory) -> Census:
    """Return how many apps, operations and backups there are."""
    size = select(func.coalesce(func.sum(Backup.size_bytes), 0)).where(Backup.status == "available")
    return Census(
        apps=_by(db, App.status),
        operations=_by(db, Operation.kind, Operation.status),
        backups=_by(db, Backup.status),
        backup_bytes=int(db.session.scalar(size) or 0),
    )


def _by(db: RepositoryFactory, *columns: Any) -> Counts:
    rows = db.session.execute(select(*columns, func.count()).group_by(*columns))
    return {tuple(str(part) for part in row[:-1]): int(row[-1]) for row in rows}
