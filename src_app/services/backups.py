"""What one can ask of backups and updates: who may, what is valid, and the operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src_app.catalog.entry import version_key
from src_app.db.models import App, Backup
from src_app.db.repositories import RepositoryFactory
from src_app.domain.errors import (
    AppAlreadyExistsError,
    BusyError,
    ConflictError,
    InvalidInput,
    NotFoundError,
)
from src_app.domain.hostnames import app_id, parse_hostname
from src_app.domain.retention import Retention
from src_app.security.tokens import Identity
from src_app.services import backing
from src_app.services.apps import Apps, Submitted, require_container, submit
from src_app.services.context import Context

KEPT = ("catalog_id", "name", "version", "cores", "memory_mib", "disk_gib", "config", "environment")


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """How somebody wants a backup."""

    mode: str = "snapshot"
    compress: str = "zstd"
    storage: str | None = None
    notes: str = ""
    protected: bool = False
    origin: str = "manual"


@dataclass(frozen=True, slots=True)
class Updates:
    """What the catalog has for an app."""

    current: str
    latest: str
    newer: tuple[str, ...]
    previous: str | None


class Backups:
    """Backups, restores and updates."""

    def __init__(self, context: Context, apps: Apps) -> None:
        self._context = context
        self._apps = apps

    def get(self, db: RepositoryFactory, identity: Identity, backup_id: int) -> Backup:
        """Return a backup that is this user's; an admin's are all.

        Raises:
            NotFoundError: there is none, or it is somebody else's.
        """
        row = db.backups.find_by_id(backup_id)
        if row is None or not (identity.is_admin or row.owner_id == identity.user_id):
            raise NotFoundError(f"There is no backup {backup_id}")
        return row

    def create(
        self, db: RepositoryFactory, identity: Identity, wanted: str, request: BackupRequest
    ) -> Submitted:
        """Return the app that is being backed up; the operation's plan names the backup.

        Raises:
            AppNotFoundError, ConflictError, BusyError.
        """
        app = self._apps.get(db, identity, wanted)
        require_container(app)
        row = backing.add_row(
            db,
            app,
            origin=request.origin,
            notes=request.notes,
            mode=request.mode,
            compress={"none": "0"}.get(request.compress, request.compress),
            protected=request.protected,
            storage=request.storage,
        )
        plan = {"backup_id": row.id, "backup_storage": request.storage, "old": _place(app)}
        return Submitted(app, submit(db, "backup", app, plan, user_id=identity.user_id))

    # --- restoring ----------------------------------------------------------------------

    def restore(
        self,
        db: RepositoryFactory,
        identity: Identity,
        backup_id: int,
        *,
        hostname: str | None = None,
        overwrite: bool = False,
    ) -> Submitted:
        """Return the app that is being restored: the one it was, or one of another hostname.

        Raises:
            NotFoundError; ConflictError: the backup is not available, or the app exists and
            nobody said to overwrite it; BusyError.
        """
        backup = self.get(db, identity, backup_id)
        if backup.status != "available":
            raise ConflictError(f"Backup {backup_id} cannot be restored: it is {backup.status}")
        name = parse_hostname(hostname) if hostname is not None else backup.app_hostname
        there = db.apps.find_many(where={"hostname": name}).data
        if there:
            return self._in_place(db, identity, backup, there[0], overwrite=overwrite)
        app = self._apps.add(db, _row(backup, name))
        plan: dict[str, Any] = {"backup_id": backup.id}
        return self._begin(db, identity, backup, app, plan)

    def _in_place(
        self,
        db: RepositoryFactory,
        identity: Identity,
        backup: Backup,
        app: App,
        *,
        overwrite: bool,
    ) -> Submitted:
        mine = identity.is_admin or app.owner_id == identity.user_id
        same = mine and app.id == backup.app_facts.get("id")
        if not (overwrite and same):
            hint = "; say overwrite to replace it" if same else ""
            raise AppAlreadyExistsError(
                f"An app with the hostname '{app.hostname}' exists{hint}",
                fields={"hostname": "is taken"},
            )
        require_container(app)
        plan = {"backup_id": backup.id, "old": _place(app)}
        app.status = "restoring"
        return self._begin(db, identity, backup, app, plan)

    def _begin(
        self,
        db: RepositoryFactory,
        identity: Identity,
        backup: Backup,
        app: App,
        plan: Mapping[str, Any],
    ) -> Submitted:
        beside = (f"backup:{backup.id}",)
        operation = submit(db, "restore", app, plan, user_id=identity.user_id, beside=beside)
        backup.status = "restoring"
        return Submitted(app, operation)

    # --- removing -----------------------------------------------------------------------

    def begin_delete(self, db: RepositoryFactory, identity: Identity, backup_id: int) -> Backup:
        """Return the backup, marked: its archive is to be deleted next.

        Raises:
            NotFoundError; ConflictError: it is protected, or in use.
        """
        row = self.get(db, identity, backup_id)
        if row.protected:
            raise ConflictError(f"Backup {backup_id} is protected; take the protection off first")
        if row.status in ("creating", "restoring"):
            raise BusyError(f"Backup {backup_id} is in use: it is {row.status}")
        row.status = "deleting"
        return row

    async def finish_delete(self, backup: Backup) -> None:
        """Return once the archive and the row are gone.

        Raises:
            ProxmoxError: the archive cannot be deleted; the row says ``deleting`` then.
        """
        if backup.volid is not None:
            service = await self._context.link.service()
            node = backup.app_facts.get("node") or await service.get_best_node()
            await service.delete_volume(str(node), backup.volid)
        await self._context.store.arun(lambda db: db.backups.delete_many({"id": backup.id}))

    def surplus(
        self, db: RepositoryFactory, identity: Identity, wanted: str, retention: Retention
    ) -> list[Backup]:
        """Return the backups of an app that the rule does not keep, oldest first.

        Raises:
            InvalidInput: the rule keeps nothing; AppNotFoundError.
        """
        if not retention.keeps_something:
            raise InvalidInput("A retention that keeps nothing would delete every backup")
        app = self._apps.get(db, identity, wanted)
        where = {"app_id": app.id, "status": "available", "protected": False}
        rows = db.backups.find_many(where=where, limit=1000, order_by="created_at").data
        kept = retention.kept(row.created_at for row in rows)
        return [row for row in rows if row.created_at not in kept]

    # --- updates ------------------------------------------------------------------------

    def updates(self, app: App) -> Updates:
        """Return which versions the catalog has for an app.

        Raises:
            ConflictError: it was adopted, or the catalog has it no longer.
        """
        entry = self._context.catalog.find(app.catalog_id)
        if app.adopted or entry is None:
            raise ConflictError(f"'{app.id}' is not from the catalog: it cannot be updated here")
        here = version_key(app.version)
        newer = tuple(v.version for v in entry.versions if version_key(v.version) > here)
        previous = app.config.get("previous_version")
        return Updates(app.version, entry.latest.version, newer, previous)

    def update(
        self, db: RepositoryFactory, identity: Identity, wanted: str, version: str | None
    ) -> Submitted:
        """Return the app that is being updated, to the newest version unless told.

        Raises:
            InvalidInput: no such version; ConflictError: it has it already; BusyError.
        """
        app = self._apps.get(db, identity, wanted)
        found = self.updates(app)
        target = version or found.latest
        if target not in (*found.newer, app.version):
            told = ", ".join(found.newer) or "none"
            raise InvalidInput(
                f"{app.name} {app.version} cannot be updated to {target}",
                fields={"version": f"must be newer; there is {told}"},
            )
        if target == app.version:
            raise ConflictError(f"'{app.id}' has version {target} already")
        return self._replace(db, identity, app, "update", target)

    def rollback(self, db: RepositoryFactory, identity: Identity, wanted: str) -> Submitted:
        """Return the app that is going back to the version it had before; its data is kept.

        Raises:
            ConflictError: there is none, or the catalog has it no longer; BusyError.
        """
        app = self._apps.get(db, identity, wanted)
        found = self.updates(app)
        if found.previous is None or found.previous == app.version:
            raise ConflictError(f"'{app.id}' was never updated: there is nothing to go back to")
        return self._replace(db, identity, app, "rollback", found.previous)

    def _replace(
        self, db: RepositoryFactory, identity: Identity, app: App, kind: str, version: str
    ) -> Submitted:
        require_container(app)
        entry = self._context.catalog.find(app.catalog_id)
        if entry is None or entry.version(version) is None:
            raise ConflictError(f"The catalog has no version {version} of {app.name} any more")
        old = _place(app)
        row = backing.add_row(db, app, origin=kind, notes=f"before {kind} to {version}")
        plan = {
            "catalog_id": app.catalog_id,
            "version": version,
            "old": old,
            "backup_id": row.id,
        }
        app.status = "updating"
        return Submitted(app, submit(db, kind, app, plan, user_id=identity.user_id))


def _place(app: App) -> dict[str, Any]:
    running = app.status == "running"
    return {"node": app.node, "vmid": app.vmid, "running": running, "version": app.version}


def _row(backup: Backup, hostname: str) -> dict[str, Any]:
    """Return the row of the app that a backup brings back."""
    facts = backup.app_facts
    values = {name: facts[name] for name in KEPT}
    password = facts.get("root_password")
    return {
        **values,
        "id": app_id(facts["catalog_id"], hostname),
        "hostname": hostname,
        "status": "restoring",
        "sealed_root_password": password.encode() if password else None,
        "owner_id": backup.owner_id,
    }
