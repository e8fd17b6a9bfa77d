"""Reading and writing rows, with validation, typed errors, pages and bulk operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import ForeignKeyConstraint, Table, delete, func, inspect, select, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from src_app.db import models
from src_app.db.constraints import foreign_error, translate
from src_app.db.errors import (
    ConflictError,
    FieldError,
    NotFoundError,
    RepositoryError,
    ValidationError,
)
from src_app.db.models import Base
from src_app.db.validation import RULES, validate

M = TypeVar("M", bound=Base)
PAGE_SIZE = 50
LARGEST_PAGE = 1000
SNAPSHOT_AGE = timedelta(days=90)
VOLATILE = frozenset({"created_at", "updated_at", "uptime_s", "cpu_usage", "memory_used_bytes"})


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """Some of the rows, and how many there are."""

    data: tuple[M, ...]
    total: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class BulkResult(Generic[M]):
    """What became of each row of a bulk operation, by its place in the list."""

    done: Mapping[int, M] = field(default_factory=dict)
    failed: Mapping[int, RepositoryError] = field(default_factory=dict)


class Repository(Generic[M]):
    """The rows of one model."""

    def __init__(self, session: Session, model: type[M], entity: str) -> None:
        self.session = session
        self.model = model
        self.entity = entity
        self.table: Table = inspect(model).local_table  # type: ignore[assignment]  # always a Table

    # -- one row ----------------------------------------------------------------------

    def create(self, values: Mapping[str, Any]) -> M:
        """Return the new row, flushed.

        Raises:
            ValidationError: names each field; ConflictError: the row meets another.
        """
        self._check(values)
        return self._add(values)

    def find_by_id(self, key: object) -> M | None:
        """Return the row, or None."""
        return self.session.get(self.model, key)

    def get(self, key: object) -> M:
        """Return the row.

        Raises:
            NotFoundError: there is none.
        """
        row = self.find_by_id(key)
        if row is None:
            raise NotFoundError(self.entity, key)
        return row

    def update(self, key: object, values: Mapping[str, Any]) -> M:
        """Return the row with ``values`` changed, flushed.

        Raises:
            NotFoundError, ValidationError, ConflictError.
        """
        row = self.get(key)
        self._check(values, partial=True)
        with self._translated():
            for name, value in values.items():
                setattr(row, name, value)
            self.session.flush()
        return row

    def upsert(self, key: object, values: Mapping[str, Any]) -> M:
        """Return the row with id ``key``, made or changed."""
        primary = self.table.primary_key.columns.keys()[0]
        if self.find_by_id(key) is None:
            return self.create({primary: key, **values})
        return self.update(key, values)

    def delete(self, key: object) -> None:
        """Remove the row.

        Raises:
            NotFoundError: there is none; ConflictError: others still refer to it.
        """
        row = self.get(key)
        with self._translated():
            self.session.delete(row)
            self.session.flush()

    # -- many rows --------------------------------------------------------------------

    def find_many(
        self,
        *,
        page: int = 1,
        limit: int = PAGE_SIZE,
        order_by: str = "",
        where: Mapping[str, Any] | None = None,
    ) -> Page[M]:
        """Return one page of the rows whose columns equal ``where``; ``-name`` sorts downwards.

        Raises:
            ValidationError: a page below 1, a limit out of range, an unknown column.
        """
        self._check_page(page, limit)
        query = select(self.model).where(*self._filters(where or {}))
        total = self.count(where)
        name = order_by.removeprefix("-")
        column = self._column(name) if name else self.table.primary_key.columns[0]
        query = query.order_by(
            column.desc() if order_by.startswith("-") else column, *self.table.primary_key
        )
        start = (page - 1) * limit
        rows = tuple(self.session.scalars(query.offset(start).limit(limit)))
        return Page(rows, total, start + len(rows) < total)

    def count(self, where: Mapping[str, Any] | None = None) -> int:
        """Return how many rows there are."""
        query = select(func.count()).select_from(self.model).where(*self._filters(where or {}))
        return int(self.session.scalar(query) or 0)

    def exists(self, key: object) -> bool:
        """Whether there is a row with that id, not only in this session's memory."""
        primary = self.table.primary_key.columns[0]
        return self.session.scalar(select(primary).where(primary == key)) is not None

    def create_many(self, rows: Sequence[Mapping[str, Any]]) -> BulkResult[M]:
        """Return what became of each row: those that can be stored are."""
        done: dict[int, M] = {}
        failed: dict[int, RepositoryError] = {}
        for place, values in enumerate(rows):
            try:
                with self.session.begin_nested():
                    done[place] = self.create(values)
            except RepositoryError as exc:
                failed[place] = exc
        return BulkResult(done, failed)

    def update_many(self, changes: Mapping[Any, Mapping[str, Any]]) -> BulkResult[M]:
        """Return what became of each change, by its place."""
        done: dict[int, M] = {}
        failed: dict[int, RepositoryError] = {}
        for place, (key, values) in enumerate(changes.items()):
            try:
                with self.session.begin_nested():
                    done[place] = self.update(key, values)
            except RepositoryError as exc:
                failed[place] = exc
        return BulkResult(done, failed)

    def delete_many(self, where: Mapping[str, Any]) -> int:
        """Return how many rows were removed.

        Raises:
            ValidationError: no filter, which would remove all; ConflictError: still used.
        """
        if not where:
            raise ValidationError(self.entity, [FieldError("where", "must not be empty")])
        with self._translated():
            result = self.session.execute(delete(self.model).where(*self._filters(where)))
        return int(result.rowcount)  # type: ignore[attr-defined]  # a CursorResult

    # -- inside -----------------------------------------------------------------------

    def _check(self, values: Mapping[str, Any], *, partial: bool = False) -> None:
        unknown = sorted(set(values) - set(self.table.columns.keys()))
        if unknown:
            errors = [FieldError(name, "is not a field") for name in unknown]
            raise ValidationError(self.entity, errors)
        if self.entity in RULES:
            validate(self.entity, values, partial=partial)
        self._check_parents(values)

    def _check_parents(self, values: Mapping[str, Any]) -> None:
        """Name the field here: SQLite does not say which foreign key it was."""
        for key in self.table.constraints:
            if not isinstance(key, ForeignKeyConstraint):
                continue
            value = values.get(key.column_keys[0])
            target = key.elements[0].column
            query = select(target).where(target == value)
            if value is not None and self.session.scalar(query) is None:
                raise foreign_error(self.entity, key)

    def _add(self, values: Mapping[str, Any]) -> M:
        primary = self.table.primary_key.columns.keys()[0]
        if primary in values and self.find_by_id(values[primary]) is not None:
            raise ConflictError(self.entity, primary, "is taken")
        row = self.model(**values)
        with self._translated():
            self.session.add(row)
            self.session.flush()
        return row

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Undo what failed, and only that, and name the field."""
        nested = self.session.begin_nested()
        try:
            yield
            nested.commit()
        except IntegrityError as exc:
            nested.rollback()
            raise translate(exc, self.entity, self.table) from exc

    def _column(self, name: str) -> Any:
        column = self.table.columns.get(name)
        if column is None:
            raise ValidationError(self.entity, [FieldError(name, "is not a field")])
        return column

    def _filters(self, where: Mapping[str, Any]) -> list[Any]:
        return [
            self._column(name).in_(value)
            if isinstance(value, list | tuple | set)
            else self._column(name) == value
            for name, value in where.items()
        ]

    def _check_page(self, page: int, limit: int) -> None:
        errors = []
        if page < 1:
            errors.append(FieldError("page", "must be 1 or more"))
        if not 1 <= limit <= LARGEST_PAGE:
            errors.append(FieldError("limit", f"must be 1 to {LARGEST_PAGE}"))
        if errors:
            raise ValidationError(self.entity, errors)


class SnapshotRepository(Repository[models.Snapshot]):
    """What the resources were like at earlier moments."""

    def history(self, resource_type: str, resource_id: str) -> list[models.Snapshot]:
        """Return the snapshots of one resource, newest first."""
        query = (
            select(models.Snapshot)
            .where(models.Snapshot.resource_type == resource_type)
            .where(models.Snapshot.resource_id == resource_id)
            .order_by(models.Snapshot.taken_at.desc(), models.Snapshot.id.desc())
        )
        return list(self.session.scalars(query))

    def compare_with_latest(
        self, resource_type: str, resource_id: str, data: Mapping[str, Any]
    ) -> dict[str, tuple[Any, Any]]:
        """Return the fields that differ from the latest snapshot: before and now.

        What changes by itself (times, uptime, load) does not count.
        """
        past = self.history(resource_type, resource_id)
        before = past[0].resource_data if past else {}
        names = (set(before) | set(data)) - VOLATILE
        return {
            name: (before.get(name), data.get(name))
            for name in sorted(names)
            if before.get(name) != data.get(name)
        }

    def record(
        self, resource_type: str, resource_id: str, data: Mapping[str, Any]
    ) -> models.Snapshot | None:
        """Return the new snapshot, or None when nothing changed since the latest."""
        past = self.history(resource_type, resource_id)
        if past and not self.compare_with_latest(resource_type, resource_id, data):
            return None
        return self.create(
            {
                "resource_type": resource_type,
                "resource_id": resource_id,
                "resource_data": dict(data),
                "change_type": "updated" if past else "discovered",
            }
        )

    def cleanup_old(self, now: datetime, age: timedelta = SNAPSHOT_AGE) -> int:
        """Return how many snapshots older than ``age`` were removed."""
        query = delete(models.Snapshot).where(models.Snapshot.taken_at < now - age)
        return int(self.session.execute(query).rowcount)  # type: ignore[attr-defined]  # as above


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the database answers and has all tables."""

    ok: bool
    problems: tuple[str, ...] = ()


