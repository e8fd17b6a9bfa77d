"""Updating an app: a new container from the new version's image takes over the data volume.

The former container stays until the new one is healthy, and takes the data back if it is not.
"""

from __future__ import annotations

from typing import Any

from src_app.proxmox import ProxmoxService
from src_app.proxmox.errors import GuestNotFound
from src_app.services import backing, building, deploying, sealing
from src_app.services.building import DATA
from src_app.services.work import Procedure, Step, Work


async def place(work: Work) -> None:
    """Plan the storage of the new container, and whether there is data to take over."""
    service, old = await work.proxmox(), work.plan["old"]
    config = await service.get_lxc_config(old["node"], old["vmid"])
    wanted = await work.preference("storage")
    storage = wanted or str(config["rootfs"]).partition(":")[0]
    await work.save(node=old["node"], storage=storage, data=DATA in config)


async def create(work: Work) -> None:
    """Make the container of the new version, without data, once."""
    app = await building.app_of(work)
    environment = sealing.opened(work.context.cipher, app.environment)
    options = await building.container_options(work, environment=environment)
    sealed = app.sealed_root_password

    async def make(service: ProxmoxService, vmid: int) -> object:
        return await service.create_lxc(
            work.plan["node"],
            vmid,
            root_password=work.context.cipher.open(sealed) if sealed else None,
            hostname=app.hostname,
            template=work.plan["template"],
            storage=work.plan["storage"],
            cores=app.cores,
            memory=app.memory_mib,
            disk=app.disk_gib,
            **options,
        )

    await building.make_guest(work, make)


async def stop_old(work: Work) -> None:
    """Shut the former container down, so that its data is at rest."""
    service, old = await work.proxmox(), work.plan["old"]
    await service.await_idle(old["node"], old["vmid"])
    await service.stop_lxc(old["node"], old["vmid"])


async def take_data(work: Work) -> None:
    """Move the data volume to the new container, once."""
    await _move(work, source=work.plan["old"]["vmid"], target=work.plan["vmid"])


async def _move(work: Work, *, source: int, target: int) -> None:
    if not work.plan.get("data"):
        return
    service, node = await work.proxmox(), work.plan["node"]
    await service.await_idle(node, source)
    await service.await_idle(node, target)
    if DATA not in await service.get_lxc_config(node, target):
        await service.move_volume(node, source, target_vmid=target, volume=DATA)


async def start(work: Work) -> None:
    """Start the new container and learn its address."""
    node, vmid = work.plan["node"], work.plan["vmid"]
    await building.start(work, node, vmid)
    await work.save(address=await building.await_address(work, node, vmid))


async def check(work: Work) -> None:
    """Wait until the new version says that it works."""
    app = await building.app_of(work)
    entry = building.entry_of(work, app.catalog_id)
    version = building.version_of(entry, work.plan["version"])
    await building.await_health(work, work.plan["address"], app.config["port"], version.health)


async def switch(work: Work) -> None:
    """Let the app be the new container."""
    app, plan = await building.app_of(work), work.plan
    if app.vmid == plan["vmid"]:
        return
    config = {**app.config, "previous_version": plan["old"]["version"]}
    await building.change_app(
        work,
        vmid=plan["vmid"],
        node=plan["node"],
        address=plan["address"],
        version=plan["version"],
        config=config,
        status="running",
        status_text=None,
    )


async def remove_old(work: Work) -> None:
    """Remove the former container, which holds no data any more."""
    old = work.plan["old"]
    await building.remove_guest(work, old["node"], old["vmid"])


async def undo(work: Work) -> None:
    """Give the data back, start the former container, remove the new one."""
    old, vmid = work.plan["old"], work.plan.get("vmid")
    service = await work.proxmox()
    await service.await_idle(old["node"], old["vmid"])
    if vmid is not None and await service.settle(vmid) == "made":
        await service.await_idle(old["node"], vmid)
        await building.stop(work, old["node"], vmid)
        await _give_back(work, service, vmid)
        await building.remove_guest(work, old["node"], vmid)
    await _resume(work)
    await work.db(lambda db: _end_backup(db, work))


async def _give_back(work: Work, service: ProxmoxService, vmid: int) -> None:
    """Move the data back; the new container must not be removed before that."""
    old = work.plan["old"]
    config = await service.get_lxc_config(old["node"], vmid)
    if work.plan.get("data") and DATA in config:
        await building.stop(work, old["node"], old["vmid"])
        await _move(work, source=vmid, target=old["vmid"])


async def _resume(work: Work) -> None:
    old = work.plan["old"]
    text = f"The update to {work.plan['version']} was rolled back: {work.error}"
    values: dict[str, Any] = {"status": "stopped", "status_text": text}
    if old["running"]:
        try:
            await building.start(work, old["node"], old["vmid"])
        except GuestNotFound:
            await building.change_app(work, status="error", status_text="The container is gone")
            return
        address = await building.await_address(work, old["node"], old["vmid"])
        values |= {"status": "running", "address": address}
    await building.change_app(work, **values)


def _end_backup(db: Any, work: Work) -> None:
    row = db.backups.find_by_id(work.plan.get("backup_id"))
    if row is not None and row.status == "creating":
        row.status, row.error = "failed", work.error


async def give_up(work: Work) -> None:
    """Say on the app what failed."""
    if work.done == len(UPDATE.steps) - 1:
        text = f"Updated; the former container is left behind: {work.error}"
        await building.change_app(work, status_text=text)
        return
    await work.db(lambda db: _end_backup(db, work))
    await deploying.mark_failed(work)
    await building.change_app(work, status="update_failed")


UPDATE = Procedure(
    (
        Step("Choosing a storage for the backup", 3, backing.choose_storage),
        Step("Making a backup", 5, backing.archive),
        Step("Looking at the container", 25, place),
        Step("Fetching the image", 30, building.fetch_image),
        Step("Creating the new container", 40, create),
        Step("Stopping the former container", 55, stop_old),
        Step("Moving the data", 60, take_data),
        Step("Starting the new container", 70, start),
        Step("Checking that it is healthy", 80, check),
        Step("Switching over", 92, switch),
        Step("Removing the former container", 95, remove_old),
    ),
    undo=undo,
    give_up=give_up,
    final=10,
)
