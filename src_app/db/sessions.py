"""Logins at rest: refresh tokens that are used once, and failures that are counted."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, select, update

from src_app.db.models import LoginFailure, RefreshToken
from src_app.db.repositories import RepositoryFactory


def count_failures(db: RepositoryFactory, subject: str, since: datetime) -> int:
    """Return how many logins of a subject failed since then."""
    query = select(func.count()).select_from(LoginFailure)
    query = query.where(LoginFailure.subject == subject, LoginFailure.at >= since)
    return int(db.session.scalar(query) or 0)


def forget_failures(db: RepositoryFactory, subject: str) -> None:
    """Let a subject begin anew."""
    db.session.execute(delete(LoginFailure).where(LoginFailure.subject == subject))


def prune(db: RepositoryFactory, *, failures_before: datetime, tokens_before: datetime) -> None:
    """Remove what has no meaning any more."""
    db.session.execute(delete(LoginFailure).where(LoginFailure.at < failures_before))
    db.session.execute(delete(RefreshToken).where(RefreshToken.expires_at < tokens_before))


def use_token(db: RepositoryFactory, token_id: str, at: datetime) -> bool:
    """Return whether this call is the one that uses the token up: of two only one is."""
    fresh = RefreshToken.used_at.is_(None)
    using = update(RefreshToken).where(RefreshToken.id == token_id, fresh).values(used_at=at)
    return bool(db.session.execute(using).rowcount)  # type: ignore[attr-defined]  # a CursorResult


def end_family(db: RepositoryFactory, family: str) -> None:
    """End all tokens that came from one login."""
    db.session.execute(delete(RefreshToken).where(RefreshToken.family == family))


def end_user(db: RepositoryFactory, user_id: int) -> None:
    """End all logins of a user."""
    db.session.execute(delete(RefreshToken).where(RefreshToken.user_id == user_id))


def count_admins(db: RepositoryFactory) -> int:
    """Return how many active admins there are."""
    return db.users.count({"role": "admin", "is_active": True})
