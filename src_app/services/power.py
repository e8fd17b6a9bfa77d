"""Starting, stopping and restarting an app, and deleting it."""

from __future__ import annotations

from src_app.db.models import App
from src_app.proxmox.errors import GuestNotFound, ProxmoxError
from src_app.services import building, deploying
from src_app.services.work import Procedure, Step, Work


def _place(app: App) -> tuple[str, int]:
    if app.node is None or app.vmid is None:
        raise GuestNotFound(f"app {app.id} has no container", hint="Delete it and deploy it anew.")
    return app.node, app.vmid


async def stop(work: Work) -> None:
    """Shut the container down, with force where it does not go by itself."""
    app = await building.app_of(work)
    service = await work.proxmox()
    node, vmid = _place(app)
    await service.await_idle(node, vmid)
    await service.stop_lxc(node, vmid)
    await building.change_app(work, status="stopped", status_text=None, address=None)


async def start(work: Work) -> None:
    """Start the container and learn its address."""
    app = await building.app_of(work)
    service = await work.proxmox()
    node, vmid = _place(app)
    await service.await_idle(node, vmid)
    await service.start_lxc(node, vmid)
    address = await building.await_address(work, node, vmid)
    await building.change_app(work, status="running", status_text=None, address=address)


async def destroy(work: Work) -> None:
    """Destroy the container; one that was adopted is left as it is."""
    app = await building.app_of(work)
    await building.change_app(work, status="removing")
    if not app.adopted:
        await building.remove_guest(work, app.node, app.vmid, strict=True)


async def forget(work: Work) -> None:
    """Remove the row, once the container is gone."""
    await work.db(lambda db: deploying.forget(db, work.app_id))


async def look(work: Work) -> None:
    """Write down what the container really is: what remains after a failure."""
    app = await building.app_of(work)
    if app.node is None or app.vmid is None:
        return
    service = await work.proxmox()
    status = await service.get_lxc_status(app.node, app.vmid)
    if status is None:
        await building.change_app(work, status="error", status_text="The container is gone")
        return
    await building.change_app(work, status=str(status["status"]), status_text=work.error)


async def keep_error(work: Work) -> None:
    """Show the error on the app, with its real status where that can be learnt."""
    try:
        await look(work)
    except ProxmoxError:
        await deploying.mark_failed(work)


async def keep(work: Work) -> None:
    """Keep the row as long as its container is not gone, and say why."""
    await deploying.mark_failed(work)


START = Procedure((Step("Starting container", 30, start),), undo=look, give_up=keep_error)
STOP = Procedure((Step("Stopping container", 30, stop),), undo=look, give_up=keep_error)
RESTART = Procedure(
    (Step("Stopping container", 20, stop), Step("Starting container", 60, start)),
    undo=start,
    give_up=keep_error,
)
DELETE = Procedure(
    (Step("Removing container", 30, destroy), Step("Removing the app", 90, forget)),
    undo=keep,
    give_up=keep,
    final=0,
)
