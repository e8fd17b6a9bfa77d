"""Changing what an app's container may use: cores, memory, and its disk, which only grows."""

from __future__ import annotations

from src_app.services import building, deploying
from src_app.services.work import Procedure, Step, Work

COLUMNS = {"cores": "cores", "memory_mib": "memory", "disk_gib": "disk"}


async def stop(work: Work) -> None:
    """Stop a running container."""
    if work.plan["running"]:
        service = await work.proxmox()
        await service.stop_lxc(work.plan["node"], work.plan["vmid"])


async def change(work: Work) -> None:
    """Set cores and memory."""
    await _set(work, work.plan["wanted"])


async def grow(work: Work) -> None:
    """Grow the disk; one that has the size already is fine."""
    wanted = work.plan["wanted"].get("disk_gib")
    if wanted is None or wanted == work.plan["before"]["disk_gib"]:
        return
    service = await work.proxmox()
    node, vmid = work.plan["node"], work.plan["vmid"]
    await service.await_idle(node, vmid)
    if work.plan.get("grown") == wanted and await _disk_gib(work) >= wanted:
        return
    await work.save(grown=wanted)
    await service.resize_lxc_disk(node, vmid, wanted)


async def start(work: Work) -> None:
    """Start the container again, if it ran."""
    if work.plan["running"]:
        node, vmid = work.plan["node"], work.plan["vmid"]
        await building.start(work, node, vmid)
        address = await building.await_address(work, node, vmid)
        await building.change_app(work, address=address)


async def publish(work: Work) -> None:
    """Write down what the container has now."""
    status = "running" if work.plan["running"] else "stopped"
    await building.change_app(work, **work.plan["wanted"], status=status, status_text=None)


async def undo(work: Work) -> None:
    """Give the container back what it had, and start it again if it ran; a disk stays grown."""
    node, vmid = work.plan["node"], work.plan["vmid"]
    service = await work.proxmox()
    await service.await_idle(node, vmid)
    before = work.plan["before"]
    await _set(work, {key: before[key] for key in work.plan["wanted"] if key != "disk_gib"})
    values = {"status_text": work.error}
    if work.plan.get("grown") and await _disk_gib(work) >= work.plan["grown"]:
        values["disk_gib"] = work.plan["grown"]
    await start(work)
    status = "running" if work.plan["running"] else "stopped"
    await building.change_app(work, **values, status=status)


async def _set(work: Work, wanted: dict[str, int]) -> None:
    changes = {COLUMNS[key]: value for key, value in wanted.items() if key != "disk_gib"}
    if changes:
        service = await work.proxmox()
        await service.update_lxc_config(work.plan["node"], work.plan["vmid"], changes)


async def _disk_gib(work: Work) -> float:
    """Return the size that the container's root disk has now."""
    service = await work.proxmox()
    config = await service.get_lxc_config(work.plan["node"], work.plan["vmid"])
    text = str(config.get("rootfs", "")).rpartition("size=")[2].partition(",")[0]
    units = {"M": 1 / 1024, "G": 1, "T": 1024}
    return float(text[:-1]) * units.get(text[-1:], 0) if text[:-1].isdigit() else 0.0


CONFIGURE = Procedure(
    (
        Step("Stopping container", 10, stop),
        Step("Changing cores and memory", 30, change),
        Step("Growing the disk", 50, grow),
        Step("Starting container", 70, start),
        Step("Finalizing", 95, publish),
    ),
    undo=undo,
    give_up=deploying.mark_failed,
)
