"""The code under test of the examples: it makes a container and waits for it."""

from __future__ import annotations

from proxmoxer import ProxmoxAPI, ResourceException
from proxmoxer.tools import Tasks


class DeployError(Exception):
    """A deployment that did not work, and left nothing behind."""


def deploy(proxmox: ProxmoxAPI, node: str, vmid: int, template: str, storage: str) -> None:
    """Make a container and start it; after an error nothing of it is left."""
    containers = proxmox.nodes(node).lxc
    try:
        upid = containers.post(vmid=vmid, hostname="web", ostemplate=template, storage=storage)
        outcome = Tasks.blocking_status(proxmox, upid, polling_interval=0.01)
    except (ResourceException, OSError) as exc:
        raise DeployError(f"container {vmid} was not made: {exc}") from exc
    if outcome["exitstatus"] != "OK":
        raise DeployError(f"container {vmid} was not made: {outcome['exitstatus']}")
    Tasks.blocking_status(proxmox, containers(vmid).status.start.post(), polling_interval=0.01)
