"""Questions about the cluster: nodes, VMIDs, storages, and where something should go."""

from __future__ import annotations

from typing import Any

from src_app.proxmox.placement import best_node, best_storage
from src_app.proxmox.session import Session


class ClusterMethods(Session):
    """The part of the service that only reads."""

    async def get_version(self) -> dict[str, Any]:
        """Return Proxmox's version: ``version``, ``release``, ``repoid``."""
        return dict(await self._get("/version"))

    async def get_nodes(self) -> list[dict[str, Any]]:
        """Return every node of the cluster, those that are offline too."""
        return list(await self._get("/nodes"))

    async def get_node_status(self, node: str) -> dict[str, Any]:
        """Return memory, load, kernel and uptime of one node."""
        return dict(await self._get(f"/nodes/{node}/status"))

    async def get_next_vmid(self) -> int:
        """Return a VMID that is free now; nothing reserves it, the create call decides."""
        return int(await self._get("/cluster/nextid"))

    async def get_storages(self, node: str, content: str | None = None) -> list[dict[str, Any]]:
        """Return the storages of a node, all of them or those for one content type."""
        return list(await self._get(f"/nodes/{node}/storage", content=content))

    async def get_templates(self, node: str) -> list[str]:
        """Return the volume ids of the container templates on a node, sorted."""
        volids: list[str] = []
        for storage in await self.get_storages(node, "vztmpl"):
            if storage.get("active", 1):
                path = f"/nodes/{node}/storage/{storage['storage']}/content"
                listed = await self._get(path, content="vztmpl")
                volids += [str(volume["volid"]) for volume in listed]
        return sorted(volids)

    async def get_best_node(self) -> str:
        """Return the online node with the most free memory.

        Raises:
            NoNodeOnline: none is; an offline node is never preferred.
        """
        return best_node(await self.get_nodes())

    async def get_best_storage(self, node: str, content: str = "rootdir") -> str:
        """Return the active storage of a node with the most free space for ``content``.

        Raises:
            StorageNotFound: none takes that content.
        """
        return best_storage(await self.get_storages(node), node=node, content=content)

    async def get_lxc_containers(self, node: str | None = None) -> list[dict[str, Any]]:
        """Return the containers of one node, or of the whole cluster.

        Each entry has ``node``. Containers of nodes that are offline are listed, with what
        the cluster remembers of them and the status ``unknown``: missing from the list
        means gone. A node that fails to answer fails the whole call.
        """
        if node is not None:
            return [dict(entry, node=node) for entry in await self._get(f"/nodes/{node}/lxc")]
        nodes = await self.get_nodes()
        online = sorted(entry["node"] for entry in nodes if entry.get("status") == "online")
        found = [entry for name in online for entry in await self.get_lxc_containers(name)]
        remembered = await self._get("/cluster/resources", type="vm")
        return found + [
            dict(entry)
            for entry in remembered
            if entry.get("type") == "lxc" and entry.get("node") not in online
        ]
