"""Restoring a backup: always into a new container, which then takes the old one's place."""

from __future__ import annotations

from typing import Any

from src_app.db.models import Backup
from src_app.db.repositories import RepositoryFactory
from src_app.domain.errors import AppOperationError
from src_app.proxmox import ProxmoxService
from src_app.proxmox.ownership import Claim, marked
from src_app.services import building, deploying
from src_app.services.work import Procedure, Step, Work


async def _backup(work: Work) -> Backup:
    row = await work.db(lambda db: db.backups.find_by_id(work.plan["backup_id"]))
    if row is None or row.volid is None:
        raise AppOperationError("The backup is not there any more")
    return row


async def reserve_ports(work: Work) -> None:
    """Reserve ports; an app that is there keeps its own."""
    await deploying.reserve_ports(work)


async def place(work: Work) -> None:
    """Choose the node that has the archive, and the storage for the volumes."""
    backup = await _backup(work)
    service = await work.proxmox()
    node = work.plan.get("node") or backup.app_facts.get("node")
    online = [str(n["node"]) for n in await service.get_nodes() if n.get("status") == "online"]
    if node not in online:
        node = await service.get_best_node()  # the archive may lie on a shared storage
    storage = work.plan.get("storage") or await work.preference("storage")
    storage = storage or await service.get_best_storage(str(node))
    nonce = backup.app_facts.get("nonce") or Claim.new(str(node), 100).nonce
    await work.save(node=node, storage=storage, nonce=nonce)


async def restore(work: Work) -> None:
    """Make the container from the archive, once."""
    backup = await _backup(work)
    app = await building.app_of(work)
    plan = work.plan
    options: dict[str, Any] = {"hostname": app.hostname, "unique": True}
    if backup.app_facts.get("nonce") is None:
        options["description"] = marked("", plan["nonce"])  # an adopted one has no line of ours

    async def make(service: ProxmoxService, vmid: int) -> object:
        return await service.restore_lxc(
            plan["node"],
            vmid,
            str(backup.volid),
            nonce=plan["nonce"],
            storage=plan["storage"],
            **options,
        )

    await building.make_guest(work, make)


async def stop_old(work: Work) -> None:
    """Stop the container whose place is taken."""
    old = work.plan.get("old")
    if old is not None:
        await building.stop(work, old["node"], old["vmid"])


async def start(work: Work) -> None:
    """Start the restored container and learn its address."""
    node, vmid = work.plan["node"], work.plan["vmid"]
    await building.start(work, node, vmid)
    await work.save(address=await building.await_address(work, node, vmid))


async def switch(work: Work) -> None:
    """Let the app be the restored container, with what the backup knows of it."""
    backup, plan = await _backup(work), work.plan
    facts = backup.app_facts
    kept = ("version", "cores", "memory_mib", "disk_gib", "config", "environment")
    values = {name: facts[name] for name in kept if name in facts}
    values |= {
        "node": plan["node"],
        "vmid": plan["vmid"],
        "address": plan["address"],
        "status": "running",
        "status_text": None,
        "adopted": False,
    }
    await building.change_app(work, **values)


async def remove_old(work: Work) -> None:
    """Remove the container whose place was taken."""
    old = work.plan.get("old")
    if old is not None:
        await building.remove_guest(work, old["node"], old["vmid"])
    await work.db(lambda db: _release(db, work))


def _release(db: RepositoryFactory, work: Work) -> None:
    row = db.backups.find_by_id(work.plan["backup_id"])
    if row is None:
        return
    row.status = "available"
    if row.app_id is None and row.app_facts.get("id") == work.app_id:
        row.app_id = work.app_id  # the app is back, and so are its backups


async def undo(work: Work) -> None:
    """Remove the new container; an app that was there runs again as before."""
    old = work.plan.get("old")
    if old is None:
        await deploying.undo(work)
    else:
        await building.remove_guest(work, work.plan.get("node"), work.plan.get("vmid"))
        await _resume(work, old)
    await work.db(lambda db: _release(db, work))


async def _resume(work: Work, old: dict[str, Any]) -> None:
    values: dict[str, Any] = {"status": "stopped", "status_text": work.error}
    if old["running"]:
        await building.start(work, old["node"], old["vmid"])
        address = await building.await_address(work, old["node"], old["vmid"])
        values |= {"status": "running", "address": address}
    await building.change_app(work, **values)


async def give_up(work: Work) -> None:
    """Say on the app what failed."""
    await work.db(lambda db: _release(db, work))
    await deploying.mark_failed(work)


async def left_behind(work: Work) -> None:
    """Say that the app is restored and its former container is left."""
    if work.done < len(RESTORE.steps) - 1:
        await give_up(work)
        return
    text = f"Restored; the former container is left behind: {work.error}"
    await work.db(lambda db: _release(db, work))
    await building.change_app(work, status_text=text)


RESTORE = Procedure(
    (
        Step("Reserving ports", 5, reserve_ports),
        Step("Choosing a node", 10, place),
        Step("Restoring the container", 20, restore),
        Step("Stopping the former container", 60, stop_old),
        Step("Starting container", 70, start),
        Step("Switching over", 90, switch),
        Step("Removing the former container", 95, remove_old),
    ),
    undo=undo,
    give_up=left_behind,
    final=6,
)
