"""What the app manager does with containers beyond making and stopping them.

Backups, restores, data volumes that change hands, images, and how a request that an earlier
process sent has ended.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal

from src_app.proxmox.container import parse_vmid
from src_app.proxmox.errors import ForeignGuest, InvalidRequest, ProxmoxError, TaskFailed
from src_app.proxmox.ownership import Claim, Evidence, Verdict, judge
from src_app.proxmox.session import Session
from src_app.proxmox.tasks import Upid

Settled = Literal["absent", "made"]
CLONE_SNAPSHOT = re.compile(r"clonen[0-9a-f]{16}")
BACKUP_TIMEOUT_S = 6 * 3600.0  # large disks on slow storage
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Archive:
    """A backup on a storage, as Proxmox named it."""

    volid: str
    size: int
    ctime: int
    notes: str


class GuestMethods(Session):
    """The part of the service that the app manager's operations need."""

    async def settle(self, vmid: int) -> Settled:
        """Return what became of a guest that this service asked for, perhaps in another life.

        Waits for the task that makes it. A guest whose making failed counts as absent, and
        what is left of it is destroyed.

        Raises:
            ForeignGuest: somebody else's guest has the VMID.
        """
        return await asyncio.to_thread(self._settle, parse_vmid(vmid))

    def _settle(self, vmid: int) -> Settled:
        claim, remover = self._claims.get(vmid), self._remover()
        if claim is None:
            return "absent"
        making = self._await_making(claim)
        if remover.is_free(vmid):
            self._claims.drop(claim)
            return "absent"
        config = self._api().get(f"/nodes/{claim.node}/lxc/{vmid}/config")
        verdict = judge(claim, Evidence.read(config, making=making, tasks=[]))
        if verdict is not Verdict.OURS:
            raise ForeignGuest(vmid, because=verdict.value, may_be_ours=True)
        if config.get("lock") == "create":
            remover.destroy(claim.node, vmid)
            return "absent"
        return "made"

    def _await_making(self, claim: Claim) -> str:
        """Return how the task that makes a guest ended, ``""`` where Proxmox knows none."""
        watch = self._watch()
        if claim.upid is None:
            self._await_tasks(claim.node, claim.vmid)
            return ""
        try:
            return watch.ended_blocking(claim.upid).exitstatus
        except InvalidRequest:
            return ""  # a task's log is kept for a while only

    async def await_idle(self, node: str, vmid: int) -> None:
        """Return once no task on this guest runs: neither ours nor an earlier process's."""
        await asyncio.to_thread(self._await_tasks, node, parse_vmid(vmid))

    def _await_tasks(self, node: str, vmid: int) -> None:
        for task in self._api().get(f"/nodes/{node}/tasks", source="active"):
            # A move between two guests is filed under both: 600-mp0>601-mp0.
            if str(vmid) in _NUMBERS.findall(str(task.get("id", ""))):
                self._watch().ended_blocking(Upid.parse(task["upid"]))

    async def drop_clone_snapshots(self, node: str, vmid: int) -> int:
        """Return how many snapshots that a clone left behind were deleted."""
        path = f"/nodes/{node}/lxc/{parse_vmid(vmid)}/snapshot"
        names = [str(entry["name"]) for entry in await self._get(path)]
        left = [name for name in names if CLONE_SNAPSHOT.fullmatch(name)]
        for name in left:
            await self._run(
                lambda name=name: self._api().delete(f"{path}/{name}"),  # type: ignore[misc]
                doing=f"deleting snapshot {name} of container {vmid}",
            )
        return len(left)

    async def restore_lxc(
        self, node: str, vmid: int, volid: str, *, nonce: str, storage: str, **options: Any
    ) -> dict[str, Any]:
        """Return the container made from a backup: ``vmid``, ``node``, ``upid``.

        ``nonce`` is the one in the backup: it is what shows that the container is ours.

        Raises:
            VmidTaken: another guest has the VMID.
            TaskFailed: Proxmox could not restore it.
        """
        number = parse_vmid(vmid)
        claim = Claim(node, number, nonce)
        parameters = {
            **options,
            "vmid": number,
            "ostemplate": volid,
            "restore": 1,
            "storage": storage,
        }
        doing = f"restoring container {number} from {volid}"
        upid = await self._make(claim, f"/nodes/{node}/lxc", parameters)
        try:
            await self._finish(upid, doing=doing, allow_warnings=True)
        except TaskFailed:
            await self._forget_failed(claim)
            raise
        return {"status": "success", "vmid": number, "node": node, "upid": str(upid)}

    async def backup_lxc(
        self, node: str, vmid: int, *, storage: str, notes: str, **options: Any
    ) -> dict[str, Any]:
        """Return the backup made: ``volid`` as Proxmox named it, ``size``, ``upid``.

        ``notes`` must be unlike those of other backups: they tell which one it is.

        Raises:
            TaskFailed: it could not be made.
        """
        parameters = {**options, "vmid": parse_vmid(vmid), "storage": storage}
        parameters["notes-template"] = notes
        path = f"/nodes/{node}/vzdump"
        upid = Upid.parse(await asyncio.to_thread(self._api().post, path, **parameters))
        await self._finish(
            upid,
            doing=f"backup of container {vmid}",
            timeout_s=BACKUP_TIMEOUT_S,
            allow_warnings=True,
        )
        found = await self.find_backup(node, storage, vmid, notes=notes)
        if found is None:
            raise ProxmoxError(
                f"the backup of container {vmid} ended well, and no archive of it is there",
                origin=f"task {upid}",
                hint=f"Look at the backups on storage {storage}.",
            )
        return {"volid": found.volid, "size": found.size, "upid": str(upid)}

    async def find_backup(
        self, node: str, storage: str, vmid: int, *, notes: str
    ) -> Archive | None:
        """Return the backup with these notes, or None."""
        listed = await self.list_backups(node, storage, vmid=vmid)
        return next((archive for archive in listed if archive.notes.strip() == notes), None)

    async def list_backups(
        self, node: str, storage: str, *, vmid: int | None = None
    ) -> list[Archive]:
        """Return the backups on a storage, oldest first."""
        path = f"/nodes/{node}/storage/{storage}/content"
        listed = await self._get(path, content="backup", vmid=vmid)
        found = [
            Archive(
                str(entry["volid"]),
                int(entry.get("size", 0)),
                int(entry.get("ctime", 0)),
                str(entry.get("notes", "")),
            )
            for entry in listed
        ]
        return sorted(found, key=lambda archive: (archive.ctime, archive.volid))

    async def delete_volume(self, node: str, volid: str) -> None:
        """Return once a volume is gone; one that is not there is no error.

        Raises:
            RequestFailed: it is protected, or the storage refuses.
        """
        storage = volid.partition(":")[0]
        listed = await self._get(f"/nodes/{node}/storage/{storage}/content")
        if all(entry["volid"] != volid for entry in listed):
            return
        path = f"/nodes/{node}/storage/{storage}/content/{volid}"
        answer = await asyncio.to_thread(self._api().delete, path)
        if answer:
            await self._finish(Upid.parse(answer), doing=f"deleting {volid}")

    async def describe_backup(
        self, node: str, volid: str, *, notes: str | None = None, protected: bool | None = None
    ) -> None:
        """Change the notes or the protection of a backup.

        Raises:
            RequestFailed: the storage cannot, or the backup is not there.
        """
        storage = volid.partition(":")[0]
        path = f"/nodes/{node}/storage/{storage}/content/{volid}"
        given: Mapping[str, Any] = {"notes": notes, "protected": protected}
        changes = {key: value for key, value in given.items() if value is not None}
        await asyncio.to_thread(self._api().put, path, **changes)

    async def move_volume(
        self, node: str, vmid: int, *, target_vmid: int, volume: str = "mp0"
    ) -> dict[str, Any]:
        """Return the result of a data volume given to another container; both are stopped.

        Raises:
            RequestFailed: one of them runs, or the place is taken.
        """
        path = f"/nodes/{node}/lxc/{parse_vmid(vmid)}/move_volume"
        wanted = {"volume": volume, "target-vmid": target_vmid, "target-volume": volume}
        doing = f"moving {volume} of container {vmid} to {target_vmid}"
        upid = await self._run(lambda: self._api().post(path, **wanted), doing=doing)
        return {"status": "success", "upid": str(upid)}

    async def pull_image(self, node: str, storage: str, reference: str, filename: str) -> str:
        """Return the volume id of an OCI image on a storage, fetched where it is not there.

        Raises:
            TaskFailed: it could not be fetched.
        """
        volid = f"{storage}:vztmpl/{filename}"
        if await self._has_volume(node, storage, volid):
            return volid
        path = f"/nodes/{node}/storage/{storage}/oci-registry-pull"
        wanted = {"reference": reference, "filename": filename.removesuffix(".tar")}
        try:
            await self._run(
                lambda: self._api().post(path, **wanted), doing=f"fetching the image {reference}"
            )
        except TaskFailed:
            if not await self._has_volume(node, storage, volid):
                raise
            # Somebody else fetched it meanwhile: Proxmox does not override an image.
        return volid

    async def _has_volume(self, node: str, storage: str, volid: str) -> bool:
        listed = await self._get(f"/nodes/{node}/storage/{storage}/content", content="vztmpl")
        return any(entry["volid"] == volid for entry in listed)

    async def get_address(self, node: str, vmid: int) -> str | None:
        """Return the first address of a running container that is not its loopback's, or None."""
        listed = await self._get(f"/nodes/{node}/lxc/{parse_vmid(vmid)}/interfaces")
        told = [
            str(address.get("ip-address", ""))
            for interface in listed or []
            if interface.get("name") != "lo"
            for address in interface.get("ip-addresses") or []
        ]
        usable = [a for a in map(ip_address, filter(None, told)) if not a.is_link_local]
        return str(min(usable, key=lambda a: a.version)) if usable else None

    async def get_resources(self) -> list[dict[str, Any]]:
        """Return every guest, node and storage of the cluster in one answer."""
        return [dict(entry) for entry in await self._get("/cluster/resources")]

    async def get_rrddata(
        self, node: str, timeframe: str, vmid: int | None = None
    ) -> list[dict[str, Any]]:
        """Return the history of a node's or a container's load, oldest first."""
        guest = "" if vmid is None else f"/lxc/{parse_vmid(vmid)}"
        return list(await self._get(f"/nodes/{node}{guest}/rrddata", timeframe=timeframe))

    async def get_guest_tasks(self, node: str, vmid: int, limit: int = 20) -> list[dict[str, Any]]:
        """Return the last tasks of a guest, newest first."""
        listed = await self._get(f"/nodes/{node}/tasks", vmid=parse_vmid(vmid), limit=limit)
        return [dict(entry) for entry in listed]

    async def get_task_log(self, node: str, upid: str, limit: int = 200) -> list[str]:
        """Return the lines of a task's log."""
        lines = await self._get(f"/nodes/{node}/tasks/{upid}/log", limit=limit)
        return [str(line.get("t", "")) for line in lines]

    async def is_vmid_free(self, vmid: int) -> bool:
        """Tell whether no guest of the cluster has this VMID, those hidden from us too."""
        return await asyncio.to_thread(self._remover().is_free, parse_vmid(vmid))

    async def nonce_of(self, vmid: int) -> str | None:
        """Return the nonce that a guest of ours carries, None for one that is not ours."""
        claim = await asyncio.to_thread(self._claims.get, vmid)
        return None if claim is None else claim.nonce
