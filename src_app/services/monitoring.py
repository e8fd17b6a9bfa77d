"""What runs and how much it uses: statistics, history, logs, and keeping statuses true."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from src_app.db.models import App, now
from src_app.db.repositories import RepositoryFactory
from src_app.domain.errors import ConflictError
from src_app.proxmox import ProxmoxService
from src_app.proxmox.errors import ProxmoxError, RequestFailed
from src_app.services.context import Context

TTL_S = 10.0
SETTLED = ("running", "stopped", "error", "update_failed")
COMMANDS: Mapping[str, str] = {
    "status": "What the container is doing now",
    "config": "How the container is configured",
    "network": "Its network interfaces and addresses",
    "snapshots": "Its snapshots",
    "tasks": "What Proxmox did with it lately",
    "usage": "Processor, memory and disk in use",
}


@dataclass(frozen=True, slots=True)
class Statistics:
    """How much a container uses, in percent and bytes; ``cached`` where not asked just now."""

    status: str
    cpu_percent: float
    memory_percent: float
    disk_percent: float
    memory_bytes: int
    memory_total_bytes: int
    disk_bytes: int
    disk_total_bytes: int
    uptime_s: int
    cached: bool = False


class Monitoring:
    """Reads from Proxmox for pages, and writes what it finds on the apps' rows."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cache: dict[str, tuple[float, Statistics]] = {}

    async def statistics(self, app: App) -> Statistics:
        """Return how much an app uses, at most ten seconds old.

        Raises:
            ConflictError: it has no container; ProxmoxError.
        """
        clock = self._context.clock
        kept = self._cache.get(app.id)
        if kept is not None and clock.monotonic() - kept[0] < TTL_S:
            values = {name: getattr(kept[1], name) for name in Statistics.__slots__}
            return Statistics(**values | {"cached": True})
        service, node, vmid = await self._place(app)
        status = await service.get_lxc_status(node, vmid) or {"status": "gone"}
        found = _statistics(status)
        self._cache = {
            key: value for key, value in self._cache.items() if clock.monotonic() - value[0] < TTL_S
        }
        self._cache[app.id] = (clock.monotonic(), found)
        return found

    async def history(self, app: App, timeframe: str) -> list[dict[str, Any]]:
        """Return how much an app used over time, oldest first."""
        service, node, vmid = await self._place(app)
        try:
            return await service.get_rrddata(node, timeframe, vmid)
        except RequestFailed as exc:
            if "RRD error" in exc.reason:
                return []  # Proxmox has measured nothing yet: the container is new
            raise

    async def log(self, app: App, lines: int) -> list[str]:
        """Return what happened to an app lately: its operations and Proxmox's tasks."""
        rows = await self._context.store.aread(
            lambda db: (
                db.operations.find_many(
                    where={"subject": app.id}, order_by="-created_at", limit=20
                ).data
            )
        )
        told = [f"{row.kind}: {line}" for row in reversed(rows) for line in row.log]
        if app.vmid is not None and app.node is not None:
            told += await self._task_lines(app.node, app.vmid)
        return told[-lines:]

    async def _task_lines(self, node: str, vmid: int) -> list[str]:
        service = await self._context.link.service()
        tasks = await service.get_guest_tasks(node, vmid, limit=5)
        return [
            f"{task.get('type')}: {line}"
            for task in reversed(tasks)
            for line in await service.get_task_log(node, str(task["upid"]))
        ]

    async def run_command(self, app: App, command: str) -> Any:
        """Return what one of ``COMMANDS`` tells; none of them changes anything."""
        service, node, vmid = await self._place(app)
        if command == "status":
            return await service.get_lxc_status(node, vmid)
        if command == "config":
            return _without_secrets(await service.get_lxc_config(node, vmid))
        if command == "network":
            return {"address": await service.get_address(node, vmid)}
        if command == "snapshots":
            return await service.get_snapshots(node, vmid)
        if command == "tasks":
            return await service.get_guest_tasks(node, vmid)
        found = await self.statistics(app)
        return {name: getattr(found, name) for name in Statistics.__slots__}

    async def _place(self, app: App) -> tuple[ProxmoxService, str, int]:
        if app.node is None or app.vmid is None:
            raise ConflictError(f"App '{app.id}' has no container yet")
        return await self._context.link.service(), app.node, app.vmid

    # --- keeping rows true --------------------------------------------------------------

    async def sync(self) -> int:
        """Return how many apps' rows were corrected after one look at the whole cluster.

        Nothing is ever deleted; a cluster that lists no node at all is not believed.
        """
        service, began = await self._context.link.service(), now()
        resources = await service.get_resources()
        nodes = {str(r["node"]): r.get("status") for r in resources if r.get("type") == "node"}
        if not nodes:
            return 0
        guests = {int(r["vmid"]): r for r in resources if r.get("type") == "lxc"}
        apps = await self._context.store.aread(_watched)
        changes: dict[str, dict[str, Any]] = {}
        for app in apps:
            values = await self._found(service, app, guests.get(int(app.vmid or 0)), nodes)
            if values:
                changes[app.id] = values
        return await self._context.store.arun(lambda db: _correct(db, changes, began))

    async def _found(
        self,
        service: ProxmoxService,
        app: App,
        guest: Mapping[str, Any] | None,
        nodes: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Return what is different from the app's row."""
        if nodes.get(str(app.node)) == "offline":
            return _different(app, {"status_text": f"Node {app.node} is offline"})
        if guest is None:
            gone = app.vmid is not None and await service.is_vmid_free(app.vmid)
            text = "The container is gone"
            return _different(app, {"status": "error", "status_text": text}) if gone else {}
        values: dict[str, Any] = {"node": str(guest["node"])}
        if guest.get("status") in ("running", "stopped") and guest["status"] != app.status:
            # The list is some seconds old: what it says is a reason to ask, and no more.
            fresh = await service.get_lxc_status(values["node"], int(app.vmid or 0))
            values["status"] = str(fresh["status"]) if fresh else app.status
        else:
            values["status"] = app.status
        if values.get("status") == "running" and app.address is None:
            values["address"] = await service.get_address(values["node"], int(app.vmid or 0))
        if values.get("status") != app.status or str(app.status_text).endswith("is offline"):
            values["status_text"] = None
        return _different(app, values)


def _different(app: App, values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if getattr(app, key) != value}


def _watched(db: RepositoryFactory) -> list[App]:
    locked = {lock.subject for lock in db.locks.find_many(limit=1000).data}
    found: list[App] = []
    page = 1
    while True:
        rows = db.apps.find_many(where={"status": list(SETTLED)}, limit=500, page=page)
        found += [app for app in rows.data if app.vmid and f"app:{app.id}" not in locked]
        if not rows.has_more:
            return found
        page += 1


def _correct(
    db: RepositoryFactory, changes: Mapping[str, Mapping[str, Any]], began: datetime
) -> int:
    """Write what was found, unless an operation came between the look and now."""
    count = 0
    for app_id, values in changes.items():
        app = db.apps.find_by_id(app_id)
        if app is None or app.updated_at > began or db.locks.exists(f"app:{app_id}"):
            continue
        db.apps.update(app_id, values)
        count += 1
    return count


def _statistics(status: Mapping[str, Any]) -> Statistics:
    memory, memory_total = int(status.get("mem", 0)), int(status.get("maxmem", 0))
    disk, disk_total = int(status.get("disk", 0)), int(status.get("maxdisk", 0))
    return Statistics(
        status=str(status["status"]),
        cpu_percent=round(100 * float(status.get("cpu", 0)), 1),
        memory_percent=_percent(memory, memory_total),
        disk_percent=_percent(disk, disk_total),
        memory_bytes=memory,
        memory_total_bytes=memory_total,
        disk_bytes=disk,
        disk_total_bytes=disk_total,
        uptime_s=int(status.get("uptime", 0)),
    )


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


def _without_secrets(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a container's config without its environment, which may hold passwords."""
    return {key: value for key, value in config.items() if key != "env"}


async def nodes(service: ProxmoxService) -> list[dict[str, Any]]:
    """Return every node with its load and how many apps' containers it has."""
    listed, resources = await asyncio.gather(service.get_nodes(), service.get_resources())
    counts: dict[str, int] = {}
    for row in resources:
        if row.get("type") == "lxc":
            counts[str(row["node"])] = counts.get(str(row["node"]), 0) + 1
    return [_node(entry, counts.get(str(entry["node"]), 0)) for entry in listed]


def _node(entry: Mapping[str, Any], count: int) -> dict[str, Any]:
    return {
        "node": str(entry["node"]),
        "status": str(entry.get("status", "unknown")),
        "cpu_percent": round(100 * float(entry.get("cpu", 0)), 1),
        "cpu_count": int(entry.get("maxcpu", 0)),
        "memory_bytes": int(entry.get("mem", 0)),
        "memory_total_bytes": int(entry.get("maxmem", 0)),
        "uptime_s": int(entry.get("uptime", 0)),
        "containers": count,
    }


async def reachable(context: Context) -> str | None:
    """Return why Proxmox cannot be used, None where it can."""
    try:
        await (await context.link.service()).get_version()
    except ProxmoxError as exc:
        return exc.what
    return None
