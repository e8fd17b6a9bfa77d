"""What the lab does with containers, on proxmoxer."""

from __future__ import annotations

from typing import Any

from proxmoxer import ProxmoxAPI, ResourceException
from proxmoxer.tools import Tasks

POLL_S = 0.2


class LabError(Exception):
    """Something that Proxmox did not do; the text is for the user."""


class Lab:
    """The containers of one node."""

    def __init__(self, proxmox: ProxmoxAPI, node: str) -> None:
        self._proxmox = proxmox
        self._containers = proxmox.nodes(node).lxc

    def all(self) -> list[dict[str, Any]]:
        """Return the node's containers, the lowest id first."""
        return sorted(self._containers.get(), key=lambda row: int(row["vmid"]))

    def new(self, name: str, vmid: int | None = None, *, template: str, storage: str) -> int:
        """Return the id of a new, running container; after an error nothing of it is left.

        Without ``vmid`` it gets the lowest that is free.
        """
        vmid = vmid or int(self._proxmox.cluster.nextid.get())
        made = {"hostname": name, "ostemplate": template, "storage": storage}
        self._done(self._containers.post, vmid=vmid, **made)
        try:
            self._done(self._containers(vmid).status.start.post)
        except LabError:
            self.remove(vmid)
            raise
        return vmid

    def remove(self, vmid: int) -> None:
        """Destroy a container, whether it runs or not."""
        self._done(self._containers(vmid).delete, force=1, purge=1)

    def _done(self, call: Any, **data: Any) -> None:
        try:
            outcome = Tasks.blocking_status(self._proxmox, call(**data), polling_interval=POLL_S)
        except (ResourceException, OSError) as exc:
            raise LabError(str(exc)) from exc
        if outcome["exitstatus"] != "OK":
            raise LabError(outcome["exitstatus"])
