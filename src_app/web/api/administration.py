"""Adoption, clean-up, settings, schedules, the audit log, and looking at apps."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from src_app.services import adopting, audit, cleaning
from src_app.services.monitoring import reachable
from src_app.services.settings import SETTINGS
from src_app.web.api.apps import submitted
from src_app.web.problems import responses
from src_app.web.schemas import Accepted, Hostname, Name, Request
from src_app.web.wiring import Admin, AnyUser, TheManager

router = APIRouter(tags=["administration"])


class CandidateOut(BaseModel):
    """A container that could be adopted."""

    vmid: int
    node: str
    name: str
    status: str
    cores: int
    memory_mib: int
    disk_gib: int


class AdoptIn(Request):
    """Which container is to be adopted."""

    vmid: Annotated[int, Field(ge=100, le=999_999_999)]
    hostname: Hostname | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None


class CleanIn(Request):
    """Whether ghosts are only named."""

    dry_run: bool = True


class GhostOut(BaseModel):
    """Something that has lost its other half."""

    kind: Literal["container", "app", "backup"]
    name: str
    text: str
    removed: bool
    error: str | None


class SettingsOut(BaseModel):
    """All settings, by group; secrets as stars."""

    general: dict[str, str]
    auto: dict[str, str]
    network: dict[str, str]
    resources: dict[str, str]
    proxmox: dict[str, str]


class SettingsIn(Request):
    """The settings that are to change."""

    values: Annotated[dict[str, Annotated[str, Field(max_length=300)]], Field(max_length=50)]


class ScheduleOut(BaseModel):
    """Something that is done again and again."""

    kind: str
    rule: str
    enabled: bool
    next_at: str
    last_at: str | None
    last_result: str


class TurnOut(BaseModel):
    """What one run did."""

    kind: str
    text: str


class AuditOut(BaseModel):
    """Who did what."""

    id: int
    at: str
    action: str
    subject: str
    user_id: int | None
    details: dict[str, Any]


class AuditPage(BaseModel):
    """Some entries of the audit log, newest first."""

    entries: list[AuditOut]
    total: int


class ConnectionOut(BaseModel):
    """Whether Proxmox can be used."""

    ok: bool
    detail: str


class ViewOut(BaseModel):
    """Where the app can be looked at inside the manager's page, for eight hours."""

    url: str


@router.get("/apps/discover", responses=responses(401, 403, 502, 503))
async def discover(_: Admin, manager: TheManager) -> list[CandidateOut]:
    """Return the containers that are no apps yet."""
    found = await adopting.discover(manager.context)
    names = CandidateOut.model_fields
    return [CandidateOut(**{name: getattr(item, name) for name in names}) for item in found]


@router.post("/apps/adopt", status_code=202, responses=responses(401, 403, 409, 422, 502, 503))
async def adopt(body: AdoptIn, identity: Admin, manager: TheManager) -> Accepted:
    """Begin to manage a container that others made; it is left as it is."""
    candidate = await adopting.choose(manager.context, body.vmid)
    request = adopting.AdoptRequest(body.vmid, body.hostname, body.port)
    return await asyncio.to_thread(
        submitted,
        manager,
        identity,
        "adopt",
        lambda db: adopting.adopt(db, manager.apps, identity, candidate, request),
    )


@router.post("/apps/{app_id}/view", responses=responses(401, 404))
def view(app_id: str, identity: AnyUser, manager: TheManager) -> ViewOut:
    """Return where the app can be looked at inside the manager's page."""
    app = manager.store.read(lambda db: manager.apps.get(db, identity, app_id))
    return ViewOut(url=f"/apps/{app.id}/view/~{manager.tickets.issue(app.id)}/")


@router.post("/system/cleanup", responses=responses(401, 403, 422, 502, 503))
async def clean(body: CleanIn, identity: Admin, manager: TheManager) -> list[GhostOut]:
    """Return containers without an app and apps without a container, removed unless dry."""
    found = await cleaning.clean(manager.context, dry_run=body.dry_run)
    if not body.dry_run:
        names = {"removed": [ghost.name for ghost in found if ghost.removed]}
        await manager.store.arun(
            lambda db: audit.add(db, "cleanup", "", user_id=identity.user_id, details=names)
        )
    fields = GhostOut.model_fields
    return [GhostOut(**{name: getattr(ghost, name) for name in fields}) for ghost in found]


