"""The app's way to Proxmox: containers made, started, cloned, changed and destroyed.

Every task is waited for by its UPID. What this service destroys is what it can show it made
(module ``ownership``); any other guest is left as it is, whatever its VMID.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from src_app.proxmox.cluster import ClusterMethods
from src_app.proxmox.container import ContainerRequest, first_address, made, parse_vmid
from src_app.proxmox.errors import (
    GuestNotFound,
    InvalidRequest,
    PermissionDenied,
    ProxmoxError,
    RequestFailed,
    TaskFailed,
    TemplateNotFound,
    UnknownNode,
)
from src_app.proxmox.guests import GuestMethods
from src_app.proxmox.network import NetworkManager
from src_app.proxmox.ownership import Claim, marked, unmarked
from src_app.proxmox.placement import first_template
from src_app.proxmox.removal import CleanupReport
from src_app.proxmox.snapshots import SnapshotMethods
from src_app.proxmox.tasks import Upid

SHUTDOWN_TIMEOUT_S = 60  # how long a guest may take to stop by itself


class ProxmoxService(GuestMethods, SnapshotMethods, ClusterMethods):
    """Containers on one Proxmox; ``connect()`` first.

    One service, one set of claims: it remembers what it made until that is destroyed.
    ``network_manager`` says under which address the apps are shown to others.
    """

    network_manager: NetworkManager = NetworkManager()

    async def create_lxc(
        self,
        node: str,
        vmid: int,
        config: Mapping[str, Any] | None = None,
        root_password: str | None = None,
        **given: Any,
    ) -> dict[str, Any]:
        """Return what was made: ``status``, ``vmid``, ``node``, ``hostname``, ``upid``, ….

        Takes ``hostname``, ``template``, ``storage``, ``cores``, ``memory`` (MiB) and
        ``disk`` (GiB) as keywords or in ``config``, and any parameter of Proxmox's own
        beside them. Template and storage are found on the node where none is given.
        ``task_id`` is the same as ``upid``.

        Raises:
            VmidTaken: another guest has the VMID; it is left as it is.
            TemplateNotFound: the template is not on the node; the error lists those that are.
            UnknownNode: the cluster has no such node; the error lists those it has.
            TaskFailed: Proxmox could not make it.
        """
        password = {"root_password": root_password}
        request = ContainerRequest.of(node, vmid, config=config, given=given | password)
        try:
            return await self._create(request)
        except (RequestFailed, TaskFailed) as exc:
            await self._explain(exc, node=node, template=request.template)
            raise

    async def clone_lxc(
        self,
        node: str,
        vmid: int,
        newid: int,
        name: str | None = None,
        *,
        full: bool = True,
        **options: Any,
    ) -> dict[str, Any]:
        """Return the clone: ``newid``, ``vmid`` (its source), ``node``, ``hostname``, ``upid``, ….

        Proxmox copies a running container only from a snapshot, so a running source gets
        one for as long as the copy takes. ``options`` are Proxmox's own parameters.

        Raises:
            GuestNotFound: there is no such source.
            VmidTaken: another guest has ``newid``; it is left as it is.
            TaskFailed: Proxmox could not copy it, or its storage cannot make snapshots.
        """
        source, target = parse_vmid(vmid), parse_vmid(newid)
        claim = Claim.new(str(options.get("target", node)), target)
        config = await self.get_lxc_config(node, source)
        parameters = {"hostname": name, **options, "newid": target, "full": full}
        text = options.get("description", unmarked(str(config.get("description", ""))))
        parameters["description"] = marked(str(text), claim.nonce)
        running = full and await self._is_running(node, source)
        snapshot = f"clone{claim.nonce}" if running else None
        doing = f"cloning container {source} to {target}"
        upid = await self._copy(node, source, claim, parameters, snapshot=snapshot, doing=doing)
        hostname = parameters["hostname"] or config.get("hostname")
        result = _result(claim.node, source, upid)
        return result | {"newid": target, "hostname": hostname}

    async def start_lxc(self, node: str, vmid: int) -> dict[str, Any]:
        """Return once the container runs; ``changed`` is false where it ran before.

        Raises:
            GuestNotFound: there is no such container.
            TaskFailed: it did not start.
        """
        return await self._change_state(node, parse_vmid(vmid), "start", wanted="running")

    async def stop_lxc(
        self, node: str, vmid: int, *, force: bool = False, timeout_s: int = SHUTDOWN_TIMEOUT_S
    ) -> dict[str, Any]:
        """Return once the container is stopped; ``changed`` is false where it was before.

        It may shut down by itself within ``timeout_s`` seconds; with ``force`` it is not asked.

        Raises:
            GuestNotFound: there is no such container.
            TaskFailed: it did not stop in time.
        """
        number = parse_vmid(vmid)
        if force:
            return await self._change_state(node, number, "stop", wanted="stopped")
        return await self._change_state(
            node, number, "shutdown", wanted="stopped", timeout=timeout_s
        )

    async def destroy_lxc(self, node: str, vmid: int, *, force: bool = False) -> dict[str, Any]:
        """Return once no guest has the VMID; ``changed`` is false where none had it.

        A running container is stopped first. ``force`` also clears ``protection``.
        Destroying what does not exist is no error, so a ``finally`` behind a failed create
        does not hide why that failed.

        Raises:
            ForeignGuest: a guest has the VMID that this service cannot show it made. It is
                not touched; where our create was refused for it, the error repeats that.
            ProtectedGuest: it is protected and ``force`` is false.
            TaskFailed: stop or destroy failed, or ended with warnings.
        """
        number = parse_vmid(vmid)
        outcome = await asyncio.to_thread(self._remover().destroy, node, number, unprotect=force)
        return {
            "status": "success",
            "vmid": number,
            "node": node,
            "changed": outcome == "destroyed",
        }

    def cleanup_test_containers(self) -> CleanupReport:
        """Return what became of every container this service made and has not destroyed.

        Only those: never a range of VMIDs. Blocks until done; the report can be awaited
        too. Code that must not block calls ``await asyncio.to_thread(…)``.

        Raises:
            CleanupIncomplete: some are left, with an error for each.
        """
        return self._remover().destroy_all()

    async def get_lxc_status(self, node: str, vmid: int) -> dict[str, Any] | None:
        """Return the container's state now, ``None`` where no guest has the VMID.

        ``status`` is ``running`` or ``stopped``; memory and disk are in bytes.
        """
        number = parse_vmid(vmid)
        try:
            return dict(await self._get(f"/nodes/{node}/lxc/{number}/status/current"))
        except RequestFailed:
            # A missing guest is a 500 (or a 403 for a token that has rights on its own
            # guests only); that the VMID is free is what tells it from other failures.
            if await asyncio.to_thread(self._remover().is_free, number):
                return None
            raise

    async def get_lxc_ip(self, node: str, vmid: int) -> str | None:
        """Return the container's first address that others can reach, ``None`` before it has one.

        Only a running container has any; what its config asks for is not looked at.
        """
        listed = await self._get(f"/nodes/{node}/lxc/{parse_vmid(vmid)}/interfaces")
        return first_address(listed or [])

    async def get_lxc_config(self, node: str, vmid: int) -> dict[str, Any]:
        """Return the container's configuration.

        Raises:
            GuestNotFound: there is no such container.
        """
        number = parse_vmid(vmid)
        try:
            return dict(await self._get(f"/nodes/{node}/lxc/{number}/config"))
        except RequestFailed as exc:
            await self._blame_absence(node, number, exc)
            raise

    async def update_lxc_config(
        self, node: str, vmid: int, config: Mapping[str, Any] | None = None, **given: Any
    ) -> dict[str, Any]:
        """Return the configuration as it is after the change.

        A new description keeps the line that shows that the container is ours.

        Raises:
            GuestNotFound: there is no such container.
            InvalidRequest: Proxmox refused a value; the error names each.
        """
        number = parse_vmid(vmid)
        changes = dict(config or {}) | given
        claim = await asyncio.to_thread(self._claims.get, number)
        if claim is not None and "description" in changes:
            changes["description"] = marked(str(changes["description"]), claim.nonce)
        path = f"/nodes/{node}/lxc/{number}/config"
        try:
            await asyncio.to_thread(self._api().put, path, **changes)
        except RequestFailed as exc:
            await self._blame_absence(node, number, exc)
            raise
        return await self.get_lxc_config(node, number)

    async def resize_lxc_disk(
        self, node: str, vmid: int, size: int | str, disk: str = "rootfs"
    ) -> dict[str, Any]:
        """Return the result of a volume grown to ``size``: GiB, or Proxmox's ``+2G``, ``10G``.

        Raises:
            RequestFailed: the volume would shrink, or the container is locked.
        """
        number = parse_vmid(vmid)
        wanted = size if isinstance(size, str) else f"{size}G"
        path = f"/nodes/{node}/lxc/{number}/resize"
        doing = f"resizing {disk} of container {number} to {wanted}"
        upid = await self._run(lambda: self._api().put(path, disk=disk, size=wanted), doing=doing)
        return _result(node, number, upid)

    async def _create(self, request: ContainerRequest) -> dict[str, Any]:
        node = request.node
        template = request.template or first_template(await self.get_templates(node), node=node)
        storage = request.storage or await self.get_best_storage(node)
        claim = Claim.new(node, request.vmid)
        parameters = request.parameters(template=template, storage=storage, nonce=claim.nonce)
        doing = f"creating container {request.vmid} on node {node}"
        upid = await self._make_guest(claim, f"/nodes/{node}/lxc", parameters, doing=doing)
        return made(request, upid=str(upid), template=template, storage=storage)

    async def _make_guest(
        self, claim: Claim, path: str, parameters: Mapping[str, Any], *, doing: str
    ) -> Upid:
        upid = await self._make(claim, path, parameters)
        try:
            await self._finish(upid, doing=doing)
        except TaskFailed:
            await self._forget_failed(claim)
            raise
        return upid

    async def _copy(
        self,
        node: str,
        source: int,
        claim: Claim,
        parameters: Mapping[str, Any],
        *,
        snapshot: str | None,
        doing: str,
    ) -> Upid:
        """Return the id of the task that copied ``source``, through ``snapshot`` if named."""
        path = f"/nodes/{node}/lxc/{source}/clone"
        if snapshot is None:
            return await self._make_guest(claim, path, parameters, doing=doing)
        async with self.temporary_snapshot(node, source, snapshot, description=doing):
            through = {**parameters, "snapname": snapshot}
            return await self._make_guest(claim, path, through, doing=doing)

    async def _change_state(
        self, node: str, vmid: int, verb: str, *, wanted: str, **parameters: Any
    ) -> dict[str, Any]:
        path = f"/nodes/{node}/lxc/{vmid}/status/{verb}"
        doing = f"{verb} of container {vmid}"
        try:
            upid = await self._run(lambda: self._api().post(path, **parameters), doing=doing)
        except (RequestFailed, TaskFailed) as exc:
            status = await self.get_lxc_status(node, vmid)
            if status is None:
                raise GuestNotFound.at(node, vmid) from exc
            if type(exc) is RequestFailed and status["status"] == wanted:
                return _result(node, vmid, None)
            raise
        return _result(node, vmid, upid)

    async def _is_running(self, node: str, vmid: int) -> bool:
        status = await self.get_lxc_status(node, vmid)
        return status is not None and status["status"] == "running"

    async def _explain(self, exc: ProxmoxError, *, node: str, template: str | None) -> None:
        """Raise what a failed create really means, where looking around tells.

        Proxmox says late, and in words, that a node or a template is not there. Looked up
        after the failure, so that a create that works asks nothing more.
        """
        if isinstance(exc, InvalidRequest | PermissionDenied):
            return
        try:
            nodes = [str(entry["node"]) for entry in await self.get_nodes()]
            present = await self.get_templates(node) if node in nodes else []
        except ProxmoxError as second:
            exc.add_note(f"Looking for the reason failed as well: {second}")
            return
        if node not in nodes:
            raise UnknownNode(node, present=nodes) from exc
        if template is not None and ":vztmpl/" in template and template not in present:
            raise TemplateNotFound(template, node=node, present=present) from exc

    async def _blame_absence(self, node: str, vmid: int, exc: RequestFailed) -> None:
        """Raise GuestNotFound where a request failed because no guest has the VMID."""
        if await asyncio.to_thread(self._remover().is_free, vmid):
            raise GuestNotFound.at(node, vmid) from exc


def _result(node: str, vmid: int, upid: Upid | None) -> dict[str, Any]:
    """Return a step's result; no ``upid`` means that nothing had to be done."""
    task = None if upid is None else str(upid)
    return {
        "status": "success",
        "vmid": vmid,
        "node": node,
        "changed": upid is not None,
        "task_id": task,
        "upid": task,
    }
