"""Backups, restores and updates."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from src_app.db.models import Backup
from src_app.db.repositories import RepositoryFactory
from src_app.domain.retention import Retention
from src_app.services import audit
from src_app.services.backups import BackupRequest
from src_app.web.api.apps import submitted
from src_app.web.problems import responses
from src_app.web.schemas import Accepted, Hostname, Name, Request, RowId
from src_app.web.wiring import AnyUser, TheManager

router = APIRouter(tags=["backups"])
Status = Literal["creating", "available", "failed", "restoring", "deleting"]
Count = Annotated[int, Field(ge=0, le=1000)]


class BackupIn(Request):
    """How the backup is to be made."""

    mode: Literal["snapshot", "suspend", "stop"] = "snapshot"
    compress: Literal["zstd", "gzip", "none"] = "zstd"
    storage: Annotated[str, Field(max_length=100, pattern=r"^[a-zA-Z0-9_.-]+$")] | None = None
    notes: Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")] = ""
    protected: bool = False


class BackupChange(Request):
    """What is to be different about a backup."""

    notes: Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")] | None = None
    protected: bool | None = None


class RestoreIn(Request):
    """Where to: without a hostname the app comes back as it was."""

    hostname: Hostname | None = None
    overwrite: bool = False


class RetentionIn(Request):
    """Which backups are kept."""

    keep_last: Count = 0
    keep_daily: Count = 0
    keep_weekly: Count = 0
    keep_monthly: Count = 0
    dry_run: bool = True


class UpdateIn(Request):
    """To which version: the newest unless told."""

    version: Annotated[str, Field(max_length=32)] | None = None


class BackupOut(BaseModel):
    """A backup, which may outlive its app."""

    id: int
    app_id: str | None
    app_name: str
    app_hostname: str
    app_version: str
    volid: str | None
    storage: str
    size_bytes: int
    mode: str
    compress: str
    status: str
    error: str | None
    notes: str
    protected: bool
    origin: str
    owner_id: int
    created_at: str
    completed_at: str | None


class BackupPage(BaseModel):
    """Some backups, newest first."""

    backups: list[BackupOut]
    total: int


class Pruned(BaseModel):
    """Which backups went, or would go."""

    backups: list[BackupOut]
    dry_run: bool


class UpdatesOut(BaseModel):
    """What the catalog has for an app."""

    current: str
    latest: str
    available: bool
    newer: list[str]
    previous: str | None


def backup_out(row: Backup) -> BackupOut:
    """Return a backup without the sealed values of its app."""
    return BackupOut(
        id=row.id,
        app_id=row.app_id,
        app_name=row.app_name,
        app_hostname=row.app_hostname,
        app_version=str(row.app_facts.get("version", "")),
        volid=row.volid,
        storage=row.storage,
        size_bytes=row.size_bytes,
        mode=row.mode,
        compress={"0": "none"}.get(row.compress, row.compress),
        status=row.status,
        error=row.error,
        notes=row.notes,
        protected=row.protected,
        origin=row.origin,
        owner_id=row.owner_id,
        created_at=row.created_at.isoformat(),
        completed_at=row.completed_at.isoformat() if row.completed_at else None,
    )


@router.get("/backups", responses=responses(401, 422))
def list_backups(
    identity: AnyUser,
    manager: TheManager,
    app: Name = None,
    hostname: Name = None,
    status: Status | None = None,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    per_page: Annotated[int, Query(ge=1, le=200)] = 50,
) -> BackupPage:
    """Return my backups, those of deleted apps too; an admin sees all."""
    told = {
        "app_id": app,
        "app_hostname": hostname,
        "status": status,
        "owner_id": None if identity.is_admin else identity.user_id,
    }
    where = {key: value for key, value in told.items() if value is not None}
    found = manager.store.read(
        lambda db: db.backups.find_many(page=page, limit=per_page, order_by="-id", where=where)
    )
    return BackupPage(backups=[backup_out(row) for row in found.data], total=found.total)


@router.get("/backups/{backup_id}", responses=responses(401, 404, 422))
def read(backup_id: RowId, identity: AnyUser, manager: TheManager) -> BackupOut:
    """Return one backup."""
    return manager.store.read(lambda db: backup_out(manager.backups.get(db, identity, backup_id)))


@router.patch("/backups/{backup_id}", responses=responses(401, 404, 409, 422, 502, 503))
async def change(
    backup_id: RowId, body: BackupChange, identity: AnyUser, manager: TheManager
) -> BackupOut:
    """Change the notes or the protection, on Proxmox too."""
    row = await manager.store.aread(lambda db: manager.backups.get(db, identity, backup_id))
    changes = body.model_dump(exclude_none=True)
    if row.volid is not None and body.protected is not None:
        service = await manager.context.link.service()
        node = str(row.app_facts.get("node"))
        await service.describe_backup(node, row.volid, protected=body.protected)

    def write(db: RepositoryFactory) -> BackupOut:
        for name, value in changes.items():
            setattr(manager.backups.get(db, identity, backup_id), name, value)
        audit.add(db, "change-backup", str(backup_id), user_id=identity.user_id, details=changes)
        return backup_out(db.backups.get(backup_id))

    return await manager.store.arun(write)


@router.delete(
    "/backups/{backup_id}", status_code=204, responses=responses(401, 404, 409, 422, 502, 503)
)
async def delete(backup_id: RowId, identity: AnyUser, manager: TheManager) -> None:
    """Delete the archive, then the row."""

    def begin(db: RepositoryFactory) -> Backup:
        audit.add(db, "delete-backup", str(backup_id), user_id=identity.user_id)
        return manager.backups.begin_delete(db, identity, backup_id)

    await manager.backups.finish_delete(await manager.store.arun(begin))


@router.post(
    "/backups/{backup_id}/restore", status_code=202, responses=responses(401, 404, 409, 422)
)
def restore(backup_id: RowId, body: RestoreIn, identity: AnyUser, manager: TheManager) -> Accepted:
    """Begin to restore: the app as it was, under another hostname, or over the one there is."""
    return submitted(
        manager,
        identity,
        "restore",
        lambda db: manager.backups.restore(
            db, identity, backup_id, hostname=body.hostname, overwrite=body.overwrite
        ),
    )


@router.post("/apps/{app_id}/backups", status_code=202, responses=responses(401, 404, 409, 422))
def create(app_id: str, body: BackupIn, identity: AnyUser, manager: TheManager) -> Accepted:
    """Begin to back an app up; the operation names the backup."""
    request = BackupRequest(**body.model_dump())
    return submitted(
        manager,
        identity,
        "backup",
        lambda db: manager.backups.create(db, identity, app_id, request),
    )


@router.get("/apps/{app_id}/backups", responses=responses(401, 404))
def list_of_app(app_id: str, identity: AnyUser, manager: TheManager) -> BackupPage:
    """Return the backups of one app, newest first."""

    def look(db: RepositoryFactory) -> BackupPage:
        app = manager.apps.get(db, identity, app_id)
        found = db.backups.find_many(where={"app_id": app.id}, order_by="-id", limit=1000)
        return BackupPage(backups=[backup_out(row) for row in found.data], total=found.total)

    return manager.store.read(look)


@router.post("/apps/{app_id}/backups/prune", responses=responses(401, 404, 409, 422, 502, 503))
async def prune(app_id: str, body: RetentionIn, identity: AnyUser, manager: TheManager) -> Pruned:
    """Delete the backups that the rule does not keep; with ``dry_run`` say which those are."""
    retention = Retention(**body.model_dump(exclude={"dry_run"}))
    rows = await manager.store.aread(
        lambda db: manager.backups.surplus(db, identity, app_id, retention)
    )
    found = [backup_out(row) for row in rows]
    for row in [] if body.dry_run else rows:
        await delete(row.id, identity, manager)
    return Pruned(backups=found, dry_run=body.dry_run)


@router.get("/apps/{app_id}/updates", responses=responses(401, 404, 409))
def updates(app_id: str, identity: AnyUser, manager: TheManager) -> UpdatesOut:
    """Return which versions the catalog has for an app."""
    app = manager.store.read(lambda db: manager.apps.get(db, identity, app_id))
    found = manager.backups.updates(app)
    return UpdatesOut(
        current=found.current,
        latest=found.latest,
        available=bool(found.newer),
        newer=list(found.newer),
        previous=found.previous,
    )


@router.post("/apps/{app_id}/update", status_code=202, responses=responses(401, 404, 409, 422))
def update(app_id: str, body: UpdateIn, identity: AnyUser, manager: TheManager) -> Accepted:
    """Begin to update: backup, new container, data, health check; rolled back where it fails."""
    return submitted(
        manager,
        identity,
        "update",
        lambda db: manager.backups.update(db, identity, app_id, body.version),
    )


@router.post("/apps/{app_id}/rollback", status_code=202, responses=responses(401, 404, 409))
def rollback(app_id: str, identity: AnyUser, manager: TheManager) -> Accepted:
    """Begin to go back to the version before the last update; the data is kept."""
    return submitted(
        manager, identity, "rollback", lambda db: manager.backups.rollback(db, identity, app_id)
    )
