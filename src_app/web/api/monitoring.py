"""Statistics, history, logs, read-only commands, nodes, metrics."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from src_app.db.models import App
from src_app.domain.errors import NotFoundError
from src_app.security.tokens import Identity
from src_app.services import audit, monitoring
from src_app.services.manager import Manager
from src_app.services.metrics import rendered
from src_app.web.problems import responses
from src_app.web.wiring import Admin, AnyUser, TheManager

router = APIRouter(tags=["monitoring"])
Timeframe = Literal["hour", "day", "week", "month", "year"]


class StatisticsOut(BaseModel):
    """How much an app uses."""

    status: str
    cpu_percent: float
    memory_percent: float
    disk_percent: float
    memory_bytes: int
    memory_total_bytes: int
    disk_bytes: int
    disk_total_bytes: int
    uptime_s: int
    cached: bool


class NodeOut(BaseModel):
    """A node of the cluster."""

    node: str
    status: str
    cpu_percent: float
    cpu_count: int
    memory_bytes: int
    memory_total_bytes: int
    uptime_s: int
    containers: int


class History(BaseModel):
    """Measurements over time, oldest first, as Proxmox keeps them."""

    timeframe: str
    points: list[dict[str, Any]]


class Lines(BaseModel):
    """Lines of a log, oldest first."""

    lines: list[str]


class CommandOut(BaseModel):
    """What a command told."""

    command: str
    output: Any


async def _app(manager: Manager, identity: Identity, app_id: str) -> App:
    return await manager.store.aread(lambda db: manager.apps.get(db, identity, app_id))


@router.get("/apps/{app_id}/stats", responses=responses(401, 404, 409, 502, 503))
async def statistics(app_id: str, identity: AnyUser, manager: TheManager) -> StatisticsOut:
    """Return how much an app uses now, at most ten seconds old."""
    found = await manager.monitoring.statistics(await _app(manager, identity, app_id))
    return StatisticsOut(**{name: getattr(found, name) for name in StatisticsOut.model_fields})


@router.get("/apps/{app_id}/history", responses=responses(401, 404, 409, 422, 502, 503))
async def history(
    app_id: str, identity: AnyUser, manager: TheManager, timeframe: Timeframe = "hour"
) -> History:
    """Return how much an app used over time."""
    app = await _app(manager, identity, app_id)
    return History(timeframe=timeframe, points=await manager.monitoring.history(app, timeframe))


@router.get("/apps/{app_id}/logs", responses=responses(401, 404, 422, 502, 503))
async def logs(
    app_id: str,
    identity: AnyUser,
    manager: TheManager,
    lines: Annotated[int, Query(ge=1, le=5000)] = 200,
) -> Lines:
    """Return what happened to an app lately."""
    app = await _app(manager, identity, app_id)
    return Lines(lines=await manager.monitoring.log(app, lines))


@router.get("/apps/{app_id}/commands", responses=responses(401, 404))
async def commands(app_id: str, identity: AnyUser, manager: TheManager) -> dict[str, str]:
    """Return the commands that can be run on an app, and what each tells."""
    await _app(manager, identity, app_id)
    return dict(monitoring.COMMANDS)


@router.post("/apps/{app_id}/command/{command}", responses=responses(401, 404, 409, 502, 503))
async def run_command(
    app_id: str, command: str, identity: AnyUser, manager: TheManager
) -> CommandOut:
    """Return what one of the commands tells; each use is written down."""
    app = await _app(manager, identity, app_id)
    if command not in monitoring.COMMANDS:
        raise NotFoundError(f"There is no command '{command[:64]}'")
    output = await manager.monitoring.run_command(app, command)
    details = {"command": command}
    await manager.store.arun(
        lambda db: audit.add(db, "command", app_id, user_id=identity.user_id, details=details)
    )
    return CommandOut(command=command, output=output)


@router.get("/system/nodes", responses=responses(401, 502, 503))
async def nodes(_: AnyUser, manager: TheManager) -> list[NodeOut]:
    """Return the nodes of the cluster, those that are offline too."""
    found = await monitoring.nodes(await manager.context.link.service())
    return [NodeOut(**node) for node in found]


@router.get("/system/nodes/{node}/history", responses=responses(401, 404, 422, 502, 503))
async def node_history(
    node: str, _: AnyUser, manager: TheManager, timeframe: Timeframe = "hour"
) -> History:
    """Return the load of a node over time."""
    service = await manager.context.link.service()
    if node not in [str(entry["node"]) for entry in await service.get_nodes()]:
        raise NotFoundError(f"There is no node '{node[:64]}'")
    return History(timeframe=timeframe, points=await service.get_rrddata(node, timeframe))


@router.get("/metrics", response_class=PlainTextResponse, responses=responses(401, 403))
def metrics(_: Admin, manager: TheManager) -> PlainTextResponse:
    """Return the figures for Prometheus, which logs in with an admin's token."""
    return PlainTextResponse(rendered(manager.store), media_type="text/plain; version=0.0.4")
