"""The steps that more than one operation is made of: place, image, VMID, start, health."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from src_app.catalog import CatalogEntry, Version
from src_app.catalog.library import image_file
from src_app.db.errors import ConflictError
from src_app.db.models import App
from src_app.db.repositories import RepositoryFactory
from src_app.domain.errors import AppNotFoundError, AppOperationError
from src_app.proxmox import ProxmoxService
from src_app.proxmox.errors import ForeignGuest, GuestNotFound, VmidTaken
from src_app.services.work import Work

VMID_TRIES = 25
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 1.0  # somebody waits for the app
ADDRESS_TIMEOUT_S = 60.0
DATA = "mp0"


# --- what the rows say --------------------------------------------------------------------------


async def app_of(work: Work) -> App:
    """Return the operation's app.

    Raises:
        AppNotFoundError: there is none.
    """
    app = await work.db(lambda db: db.apps.find_by_id(work.app_id))
    if app is None:
        raise AppNotFoundError.of(str(work.app_id))
    return app


async def change_app(work: Work, **values: Any) -> None:
    """Store what is now true of the app."""
    await work.db(lambda db: db.apps.update(work.app_id, values))


def entry_of(work: Work, catalog_id: str) -> CatalogEntry:
    """Return the app's entry in the catalog.

    Raises:
        AppOperationError: the catalog has it no longer.
    """
    entry = work.context.catalog.find(catalog_id)
    if entry is None:
        raise AppOperationError(f"The catalog has no entry '{catalog_id}'")
    return entry


def version_of(entry: CatalogEntry, wanted: str) -> Version:
    """Return one version of an entry.

    Raises:
        AppOperationError: the entry has it no longer.
    """
    version = entry.version(wanted)
    if version is None:
        raise AppOperationError(f"{entry.name} has no version {wanted} in the catalog")
    return version


# --- where it goes ------------------------------------------------------------------------------


async def choose_place(work: Work) -> None:
    """Plan the node and the storage: the ones asked for, else the roomiest."""
    service = await work.proxmox()
    node = work.plan.get("node") or await service.get_best_node()
    storage = work.plan.get("storage") or await work.preference("storage")
    await work.save(node=node, storage=storage or await service.get_best_storage(node))


async def fetch_image(work: Work) -> None:
    """Plan the volume to make the container from, fetched where the node has it not yet."""
    version = version_of(entry_of(work, work.plan["catalog_id"]), work.plan["version"])
    if version.image is None:
        await work.save(template=version.template)
        return
    service, node = await work.proxmox(), work.plan["node"]
    wanted = await work.preference("image_storage")
    storage = wanted or await service.get_best_storage(node, "vztmpl")
    volid = await service.pull_image(node, storage, version.image, image_file(version.image))
    await work.save(template=volid)


# --- making a container, once -------------------------------------------------------------------


async def make_guest(work: Work, make: Callable[[ProxmoxService, int], Awaitable[object]]) -> None:
    """Have ``make`` make a container under a VMID that is ours, however often this runs.

    The VMID is locked in the database before Proxmox is asked, and what an earlier process
    asked for is looked at first.
    """
    service = await work.proxmox()
    for _ in range(VMID_TRIES):
        vmid = work.plan.get("vmid")
        if vmid is not None and await service.settle(vmid) == "made":
            return
        if vmid is None:
            vmid = await _lock_vmid(work, service)
        try:
            await make(service, vmid)
        except VmidTaken:
            await work.note(f"VMID {vmid} is taken; trying another")
            await work.save(vmid=None, refused=[*work.plan.get("refused", []), vmid])
            continue
        return
    raise AppOperationError(f"No VMID could be had after {VMID_TRIES} tries")


async def _lock_vmid(work: Work, service: ProxmoxService) -> int:
    """Return a VMID that no other operation can get, stored in the plan with its lock."""
    span = work.context.config.vmids
    taken = await work.db(lambda db: db.taken_vmids())
    taken |= {int(row["vmid"]) for row in await service.get_resources() if row.get("vmid")}
    taken |= set(work.plan.get("refused", []))
    for vmid in range(span.first, span.last + 1):
        if vmid in taken or not await service.is_vmid_free(vmid):
            continue
        if await work.db(lambda db, vmid=vmid: _lock(db, work, vmid)):  # type: ignore[misc]
            await work.save(vmid=vmid)
            return vmid
    raise AppOperationError(f"No VMID from {span.first} to {span.last} is free; widen APP_VMIDS")


def _lock(db: RepositoryFactory, work: Work, vmid: int) -> bool:
    subject = f"vmid:{vmid}"
    held = db.locks.find_by_id(subject)
    if held is not None:
        return held.operation_id == work.id
    try:
        db.locks.create({"subject": subject, "operation_id": work.id})
    except ConflictError:
        return False
    return True


async def remove_guest(
    work: Work, node: str | None, vmid: int | None, *, strict: bool = False
) -> None:
    """Return once the container that we made under this VMID is gone; others are not touched.

    Raises:
        ForeignGuest: with ``strict``, or where it may be ours: somebody else's guest is there.
    """
    if node is None or vmid is None:
        return
    service = await work.proxmox()
    await service.await_idle(node, vmid)
    try:
        await service.destroy_lxc(node, vmid, force=True)
    except ForeignGuest as exc:
        if strict or exc.may_be_ours:
            raise
        await work.note(f"Guest {vmid} is not ours and was left as it is")


async def container_options(work: Work, *, environment: dict[str, str]) -> dict[str, Any]:
    """Return Proxmox's own parameters for an app's container, without its data volume."""
    bridge, pool = await work.preference("bridge"), await work.preference("pool")
    options: dict[str, Any] = {
        "net0": f"name=eth0,bridge={bridge},ip=dhcp",
        "onboot": True,
        "tags": "app-manager",
    }
    if pool:
        options["pool"] = pool
    if environment:
        options["env"] = "\0".join(f"{key}={value}" for key, value in environment.items())
    return options


def data_volume(entry: CatalogEntry, storage: str) -> dict[str, str]:
    """Return the parameter for the volume that the app keeps its data in, if it keeps any."""
    if not entry.volumes:
        return {}
    first = entry.volumes[0]
    return {DATA: f"{storage}:{first.size_gib},mp={first.path},backup=1"}


def new_password() -> str:
    """Return a root password that nobody can guess."""
    return secrets.token_urlsafe(24)


# --- running ------------------------------------------------------------------------------------


async def start(work: Work, node: str, vmid: int) -> None:
    """Return once the container runs."""
    service = await work.proxmox()
    await service.start_lxc(node, vmid)


async def stop(work: Work, node: str, vmid: int) -> None:
    """Return once the container is stopped; one that is not there counts as stopped."""
    service = await work.proxmox()
    try:
        await service.stop_lxc(node, vmid, force=True)
    except GuestNotFound:
        await work.note(f"Container {vmid} is not there any more")


async def await_address(work: Work, node: str, vmid: int) -> str:
    """Return the container's address once it has one.

    Raises:
        AppOperationError: it has none after a minute.
    """
    service, clock = await work.proxmox(), work.context.clock
    end, pause_s = clock.monotonic() + ADDRESS_TIMEOUT_S, FIRST_PAUSE_S
    while (address := await service.get_address(node, vmid)) is None:
        if clock.monotonic() >= end:
            bridge = await work.preference("bridge")
            raise AppOperationError(
                f"Container {vmid} has no address after {ADDRESS_TIMEOUT_S:g} s; "
                f"is there a DHCP server on bridge {bridge}?"
            )
        await clock.pause(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
    return address


async def await_health(work: Work, address: str, port: int, path: str) -> None:
    """Return once the app says that it works.

    Raises:
        AppOperationError: it does not within the time of ``APP_HEALTH_TIMEOUT_S``.
    """
    clock, patience_s = work.context.clock, work.context.config.health_timeout_s
    end, pause_s = clock.monotonic() + patience_s, FIRST_PAUSE_S
    while not (health := await work.context.prober.ask(address, port, path)).ok:
        left_s = end - clock.monotonic()
        if left_s <= 0:
            raise AppOperationError(
                f"The app is not healthy after {patience_s:g} s: {health.text} at port {port}"
            )
        await clock.pause(min(pause_s, left_s))  # asks once more at the end
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def urls(app_id: str, address: str, ports: tuple[int, int]) -> dict[str, str]:
    """Return where a browser finds the app: by itself, and inside the manager's page."""
    host = f"[{address}]" if ":" in address else address
    return {"url": f"http://{host}:{ports[0]}/", "iframe_url": f"/apps/{app_id}/view/"}
