"""Snapshots of containers: make, list, go back, delete."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from src_app.proxmox.container import parse_vmid
from src_app.proxmox.errors import ProxmoxError
from src_app.proxmox.session import Session


class SnapshotMethods(Session):
    """The part of the service about snapshots; each method waits for its task."""

    async def create_snapshot(
        self, node: str, vmid: int, name: str, *, description: str | None = None
    ) -> dict[str, Any]:
        """Return the result of a snapshot made: ``status``, ``name``, ``upid``.

        Raises:
            TaskFailed: the storage cannot, the name is taken, or the guest is locked.
        """
        path = _snapshots(node, vmid)
        upid = await self._run(
            lambda: self._api().post(path, snapname=name, description=description),
            doing=f"snapshot {name} of container {vmid}",
        )
        return {"status": "success", "name": name, "task_id": str(upid), "upid": str(upid)}

    async def get_snapshots(self, node: str, vmid: int) -> list[dict[str, Any]]:
        """Return the container's snapshots, without the entry that stands for its present."""
        listed = await self._get(_snapshots(node, vmid))
        return [dict(entry) for entry in listed if entry["name"] != "current"]

    async def rollback_snapshot(self, node: str, vmid: int, name: str) -> dict[str, Any]:
        """Return the result of going back to a snapshot; the container is stopped by that."""
        path = f"{_snapshots(node, vmid)}/{name}/rollback"
        doing = f"going back to snapshot {name} of container {vmid}"
        upid = await self._run(lambda: self._api().post(path), doing=doing)
        return {"status": "success", "name": name, "task_id": str(upid), "upid": str(upid)}

    async def delete_snapshot(self, node: str, vmid: int, name: str) -> dict[str, Any]:
        """Return the result of a snapshot deleted."""
        path = f"{_snapshots(node, vmid)}/{name}"
        doing = f"deleting snapshot {name} of container {vmid}"
        upid = await self._run(lambda: self._api().delete(path), doing=doing)
        return {"status": "success", "name": name, "task_id": str(upid), "upid": str(upid)}

    @asynccontextmanager
    async def temporary_snapshot(
        self, node: str, vmid: int, name: str, *, description: str
    ) -> AsyncIterator[str]:
        """Yield the name of a snapshot that is there inside the block only.

        An error of the block is the one that is raised; that the snapshot could not be
        deleted then becomes a note on it.
        """
        await self.create_snapshot(node, vmid, name, description=description)
        try:
            yield name
        except BaseException as exc:
            try:
                await self.delete_snapshot(node, vmid, name)
            except ProxmoxError as second:
                exc.add_note(f"Snapshot {name} of container {vmid} is left behind: {second}")
            raise
        await self.delete_snapshot(node, vmid, name)


def _snapshots(node: str, vmid: int) -> str:
    return f"/nodes/{node}/lxc/{parse_vmid(vmid)}/snapshot"
