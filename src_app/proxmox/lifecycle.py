"""One guest's life on Proxmox, VM or container alike: made, started, changed, stopped, destroyed.

Every task is waited for. A guest that is made carries a nonce in its description, in the same
request: it is what shows later that it is the one that was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from src_app.clock import Clock, SystemClock
from src_app.proxmox.errors import InvalidRequest, ProxmoxError, RequestFailed, VmidTaken
from src_app.proxmox.inventory import WIRE, Inventory, Kind, Reader, SeenGuest
from src_app.proxmox.ownership import marked, nonce_in
from src_app.proxmox.placement import best_node, best_storage, first_template
from src_app.proxmox.tasks import TaskWatch, Upid, demand_success

_NUMBERS = re.compile(r"\d+")
STOP_TIMEOUT_S = 60  # how long a guest may take to shut down by itself
SILENCE_S = 60.0  # somebody watches: a change that nothing is heard of is settled later


class Writer(Reader, Protocol):
    """What changing guests needs of a connection."""

    def post(self, path: str, **params: Any) -> Any:
        """Return the answer of ``POST path``."""

    def put(self, path: str, **params: Any) -> Any:
        """Return the answer of ``PUT path``."""

    def delete(self, path: str, **params: Any) -> Any:
        """Return the answer of ``DELETE path``."""


@dataclass(frozen=True, slots=True)
class GuestPlace:
    """Which guest: its kind, its node and its VMID."""

    kind: Kind
    node: str
    vmid: int

    @property
    def path(self) -> str:
        """Its path below ``/api2/json``."""
        return f"/nodes/{self.node}/{WIRE[self.kind]}/{self.vmid}"

    def __str__(self) -> str:
        return f"{self.kind} {self.vmid} on {self.node}"


@dataclass(frozen=True, slots=True)
class GuestSpec:
    """A guest as it is wanted; ``""`` and 0 mean: as Proxmox, or we, think best."""

    name: str
    cores: int = 1
    memory_mib: int = 512
    disk_gib: int = 8
    storage: str = ""
    template: str = ""  # of a container
    bridge: str = "vmbr0"
    description: str = ""
    tags: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def parameters(self, place: GuestPlace, *, nonce: str, storage: str) -> dict[str, Any]:
        """Return the parameters of the POST that makes it."""
        wire: dict[str, Any] = {
            "vmid": place.vmid,
            "cores": self.cores,
            "memory": self.memory_mib,
            "description": marked(self.description, nonce),
            **({"tags": ";".join(self.tags)} if self.tags else {}),
            **self.options,
        }
        disk = f"{storage}:{self.disk_gib}"
        if place.kind == "vm":
            net = f"virtio,bridge={self.bridge}"
            return {"name": self.name, "scsihw": "virtio-scsi-single", "scsi0": disk,
                    "net0": net, "ostype": "l26", **wire}  # fmt: skip
        net = f"name=eth0,bridge={self.bridge},ip=dhcp"
        return {"hostname": self.name, "ostemplate": self.template, "rootfs": disk,
                "net0": net, "unprivileged": 1, **wire}  # fmt: skip


class GuestLife:
    """Changes guests through ``api``, and says how they are."""

    def __init__(self, api: Writer, *, clock: Clock | None = None) -> None:
        self.api = api
        self.inventory = Inventory(api)
        self._watch = TaskWatch(api, clock or SystemClock(), silence_s=SILENCE_S)

    # -- questions ---------------------------------------------------------------------------

    def look(self, place: GuestPlace) -> SeenGuest | None:
        """Return the guest as it is now, None where it is not there."""
        return self.inventory.guest(place.kind, place.node, place.vmid)

    def is_free(self, vmid: int) -> bool:
        """Whether no guest of the cluster has this VMID."""
        try:
            self.api.get("/cluster/nextid", vmid=vmid)
        except InvalidRequest:
            return False
        return True

    def next_vmid(self) -> int:
        """Return a VMID that is free now."""
        return int(self.api.get("/cluster/nextid"))

    def best_node(self) -> str:
        """Return the online node with the most free memory."""
        return best_node(self.api.get("/nodes"))

    def completed(self, spec: GuestSpec, place: GuestPlace) -> GuestSpec:
        """Return the spec with a storage, and a template for a container, that are there.

        Raises:
            StorageNotFound, TemplateNotFound: the node has none.
        """
        content = "images" if place.kind == "vm" else "rootdir"
        listed = self.api.get(f"/nodes/{place.node}/storage")
        storage = spec.storage or best_storage(listed, node=place.node, content=content)
        template = spec.template
        if place.kind == "container" and not template:
            template = first_template(self._templates(place.node, listed), node=place.node)
        return replace(spec, storage=storage, template=template)

    def _templates(self, node: str, storages: list[Mapping[str, Any]]) -> list[str]:
        return [
            str(volume["volid"])
            for storage in storages
            if "vztmpl" in str(storage.get("content", "")) and storage.get("active", 1)
            for volume in self.api.get(
                f"/nodes/{node}/storage/{storage['storage']}/content", content="vztmpl"
            )
        ]

    # -- changes -----------------------------------------------------------------------------

    def create(self, place: GuestPlace, spec: GuestSpec, *, nonce: str) -> SeenGuest:
        """Return the new guest, stopped.

        Raises:
            VmidTaken: another guest has the VMID; it was not touched.
            TaskFailed: Proxmox could not make it, and removed what it had begun.
        """
        parameters = spec.parameters(place, nonce=nonce, storage=spec.storage)
        path = f"/nodes/{place.node}/{WIRE[place.kind]}"
        try:
            upid = self.api.post(path, **parameters)
        except RequestFailed as exc:
            if type(exc) is RequestFailed and "already exists" in exc.reason:
                raise VmidTaken(place.vmid, reason=exc.reason) from exc
            raise
        self._finish(upid, f"creating {place}")
        return self._there(place)

    def start(self, place: GuestPlace) -> SeenGuest:
        """Return the guest once it runs."""
        if self._there(place).status != "running":
            self._finish(self.api.post(f"{place.path}/status/start"), f"starting {place}")
        return self._there(place)

    def stop(self, place: GuestPlace, *, force: bool = False) -> SeenGuest:
        """Return the guest once it is stopped; it may shut down unless ``force`` is set."""
        if self._there(place).status != "stopped":
            path = f"{place.path}/status/{'stop' if force else 'shutdown'}"
            given = {} if force else {"timeout": STOP_TIMEOUT_S, "forceStop": True}
            self._finish(self.api.post(path, **given), f"stopping {place}")
        return self._there(place)

    def configure(self, place: GuestPlace, changes: Mapping[str, Any]) -> SeenGuest:
        """Return the guest once its config has ``changes``; a value of None removes a key."""
        kept = {key: value for key, value in changes.items() if value is not None}
        gone = ",".join(sorted(set(changes) - set(kept)))
        self.api.put(f"{place.path}/config", **kept, **({"delete": gone} if gone else {}))
        return self._there(place)

    def destroy(self, place: GuestPlace) -> None:
        """Return once the guest is gone, stopped before where it ran.

        Raises:
            TaskFailed: stop or destroy failed, or ended with warnings.
        """
        guest = self.look(place)
        if guest is None:
            return
        if guest.status != "stopped":
            self.stop(place, force=True)
        given = {"purge": 1, "destroy-unreferenced-disks": 1}
        self._finish(self.api.delete(place.path, **given), f"destroying {place}")

    # -- what an earlier process began ---------------------------------------------------------

    def await_idle(self, place: GuestPlace) -> None:
        """Return once no task of this guest runs, whoever began it."""
        for task in self.api.get(f"/nodes/{place.node}/tasks", source="active"):
            if str(place.vmid) in _NUMBERS.findall(str(task.get("id", ""))):
                self._watch.ended_blocking(Upid.parse(task["upid"]))

    def made_with(self, place: GuestPlace, nonce: str) -> SeenGuest | None:
        """Return the guest if it is the one that was made with this nonce."""
        guest = self.look(place)
        if guest is None or nonce_in(str(guest.config.get("description", ""))) != nonce:
            return None
        return guest

    def _there(self, place: GuestPlace) -> SeenGuest:
        guest = self.look(place)
        if guest is None:
            raise ProxmoxError(
                f"there is no {place}", origin="asked for by its VMID", hint="Use /sync and list."
            )
        return guest

    def _finish(self, upid: object, doing: str) -> None:
        demand_success(self._watch.ended_blocking(Upid.parse(upid)), doing=doing)