class RepositoryFactory:
    """All repositories on one session, so that they share its transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.nodes = Repository(session, models.Node, "node")
        self.vms = Repository(session, models.VM, "vm")
        self.containers = Repository(session, models.Container, "container")
        self.storages = Repository(session, models.Storage, "storage")
        self.tasks = Repository(session, models.Task, "task")
        self.snapshots = SnapshotRepository(session, models.Snapshot, "snapshot")
        self.wanted = Repository(session, models.WantedGuest, "wanted guest")
        self.changes = Repository(session, models.Change, "change")
        self.users = Repository(session, models.User, "user")
        self.apps = Repository(session, models.App, "app")
        self.backups = Repository(session, models.Backup, "backup")
        self.operations = Repository(session, models.Operation, "operation")
        self.locks = Repository(session, models.OperationLock, "operation lock")
        self.claims = Repository(session, models.GuestClaim, "guest claim")
        self.refresh_tokens = Repository(session, models.RefreshToken, "refresh token")
        self.login_failures = Repository(session, models.LoginFailure, "login failure")
        self.schedules = Repository(session, models.Schedule, "schedule")
        self.ports = Repository(session, models.PortReservation, "port reservation")
        self.settings = Repository(session, models.Setting, "setting")
        self.audit = Repository(session, models.AuditEntry, "audit entry")

    def taken_ports(self) -> set[int]:
        """Return the ports that apps hold."""
        return set(self.session.scalars(select(models.PortReservation.port)))

    def taken_vmids(self) -> set[int]:
        """Return the VMIDs of apps, and of guests that were asked for."""
        apps = select(models.App.vmid).where(models.App.vmid.is_not(None))
        found = {*self.session.scalars(apps), *self.session.scalars(select(models.GuestClaim.vmid))}
        return {vmid for vmid in found if vmid is not None}

    @contextmanager
    def transaction(self) -> Iterator[RepositoryFactory]:
        """Commit all of the block's changes together, or none of them."""
        with self.session.begin_nested():
            yield self
        self.session.commit()

    def health_check(self) -> Health:
        """Return whether the database answers and which tables it lacks."""
        try:
            self.session.execute(text("SELECT 1"))
            present = set(inspect(self.session.connection()).get_table_names())
        except SQLAlchemyError as exc:
            return Health(ok=False, problems=(str(exc),))
        missing = sorted(set(Base.metadata.tables) - present)
        return Health(
            ok=not missing, problems=tuple(f"table {name} is missing" for name in missing)
        )
