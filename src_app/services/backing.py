"""Backing an app up: an archive that Proxmox names and that outlives the app."""

from __future__ import annotations

from typing import Any

from src_app.db.models import App, Backup, now
from src_app.db.repositories import RepositoryFactory
from src_app.services.work import Procedure, Step, Work

FACTS = (
    "catalog_id", "name", "hostname", "version", "cores", "memory_mib", "disk_gib", "config",
    "environment", "adopted",
)  # fmt: skip


def facts_of(app: App) -> dict[str, Any]:
    """Return what a backup must know to bring the app back; secrets stay sealed."""
    sealed = app.sealed_root_password
    found = {name: getattr(app, name) for name in FACTS}
    return {**found, "id": app.id, "root_password": sealed.decode() if sealed else None}


def add_row(
    db: RepositoryFactory, app: App, *, origin: str, notes: str = "", **options: Any
) -> Backup:
    """Return the row of a backup that is about to be made."""
    values = {
        "storage": options.pop("storage", None) or "unknown",
        "app_id": app.id,
        "app_name": app.name,
        "app_hostname": app.hostname,
        "app_facts": facts_of(app),
        "owner_id": app.owner_id,
        "origin": origin,
        "notes": notes,
        "status": "creating",
        **options,
    }
    return db.backups.create(values)


def marker(work: Work) -> str:
    """Return the notes by which the archive is found again after a crash."""
    return f"{work.app_id}, app-manager operation {work.id}"


async def choose_storage(work: Work) -> None:
    """Plan the storage: the one asked for, else the roomiest for backups."""
    service, node = await work.proxmox(), work.plan["old"]["node"]
    wanted = work.plan.get("backup_storage") or await work.preference("backup_storage")
    storage = wanted or await service.get_best_storage(node, "backup")
    await work.save(backup_storage=storage)
    await _change(work, storage=storage)


async def archive(work: Work) -> None:
    """Make the archive, once, and write down what Proxmox called it."""
    service, old = await work.proxmox(), work.plan["old"]
    node, vmid, storage = old["node"], old["vmid"], work.plan["backup_storage"]
    await service.await_idle(node, vmid)
    found = await service.find_backup(node, storage, vmid, notes=marker(work))
    if found is not None:
        made: dict[str, Any] = {"volid": found.volid, "size": found.size}
    else:
        row = await work.db(lambda db: db.backups.get(work.plan["backup_id"]))
        made = await service.backup_lxc(
            node, vmid, storage=storage, notes=marker(work), mode=row.mode, compress=row.compress
        )
    await _record(work, made, await service.nonce_of(vmid))


async def _record(work: Work, made: dict[str, Any], nonce: str | None) -> None:
    node = work.plan["old"]["node"]

    def record(db: RepositoryFactory) -> None:
        row = db.backups.get(work.plan["backup_id"])
        row.app_facts = {**row.app_facts, "nonce": nonce, "node": node}
        row.volid, row.size_bytes = made["volid"], made["size"]
        row.status, row.completed_at, row.error = "available", now(), None

    await work.db(record)


async def protect(work: Work) -> None:
    """Protect the archive on Proxmox, too, if that was asked for."""
    row = await work.db(lambda db: db.backups.get(work.plan["backup_id"]))
    if row.protected and row.volid is not None:
        service = await work.proxmox()
        await service.describe_backup(work.plan["old"]["node"], row.volid, protected=True)


async def undo(work: Work) -> None:
    """Remove what there is of the archive, and keep the row to say what failed."""
    service, old = await work.proxmox(), work.plan["old"]
    storage = work.plan.get("backup_storage")
    if storage is not None:
        await service.await_idle(old["node"], old["vmid"])
        found = await service.find_backup(old["node"], storage, old["vmid"], notes=marker(work))
        if found is not None:
            await service.delete_volume(old["node"], found.volid)
    await give_up(work)


async def give_up(work: Work) -> None:
    """Say on the row what failed."""

    def mark(db: RepositoryFactory) -> None:
        row = db.backups.find_by_id(work.plan["backup_id"])
        if row is not None:
            row.status, row.error, row.volid = "failed", work.error, None

    await work.db(mark)


async def _change(work: Work, **values: Any) -> None:
    await work.db(lambda db: db.backups.update(work.plan["backup_id"], values))


MAKING = (
    Step("Choosing a storage", 5, choose_storage),
    Step("Making the backup", 20, archive),
    Step("Protecting the backup", 90, protect),
)
BACKUP = Procedure(MAKING, undo=undo, give_up=give_up)
