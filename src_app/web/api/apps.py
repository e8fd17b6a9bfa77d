"""Apps: list, deploy, act, clone, configure, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from src_app.db import listing
from src_app.db.repositories import RepositoryFactory
from src_app.db.words import APP_STATUS
from src_app.security.tokens import Identity
from src_app.services import audit, sealing
from src_app.services.apps import DeployRequest, Submitted
from src_app.services.manager import Manager
from src_app.web.api.shapes import accepted, app_out
from src_app.web.problems import responses
from src_app.web.schemas import (
    Accepted,
    ActionIn,
    AppOut,
    AppPage,
    CloneIn,
    ConfigIn,
    DeployIn,
    Name,
    Words,
)
from src_app.web.wiring import AnyUser, TheManager, TheRendered

router = APIRouter(tags=["apps"])
Page = Annotated[int, Query(ge=1, le=1_000_000)]
Ask = Callable[[RepositoryFactory], Submitted]
PerPage = Annotated[int, Query(ge=1, le=200)]
Status = Literal[
    "deploying", "running", "stopped", "error", "updating", "update_failed", "removing",
    "cloning", "adopting", "restoring",
]  # fmt: skip
assert set(Status.__args__) == set(APP_STATUS)  # type: ignore[attr-defined]


@router.get("/apps/health", tags=["health"])
def health() -> dict[str, str]:
    """Say that the API answers; needs no login."""
    return {"status": "ok"}


@router.get("/apps", response_model=AppPage, responses=responses(401, 422))
async def list_apps(
    identity: AnyUser,
    manager: TheManager,
    rendered: TheRendered,
    status: Status | None = None,
    node: Name = None,
    category: Name = None,
    search: Words = "",
    page: Page = 1,
    per_page: PerPage = 50,
) -> Response:
    """Return one page of the apps that are mine; an admin sees all."""
    owner = None if identity.is_admin else identity.user_id
    wanted = listing.AppFilter(owner, status, node, category, search)

    def look(db: RepositoryFactory) -> dict[str, Any]:
        apps, total = listing.list_apps(db, wanted, page=page, per_page=per_page)
        for app in apps:
            app["latest_version"] = _latest(manager, app["catalog_id"]) or app["latest_version"]
        return {"apps": apps, "total": total, "page": page, "per_page": per_page}

    # The rows have the shape already; the tests hold them against it.
    edition = manager.context.catalog.edition
    body = await rendered.json(("apps", wanted, page, per_page, edition), look)
    return Response(body, media_type="application/json")


@router.post(
    "/apps/deploy",
    status_code=202,
    responses=responses(401, 409, 422),
)
def deploy(body: DeployIn, identity: AnyUser, manager: TheManager) -> Accepted:
    """Begin to deploy an app; the operation says how far it is."""
    request = DeployRequest(**body.model_dump())
    return submitted(
        manager, identity, "deploy", lambda db: manager.apps.deploy(db, identity, request)
    )


@router.get("/apps/{app_id}", responses=responses(401, 404))
def read(app_id: str, identity: AnyUser, manager: TheManager) -> AppOut:
    """Return one app."""

    def look(db: RepositoryFactory) -> AppOut:
        manager.apps.get(db, identity, app_id)
        return app_out(db, app_id)

    app = manager.store.read(look)
    latest = _latest(manager, app.catalog_id) or app.latest_version
    return app.model_copy(update={"latest_version": latest})


def _latest(manager: Manager, catalog_id: str) -> str | None:
    """Return what the catalog says: newer than what the last check wrote into the row."""
    entry = manager.context.catalog.find(catalog_id)
    return None if entry is None else entry.latest.version


@router.get("/apps/{app_id}/environment", responses=responses(401, 404))
def environment(
    app_id: str, identity: AnyUser, manager: TheManager, *, reveal: bool = False
) -> dict[str, str]:
    """Return the app's environment: its values as stars, unless ``reveal`` is said."""

    def look(db: RepositoryFactory) -> dict[str, str]:
        app = manager.apps.get(db, identity, app_id)
        if reveal:
            audit.add(db, "reveal-environment", app_id, user_id=identity.user_id)
        return dict(app.environment)

    sealed = manager.store.run(look)
    return sealing.opened(manager.context.cipher, sealed) if reveal else sealing.masked(sealed)


@router.post("/apps/{app_id}/actions", status_code=202, responses=responses(401, 404, 409, 422))
def act(app_id: str, body: ActionIn, identity: AnyUser, manager: TheManager) -> Accepted:
    """Begin to start, stop or restart an app."""
    return submitted(
        manager,
        identity,
        body.action,
        lambda db: manager.apps.act(db, identity, app_id, body.action),
    )


@router.delete("/apps/{app_id}", status_code=202, responses=responses(401, 404, 409))
def delete(app_id: str, identity: AnyUser, manager: TheManager) -> Accepted:
    """Begin to delete an app: its row goes when its container is gone; its backups stay."""
    return submitted(
        manager, identity, "delete", lambda db: manager.apps.act(db, identity, app_id, "delete")
    )


@router.post("/apps/{app_id}/clone", status_code=202, responses=responses(401, 404, 409, 422))
def clone(app_id: str, body: CloneIn, identity: AnyUser, manager: TheManager) -> Accepted:
    """Begin to copy an app under another hostname."""
    return submitted(
        manager,
        identity,
        "clone",
        lambda db: manager.apps.clone(db, identity, app_id, body.new_hostname),
    )


@router.put("/apps/{app_id}/config", status_code=202, responses=responses(401, 404, 409, 422))
def configure(app_id: str, body: ConfigIn, identity: AnyUser, manager: TheManager) -> Accepted:
    """Begin to change cores, memory or disk; a disk only grows."""
    told = {"cores": body.cpu_cores, "memory_mib": body.memory_mb, "disk_gib": body.disk_gb}
    changes = {key: value for key, value in told.items() if value is not None}
    return submitted(
        manager,
        identity,
        "configure",
        lambda db: manager.apps.configure(db, identity, app_id, changes),
    )


def submitted(manager: Manager, identity: Identity, action: str, ask: Ask) -> Accepted:
    """Return what was asked for, stored together with who asked, and wake the engine."""

    def work(db: RepositoryFactory) -> Accepted:
        begun = ask(db)
        audit.add(db, action, begun.app.id, user_id=identity.user_id)
        db.session.flush()
        return accepted(db, begun)

    result = manager.store.run(work)
    manager.wake()
    return result
