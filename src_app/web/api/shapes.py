"""From rows to what goes over the wire."""

from __future__ import annotations

from src_app.catalog import CatalogEntry
from src_app.db import listing
from src_app.db.models import Operation, User
from src_app.db.repositories import RepositoryFactory
from src_app.domain.errors import AppNotFoundError
from src_app.services.apps import Submitted
from src_app.services.manager import PROCEDURES
from src_app.services.users import Login
from src_app.web.schemas import (
    Accepted,
    AppOut,
    EntryOut,
    OperationOut,
    TokenOut,
    UserOut,
    VersionOut,
)


def user_out(user: User) -> UserOut:
    """Return a user without his password."""
    return UserOut(
        id=user.id,
        username=user.username,
        email=user.email,
        role=user.role,
        is_active=user.is_active,
    )


def token_out(login: Login) -> TokenOut:
    """Return a login."""
    return TokenOut(
        access_token=login.access_token,
        refresh_token=login.refresh_token,
        expires_in=login.expires_in,
        user=user_out(login.user),
    )


def operation_out(row: Operation) -> OperationOut:
    """Return an operation without its plan, which has sealed values."""
    procedure = PROCEDURES.get(row.kind)
    return OperationOut(
        id=row.id,
        kind=row.kind,
        status=row.status,
        percent=row.percent,
        step=row.step,
        steps=[step.title for step in procedure.steps] if procedure else [],
        log=[str(line) for line in row.log],
        error=row.error,
        app_id=row.app_id,
        subject=row.subject,
        backup_id=row.plan.get("backup_id"),
        created_at=row.created_at.isoformat(),
        updated_at=row.updated_at.isoformat(),
        finished_at=row.finished_at.isoformat() if row.finished_at else None,
    )


def app_out(db: RepositoryFactory, app_id: str) -> AppOut:
    """Return one app as the list shows it.

    Raises:
        AppNotFoundError: it went meanwhile.
    """
    found = listing.read_app(db, app_id)
    if found is None:
        raise AppNotFoundError.of(app_id)
    return AppOut(**found)


def accepted(db: RepositoryFactory, submitted: Submitted) -> Accepted:
    """Return an app and what has begun on it."""
    return Accepted(app=app_out(db, submitted.app.id), operation=operation_out(submitted.operation))


def entry_out(entry: CatalogEntry) -> EntryOut:
    """Return a catalog entry."""
    return EntryOut(
        id=entry.id,
        name=entry.name,
        description=entry.description,
        category=entry.category,
        icon=entry.icon,
        website=entry.website,
        tags=list(entry.tags),
        version=entry.latest.version,
        versions=[VersionOut(version=v.version, source=v.source) for v in entry.versions],
        port=entry.port,
        volumes=[{"path": v.path, "size_gib": v.size_gib} for v in entry.volumes],
        environment=dict(entry.environment),
        min_cores=entry.min_cores,
        min_memory_mib=entry.min_memory_mib,
        min_disk_gib=entry.min_disk_gib,
    )
