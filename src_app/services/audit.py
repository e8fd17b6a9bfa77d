"""Who did what: one row for each change that somebody asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from src_app.db.models import AuditEntry
from src_app.db.repositories import RepositoryFactory

if TYPE_CHECKING:
    from src_app.services.manager import Manager


def add(
    db: RepositoryFactory,
    action: str,
    subject: str,
    *,
    user_id: int | None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write it down in the transaction that does it."""
    db.session.add(
        AuditEntry(action=action, subject=subject, user_id=user_id, details=dict(details or {}))
    )


def record(
    manager: Manager,
    action: str,
    subject: str,
    *,
    user_id: int | None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write it down by itself."""
    manager.store.run(lambda db: add(db, action, subject, user_id=user_id, details=details))
