"""The queue of operations: taken by one process each, kept while it lives, never lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, update

from src_app.db.errors import ConflictError
from src_app.db.models import Operation, OperationLock, now
from src_app.db.repositories import RepositoryFactory

OPEN = ("queued", "running")
FINAL = ("succeeded", "failed", "rolled_back", "cancelled")


class LostLease(Exception):
    """Another process works on the operation by now; this one must not go on."""


def submit(
    db: RepositoryFactory, values: Mapping[str, Any], *, subjects: Iterable[str]
) -> Operation:
    """Return the new operation, queued, with its subjects locked.

    Raises:
        ConflictError: an operation on one of them is not finished; ``field`` is ``subject``.
    """
    row = db.operations.create({**values, "status": "queued"})
    for subject in sorted(set(subjects)):
        db.locks.create({"subject": subject, "operation_id": row.id})
    return row


def take(
    db: RepositoryFactory, worker: str, *, lease_s: float, only: str | None = None
) -> Operation | None:
    """Return an operation that is now this worker's: the oldest that waits or was left behind.

    ``only`` names the one that it may be.

    One statement decides, so two workers never take the same one; on PostgreSQL they do not
    even wait for each other.
    """
    moment = now()
    waiting = and_(
        Operation.status.in_(OPEN),
        or_(Operation.worker.is_(None), Operation.lease_until < moment),
        or_(Operation.not_before.is_(None), Operation.not_before <= moment),
    )
    if only is not None:
        waiting = and_(waiting, Operation.id == only)
    oldest = (
        select(Operation.id)
        .where(waiting)
        .order_by(Operation.created_at, Operation.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    taking = (
        update(Operation)
        .where(Operation.id == oldest.scalar_subquery(), waiting)
        .values(
            status="running",
            worker=worker,
            lease_until=moment + timedelta(seconds=lease_s),
            attempts=Operation.attempts + 1,
            not_before=None,
        )
        .returning(Operation.id)
        .execution_options(synchronize_session=False)
    )
    taken = db.session.scalar(taking)
    return None if taken is None else db.operations.get(taken)


def write(db: RepositoryFactory, operation_id: str, worker: str, values: Mapping[str, Any]) -> None:
    """Change an operation that is this worker's.

    Raises:
        LostLease: it is another's by now.
    """
    mine = and_(Operation.id == operation_id, Operation.worker == worker)
    result = db.session.execute(update(Operation).where(mine).values(**values))
    if not result.rowcount:  # type: ignore[attr-defined]  # a CursorResult
        raise LostLease(operation_id)


def prolong(db: RepositoryFactory, worker: str, *, lease_s: float) -> None:
    """Let the leases of all operations of a worker that lives last longer."""
    mine = and_(Operation.worker == worker, Operation.status == "running")
    until = now() + timedelta(seconds=lease_s)
    db.session.execute(update(Operation).where(mine).values(lease_until=until))


def finish(
    db: RepositoryFactory, operation_id: str, worker: str, values: Mapping[str, Any]
) -> None:
    """End an operation for good and unlock what it worked on.

    Raises:
        LostLease: it is another's by now.
    """
    ending = {"worker": None, "lease_until": None, "finished_at": now(), **values}
    write(db, operation_id, worker, ending)
    db.session.execute(delete(OperationLock).where(OperationLock.operation_id == operation_id))


def workers(db: RepositoryFactory) -> list[str]:
    """Return the workers that say they have an operation."""
    query = select(Operation.worker).where(Operation.status == "running").distinct()
    return [name for name in db.session.scalars(query) if name is not None]


def release(db: RepositoryFactory, worker: str) -> None:
    """Give the operations of a worker that is dead, or stops, to the others."""
    mine = and_(Operation.worker == worker, Operation.status == "running")
    db.session.execute(update(Operation).where(mine).values(worker=None, lease_until=None))


def open_count(db: RepositoryFactory) -> int:
    """Return how many operations are not finished."""
    query = select(func.count()).select_from(Operation).where(Operation.status.in_(OPEN))
    return int(db.session.scalar(query) or 0)


def is_busy(error: Exception) -> bool:
    """Tell whether an error says that another operation has the lock."""
    return isinstance(error, ConflictError) and error.entity == "operation lock"
