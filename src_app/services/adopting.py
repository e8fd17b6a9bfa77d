"""Adopting containers that others made: they are managed from then on, and left as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from src_app.db.repositories import RepositoryFactory
from src_app.domain.errors import ConflictError, InvalidInput
from src_app.domain.hostnames import app_id, parse_hostname
from src_app.security.tokens import Identity
from src_app.services import building, deploying
from src_app.services.apps import Apps, Submitted, submit
from src_app.services.context import Context
from src_app.services.work import Procedure, Step, Work

CUSTOM = "custom"
USUAL_PORTS = (80, 8080, 3000, 8000, 5000, 8123, 9000, 8096, 8443)
MIB, GIB = 1024**2, 1024**3


@dataclass(frozen=True, slots=True)
class Candidate:
    """A container that could be adopted."""

    vmid: int
    node: str
    name: str
    status: str
    cores: int
    memory_mib: int
    disk_gib: int


@dataclass(frozen=True, slots=True)
class AdoptRequest:
    """Which container, under which hostname, and where its app listens."""

    vmid: int
    hostname: str | None = None
    port: int | None = None


async def discover(context: Context) -> list[Candidate]:
    """Return the containers that are no apps yet, by VMID; templates are left out."""
    service = await context.link.service()
    taken = await context.store.aread(lambda db: db.taken_vmids())
    found = [
        _candidate(row)
        for row in await service.get_resources()
        if row.get("type") == "lxc" and not row.get("template") and int(row["vmid"]) not in taken
    ]
    return sorted(found, key=lambda candidate: candidate.vmid)


def _candidate(row: dict[str, Any]) -> Candidate:
    return Candidate(
        vmid=int(row["vmid"]),
        node=str(row["node"]),
        name=str(row.get("name", f"ct{row['vmid']}")),
        status=str(row.get("status", "unknown")),
        cores=int(row.get("maxcpu", 1)),
        memory_mib=int(row.get("maxmem", 0)) // MIB,
        disk_gib=max(1, int(row.get("maxdisk", 0)) // GIB),
    )


async def choose(context: Context, vmid: int) -> Candidate:
    """Return the container of that VMID.

    Raises:
        ConflictError: there is none that could be adopted.
    """
    found = [item for item in await discover(context) if item.vmid == vmid]
    if not found:
        raise ConflictError(f"Container {vmid} is not there, is a template, or is an app already")
    return found[0]


def adopt(
    db: RepositoryFactory,
    apps: Apps,
    identity: Identity,
    candidate: Candidate,
    request: AdoptRequest,
) -> Submitted:
    """Return the new app, which is being adopted.

    Raises:
        InvalidInput: its name is no hostname of ours; AppAlreadyExistsError: it is taken.
    """
    try:
        hostname = parse_hostname(request.hostname or candidate.name)
    except InvalidInput as exc:
        raise InvalidInput(f"{exc}; give another hostname", fields=exc.fields) from exc
    values = {
        "id": app_id(CUSTOM, hostname),
        "catalog_id": CUSTOM,
        "name": candidate.name,
        "hostname": hostname,
        "status": "adopting",
        "node": candidate.node,
        "vmid": candidate.vmid,
        "cores": min(max(candidate.cores, 1), 16),
        "memory_mib": min(max(candidate.memory_mib, 128), 32768),
        "disk_gib": min(max(candidate.disk_gib, 1), 500),
        "config": {"port": request.port, "icon": "📦", "category": "custom"},
        "adopted": True,
        "owner_id": identity.user_id,
    }
    app = apps.add(db, values)
    plan = {"node": candidate.node, "port": request.port}
    return Submitted(app, submit(db, "adopt", app, plan, user_id=identity.user_id))


async def look(work: Work) -> None:
    """Write down what the container is, without changing anything about it."""
    app = await building.app_of(work)
    service, node, vmid = await work.proxmox(), str(app.node), int(app.vmid or 0)
    config = await service.get_lxc_config(node, vmid)
    status = await service.get_lxc_status(node, vmid) or {}
    state = "running" if status.get("status") == "running" else "stopped"
    address = await service.get_address(node, vmid) if state == "running" else None
    port = work.plan.get("port") or await _port(work, address)
    kept = {key: value for key, value in config.items() if key not in ("env", "digest")}
    await building.change_app(
        work,
        status=state,
        address=address,
        config={**app.config, "port": port, "adopted_config": kept},
    )


async def _port(work: Work, address: str | None) -> int:
    """Return the first usual port on which something speaks HTTP, 80 where nothing does."""
    if address is not None:
        for port in USUAL_PORTS:
            health = await work.context.prober.ask(address, port, "/")
            if health.ok or "answered" in health.text:
                return port
    return USUAL_PORTS[0]


async def forget(work: Work) -> None:
    """Remove the row; the container stays as it is."""
    await work.db(lambda db: deploying.forget(db, work.app_id))


ADOPT = Procedure(
    (
        Step("Reserving ports", 10, deploying.reserve_ports),
        Step("Looking at the container", 40, look),
    ),
    undo=forget,
    give_up=deploying.mark_failed,
)
