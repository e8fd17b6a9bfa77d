"""What the contract tests of VMs have in common: making one, reading it, waiting for its tasks."""

from __future__ import annotations

from typing import Any

from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World

from .client import Client

GIB = 1024**3
QEMU = "/nodes/pve/qemu"
VM = QEMU + "/100"
DISK = "local:100/vm-100-disk-0.qcow2"


def world() -> World:
    """A node with storages of every ability, a CD image, and an image to import."""
    everything = ["images", "rootdir", "iso", "backup", "import", "vztmpl", "snippets"]
    return World.parse(
        {
            "nodes": {"pve": {}},
            "storages": {
                "local": {"type": "dir", "path": "/var/lib/vz", "content": everything},
                "thin": {"type": "lvmthin", "vgname": "pve", "content": ["images", "rootdir"]},
                "bak": {"type": "dir", "path": "/srv/bak", "content": ["backup"]},
            },
            "volumes": [
                {"volid": "local:iso/debian.iso", "size": 700 * 1024**2},
                {
                    "volid": "local:import/debian.qcow2",
                    "size": 300 * 1024**2,
                    "virtual-size": 3 * GIB,
                },
            ],
        },
        origin="contract tests of VMs",
    )


def login() -> Client:
    """Return a client of root's on such a node."""
    return Client.login(Simulator(world()))


def create(pve: Client, vmid: int = 100, **params: Any) -> str:
    """Make a VM and return how that ended."""
    return pve.finish(pve.post(QEMU, vmid=vmid, **params))


def config(pve: Client, vmid: int = 100, **params: Any) -> dict[str, Any]:
    """Return a VM's configuration."""
    found: dict[str, Any] = pve.get(f"{QEMU}/{vmid}/config", **params).data
    return found


def status(pve: Client, vmid: int = 100) -> dict[str, Any]:
    """Return what a VM does."""
    found: dict[str, Any] = pve.get(f"{QEMU}/{vmid}/status/current").data
    return found


def power(pve: Client, action: str, vmid: int = 100, **params: Any) -> str:
    """Start, stop, … a VM and return how that ended."""
    return pve.finish(pve.post(f"{QEMU}/{vmid}/status/{action}", **params))


def volumes(pve: Client, storage: str = "local", **params: Any) -> list[str]:
    """Return the ids of the volumes on a storage."""
    listed = pve.get(f"/nodes/pve/storage/{storage}/content", **params).data
    return sorted(row["volid"] for row in listed)


def pending(pve: Client, vmid: int = 100) -> dict[str, dict[str, Any]]:
    """Return what is pending for a VM, by key."""
    return {row["key"]: row for row in pve.get(f"{QEMU}/{vmid}/pending").data}
