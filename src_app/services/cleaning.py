"""Clean-up of ghosts: containers of ours without an app, apps whose container is gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from src_app.db.models import App
from src_app.db.repositories import RepositoryFactory
from src_app.proxmox.errors import ProxmoxError
from src_app.services import deploying
from src_app.services.context import Context

Kind = Literal["container", "app", "backup"]


@dataclass(frozen=True, slots=True)
class Ghost:
    """Something that has lost its other half; ``error`` says why it could not be removed."""

    kind: Kind
    name: str
    text: str
    removed: bool = False
    error: str | None = None


async def clean(context: Context, *, dry_run: bool) -> list[Ghost]:
    """Return the ghosts, removed unless it is a dry run.

    Raises:
        ProxmoxError: the cluster cannot be looked at; nothing was removed then.
    """
    service = await context.link.service()
    await service.get_nodes()
    found: list[Ghost] = []
    for vmid, node in (await context.store.aread(_homeless)).items():
        ghost = Ghost("container", str(vmid), f"made on node {node}, and no app has it")
        found.append(ghost if dry_run else await _destroy(context, ghost, node))
    for app_id, vmid in (await context.store.aread(_with_error)).items():
        if await service.is_vmid_free(vmid):
            ghost = Ghost("app", app_id, f"its container {vmid} is gone", removed=not dry_run)
            if not dry_run:
                await service.destroy_lxc("", vmid)  # nothing is there: this drops our claim
                await context.store.arun(lambda db, i=app_id: deploying.forget(db, i))  # type: ignore[misc]
            found.append(ghost)
    return found


async def _destroy(context: Context, ghost: Ghost, node: str) -> Ghost:
    service = await context.link.service()
    try:
        await service.destroy_lxc(node, int(ghost.name), force=True)
    except ProxmoxError as exc:
        return Ghost(ghost.kind, ghost.name, ghost.text, error=str(exc))
    return Ghost(ghost.kind, ghost.name, ghost.text, removed=True)


def _homeless(db: RepositoryFactory) -> dict[int, str]:
    """Return the guests of ours that neither an app nor an operation in progress has."""
    apps = {app.vmid for app in _all_apps(db)}
    return {
        claim.vmid: claim.node
        for claim in db.claims.find_many(limit=1000).data
        if claim.vmid not in apps and not db.locks.exists(f"vmid:{claim.vmid}")
    }


def _with_error(db: RepositoryFactory) -> dict[str, int]:
    return {
        app.id: app.vmid
        for app in _all_apps(db)
        if app.vmid is not None and app.status == "error" and not db.locks.exists(f"app:{app.id}")
    }


def _all_apps(db: RepositoryFactory) -> list[App]:
    found: list[App] = []
    page = 1
    while (rows := db.apps.find_many(limit=500, page=page)).data:
        found += rows.data
        page += 1
    return found