@router.post("/system/test-connection", responses=responses(401, 403))
async def connection(_: Admin, manager: TheManager) -> ConnectionOut:
    """Say whether Proxmox answers and accepts the login."""
    problem = await reachable(manager.context)
    return ConnectionOut(ok=problem is None, detail=problem or "Proxmox answers")


@router.get("/settings", responses=responses(401, 403))
def read_settings(_: Admin, manager: TheManager) -> SettingsOut:
    """Return all settings."""
    shown = manager.store.read(manager.settings.shown)
    groups: dict[str, dict[str, str]] = {name: {} for name in SettingsOut.model_fields}
    for key, value in shown.items():
        groups[SETTINGS[key].group][key] = value
    return SettingsOut(**groups)


@router.put("/settings", responses=responses(401, 403, 422))
def write_settings(body: SettingsIn, identity: Admin, manager: TheManager) -> SettingsOut:
    """Change settings; Proxmox is connected to anew, schedules are set anew."""

    def write(db: Any) -> None:
        manager.settings.write(db, body.values)
        manager.scheduling.prepare(db)
        changed = {"keys": sorted(body.values)}
        audit.add(db, "settings", "", user_id=identity.user_id, details=changed)

    manager.store.run(write)
    if any(SETTINGS[key].group == "proxmox" for key in body.values):
        manager.context.link.forget()
    return read_settings(identity, manager)


@router.delete("/settings/{key}", status_code=204, responses=responses(401, 403, 404))
def forget_setting(key: str, identity: Admin, manager: TheManager) -> None:
    """Go back to a setting's default."""

    def forget(db: Any) -> None:
        manager.settings.forget(db, key)
        audit.add(db, "settings", key, user_id=identity.user_id)

    manager.store.run(forget)
    if SETTINGS[key].group == "proxmox":
        manager.context.link.forget()


@router.get("/schedules", responses=responses(401, 403))
def schedules(_: Admin, manager: TheManager) -> list[ScheduleOut]:
    """Return what is done by itself in AUTO mode, and when it is next."""

    def look(db: Any) -> list[ScheduleOut]:
        manager.scheduling.prepare(db)
        return [
            ScheduleOut(
                kind=row.kind,
                rule=row.rule,
                enabled=row.enabled,
                next_at=row.next_at.isoformat(),
                last_at=row.last_at.isoformat() if row.last_at else None,
                last_result=row.last_result,
            )
            for row in db.schedules.find_many().data
        ]

    return manager.store.run(look)


@router.post("/schedules/{kind}/run", responses=responses(401, 403, 422))
async def run_schedule(
    kind: Literal["backup", "update-check"], identity: Admin, manager: TheManager
) -> TurnOut:
    """Do it now, in PRO mode too."""
    await manager.store.arun(manager.scheduling.prepare)
    await manager.store.arun(
        lambda db: audit.add(db, "run-schedule", kind, user_id=identity.user_id)
    )
    turn = await manager.scheduling.run(kind)
    manager.wake()
    return TurnOut(kind=turn.kind, text=turn.text)


@router.get("/audit", responses=responses(401, 403, 422))
def audit_log(
    _: Admin,
    manager: TheManager,
    subject: Name = None,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    per_page: Annotated[int, Query(ge=1, le=200)] = 50,
) -> AuditPage:
    """Return who did what, newest first."""
    where = {} if subject is None else {"subject": subject}
    found = manager.store.read(
        lambda db: db.audit.find_many(page=page, limit=per_page, order_by="-id", where=where)
    )
    entries = [
        AuditOut(
            id=row.id,
            at=row.at.isoformat(),
            action=row.action,
            subject=row.subject,
            user_id=row.user_id,
            details=row.details,
        )
        for row in found.data
    ]
    return AuditPage(entries=entries, total=found.total)
