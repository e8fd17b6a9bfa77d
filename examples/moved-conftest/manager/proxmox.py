"""The manager's way to Proxmox."""

from __future__ import annotations

import os
from typing import Any

from proxmoxer import ProxmoxAPI, ResourceException
from proxmoxer.tools import Tasks

POLL_S = 0.2


class ProxmoxError(Exception):
    """Proxmox did not do what it was asked for."""


class ProxmoxService:
    """The containers of one node."""

    def __init__(self, node: str, template: str, storage: str, **login: Any) -> None:
        self._api = ProxmoxAPI(**login)
        self._containers = self._api.nodes(node).lxc
        self._made_of = {"ostemplate": template, "storage": storage}

    def create_lxc(self, hostname: str, vmid: int | None = None) -> int:
        """Return the id of a new, running container."""
        vmid = vmid or int(self._api.cluster.nextid.get())
        self._done(self._containers.post, vmid=vmid, hostname=hostname, **self._made_of)
        self._done(self._containers(vmid).status.start.post)
        return vmid

    def destroy_lxc(self, vmid: int) -> None:
        """Stop and remove a container."""
        self._done(self._containers(vmid).delete, force=1)

    def get_lxc_status(self, vmid: int) -> str:
        """Return ``running`` or ``stopped``."""
        return str(self._containers(vmid).status.current.get()["status"])

    def _done(self, call: Any, **data: Any) -> None:
        try:
            outcome = Tasks.blocking_status(self._api, call(**data), polling_interval=POLL_S)
        except (ResourceException, OSError) as exc:
            raise ProxmoxError(str(exc)) from exc
        if outcome["exitstatus"] != "OK":
            raise ProxmoxError(outcome["exitstatus"])


def get_service() -> ProxmoxService:
    """Return the service that the environment describes."""
    host, _, port = os.environ["PROXMOX_HOST"].partition(":")
    return ProxmoxService(
        os.environ["PROXMOX_NODE"],
        os.environ["PROXMOX_TEMPLATE"],
        os.environ["PROXMOX_STORAGE"],
        host=host,
        port=int(port or os.environ.get("PROXMOX_PORT", "8006")),
        user=os.environ["PROXMOX_USER"],
        password=os.environ["PROXMOX_PASSWORD"],
        verify_ssl=os.environ.get("PROXMOX_VERIFY_SSL", True),
    )
