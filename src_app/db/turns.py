"""Whose turn it is: of many processes one moves a schedule's next time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import update

from src_app.db.models import Schedule
from src_app.db.repositories import RepositoryFactory


def take(db: RepositoryFactory, kind: str, due: datetime, following: datetime) -> bool:
    """Tell whether this call moved the next time from ``due``: of two only one does."""
    moving = (
        update(Schedule)
        .where(Schedule.kind == kind, Schedule.next_at == due)
        .values(next_at=following)
        .execution_options(synchronize_session=False)
    )
    return bool(db.session.execute(moving).rowcount)  # type: ignore[attr-defined]  # a CursorResult
