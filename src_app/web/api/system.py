"""The manager itself and the cluster it works on."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from src_app.proxmox.errors import ProxmoxError
from src_app.services.manager import Manager
from src_app.web.problems import responses
from src_app.web.wiring import AnyUser, TheManager

VERSION = "1.0.0"
router = APIRouter(tags=["health"])


class Part(BaseModel):
    """One thing the manager needs."""

    ok: bool
    detail: str = ""


class HealthOut(BaseModel):
    """Whether the manager can work, part by part."""

    status: str
    database: Part
    proxmox: Part
    catalog: Part
    operations: Part


class InfoOut(BaseModel):
    """What a page needs to know of the manager."""

    version: str
    mode: str


class FirstRun(BaseModel):
    """Whether nobody has registered yet."""

    is_first_run: bool


@router.get("/health", responses={503: {"model": HealthOut, "description": "Cannot work"}})
async def health(manager: TheManager, response: Response) -> HealthOut:
    """Say how each dependency is; needs no login. 503 where the database does not answer."""
    found = await look(manager)
    if not found.database.ok:
        response.status_code = 503
    return found


@router.get("/system/status/initial")
def initial(manager: TheManager) -> FirstRun:
    """Say whether the next user to register becomes the admin; needs no login."""
    return FirstRun(is_first_run=manager.users.is_first_run())


@router.get("/system/info", responses=responses(401))
def info(_: AnyUser, manager: TheManager) -> InfoOut:
    """Return the manager's version, and whether it works by itself (auto) or is told to (pro)."""
    mode = manager.store.read(lambda db: manager.settings.read(db, "mode"))
    return InfoOut(version=VERSION, mode=mode)


async def look(manager: Manager) -> HealthOut:
    """Return how each dependency is."""
    import asyncio

    from src_app.db.queue import open_count

    database = await asyncio.to_thread(manager.store.health)
    proxmox = await _proxmox(manager)
    problems = manager.context.catalog.problems
    entries = len(manager.context.catalog.search())
    waiting = await manager.store.aread(open_count) if database.ok else 0
    parts: dict[str, Any] = {
        "database": Part(ok=database.ok, detail="; ".join(database.problems)),
        "proxmox": proxmox,
        "catalog": Part(
            ok=entries > 0 and not problems,
            detail=f"{entries} entries, {len(problems)} skipped",
        ),
        "operations": Part(ok=True, detail=f"{waiting} not finished"),
    }
    well = all(part.ok for part in parts.values())
    return HealthOut(status="ok" if well else "degraded", **parts)


async def _proxmox(manager: Manager) -> Part:
    try:
        service = await manager.context.link.service()
        version = await service.get_version()
    except ProxmoxError as exc:
        return Part(ok=False, detail=exc.what)
    return Part(ok=True, detail=f"Proxmox VE {version.get('version', '?')}")
