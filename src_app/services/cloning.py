"""Cloning an app: a full copy beside it, with its own name, ports and data."""

from __future__ import annotations

from src_app.proxmox import ProxmoxService
from src_app.services import building, deploying
from src_app.services.work import Procedure, Step, Work


async def copy(work: Work) -> None:
    """Copy the container, once; a running one is copied from a snapshot."""
    source = work.plan["source"]
    service = await work.proxmox()
    await service.await_idle(source["node"], source["vmid"])
    app = await building.app_of(work)

    async def make(service: ProxmoxService, vmid: int) -> object:
        await service.drop_clone_snapshots(source["node"], source["vmid"])
        return await service.clone_lxc(
            source["node"], source["vmid"], vmid, name=app.hostname, full=True
        )

    await building.make_guest(work, make)
    await service.drop_clone_snapshots(source["node"], source["vmid"])
    await building.change_app(work, vmid=work.plan["vmid"], node=work.plan["node"])


async def start(work: Work) -> None:
    """Start the copy if its source ran."""
    if not work.plan["start"]:
        return
    await building.start(work, work.plan["node"], work.plan["vmid"])
    address = await building.await_address(work, work.plan["node"], work.plan["vmid"])
    await building.change_app(work, address=address)


async def publish(work: Work) -> None:
    """Say what the copy is."""
    status = "running" if work.plan["start"] else "stopped"
    await building.change_app(work, status=status, status_text=None)


async def undo(work: Work) -> None:
    """Remove the copy, and what copying left on the source."""
    source = work.plan["source"]
    service = await work.proxmox()
    await service.await_idle(source["node"], source["vmid"])
    await service.drop_clone_snapshots(source["node"], source["vmid"])
    await deploying.undo(work)


CLONE = Procedure(
    (
        Step("Reserving ports", 5, deploying.reserve_ports),
        Step("Copying the container", 20, copy),
        Step("Starting the copy", 80, start),
        Step("Finalizing", 95, publish),
    ),
    undo=undo,
    give_up=deploying.give_up,
)
