"""AUTO mode: backups and update checks at their times, each once, however many processes run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from src_app.db import turns
from src_app.db.models import App, Schedule, now
from src_app.db.repositories import RepositoryFactory
from src_app.domain.errors import AppManagerError, ConflictError
from src_app.domain.retention import Retention
from src_app.domain.schedules import Rule
from src_app.proxmox.errors import ProxmoxError
from src_app.security.tokens import Identity
from src_app.services.backups import BackupRequest, Backups
from src_app.services.context import Context
from src_app.services.settings import Settings

LOG = logging.getLogger(__name__)
SYSTEM = Identity(0, "schedule", "admin")
RULES: Mapping[str, str] = {"backup": "backup_rule", "update-check": "update_rule"}


@dataclass(frozen=True, slots=True)
class Turn:
    """What one run of a schedule did."""

    kind: str
    text: str


class Scheduling:
    """Does what is due."""

    def __init__(self, context: Context, settings: Settings, backups: Backups) -> None:
        self._context = context
        self._settings = settings
        self._backups = backups

    def prepare(self, db: RepositoryFactory) -> None:
        """Bring the schedules' rows in line with the settings."""
        enabled = self._settings.read(db, "mode") == "auto"
        for kind, key in RULES.items():
            rule = Rule.parse(self._settings.read(db, key))
            row = db.schedules.find_by_id(kind)
            if row is None:
                db.schedules.create(
                    {
                        "kind": kind,
                        "rule": rule.text,
                        "enabled": enabled,
                        "next_at": rule.after(now()),
                    }
                )
                continue
            if row.rule != rule.text or (enabled and not row.enabled):
                row.next_at = rule.after(now())
            row.rule, row.enabled = rule.text, enabled

    async def run_due(self) -> list[Turn]:
        """Return what was due and is done now; what another process took is not among it."""
        await self._context.store.arun(self.prepare)
        due = await self._context.store.arun(_take_turns)
        return [await self.run(kind) for kind in due]

    async def run(self, kind: str) -> Turn:
        """Return what one run did, now, whether it is due or not."""
        try:
            text = await (self._back_up() if kind == "backup" else self._check())
        except (AppManagerError, ProxmoxError) as exc:
            LOG.warning("schedule %s failed: %s", kind, exc)
            text = f"failed: {exc}"
        await self._context.store.arun(lambda db: _report(db, kind, text))
        return Turn(kind, text)

    async def _back_up(self) -> str:
        apps = await self._context.store.aread(_apps)
        begun = [await self._begin_backup(app) for app in apps]
        gone = await self._prune(apps)
        return f"{sum(begun)} of {len(apps)} backups begun, {gone} old ones deleted"

    async def _begin_backup(self, app: App) -> bool:
        request = BackupRequest(origin="schedule")
        try:
            await self._context.store.arun(
                lambda db: self._backups.create(db, SYSTEM, app.id, request)
            )
        except ConflictError as exc:
            LOG.info("no backup of %s: %s", app.id, exc)
            return False
        return True

    async def _prune(self, apps: list[App]) -> int:
        retention = await self._context.store.aread(self._retention)
        if not retention.keeps_something:
            return 0
        gone = 0
        for app in apps:
            rows = await self._context.store.aread(
                lambda db, i=app.id: self._backups.surplus(db, SYSTEM, i, retention)  # type: ignore[misc]
            )
            for row in [row for row in rows if row.origin == "schedule"]:
                begun = await self._context.store.arun(
                    lambda db, i=row.id: self._backups.begin_delete(db, SYSTEM, i)  # type: ignore[misc]
                )
                await self._backups.finish_delete(begun)
                gone += 1
        return gone

    def _retention(self, db: RepositoryFactory) -> Retention:
        names = ("keep_last", "keep_daily", "keep_weekly", "keep_monthly")
        return Retention(**{name: int(self._settings.read(db, name)) for name in names})

    async def _check(self) -> str:
        return await self._context.store.arun(self._note_updates)

    def _note_updates(self, db: RepositoryFactory) -> str:
        newer = 0
        for app in _apps(db):
            entry = self._context.catalog.find(app.catalog_id)
            if app.adopted or entry is None:
                continue
            app.latest_version = entry.latest.version
            newer += bool(self._backups.updates(app).newer)
        return f"{newer} apps can be updated"


def _apps(db: RepositoryFactory) -> list[App]:
    return list(db.apps.find_many(where={"status": ["running", "stopped"]}, limit=1000).data)


def _take_turns(db: RepositoryFactory) -> list[str]:
    """Return the schedules whose turn this process has."""
    moment = now()
    taken: list[str] = []
    for row in db.schedules.find_many(where={"enabled": True}).data:
        following = Rule.parse(row.rule).after(moment)
        if row.next_at <= moment and turns.take(db, row.kind, row.next_at, following):
            taken.append(row.kind)
    return taken


def _report(db: RepositoryFactory, kind: str, text: str) -> None:
    row: Schedule | None = db.schedules.find_by_id(kind)
    if row is not None:
        row.last_at, row.last_result = now(), text
