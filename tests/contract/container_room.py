"""What the contract tests of containers have in common: a node, and what is done to containers."""

from __future__ import annotations

from typing import Any

from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World

from .client import Client

MIB = 1024**2
GIB = 1024**3
TEMPLATE = "local:vztmpl/alpine-3.18-default_20230607_amd64.tar.xz"
URL = "https://files.example/debian.iso"
IMAGE = "docker.io/library/nginx:1.27"
SHA = "0" * 64


def world() -> World:
    """A node with storages of every ability, and what can be fetched from outside."""
    return World.parse(
        {
            "nodes": {"pve": {}},
            "storages": {
                "local": {
                    "type": "dir",
                    "path": "/var/lib/vz",
                    "content": ["images", "rootdir", "iso", "backup", "import", "vztmpl"],
                },
                "thin": {"type": "lvmthin", "vgname": "pve", "content": ["images", "rootdir"]},
                "tank": {"type": "zfspool", "pool": "tank", "content": ["images", "rootdir"]},
                "bak": {"type": "dir", "path": "/srv/bak", "content": ["backup"]},
            },
            "volumes": [{"volid": TEMPLATE, "size": 3 * MIB, "ostype": "alpine"}],
            "downloads": {URL: {"size": 700 * MIB, "sha256": SHA}, IMAGE: {"size": 60 * MIB}},
        },
        origin="contract tests of containers",
    )


def login() -> Client:
    """Return a client of root's on such a node."""
    return Client.login(Simulator(world()))


def lxc(node: str, vmid: int) -> str:
    """Return a container's path."""
    return f"/nodes/{node}/lxc/{vmid}"


def create(pve: Client, vmid: int = 100, *, node: str = "pve", **params: Any) -> None:
    """Make a container."""
    given = {"rootfs": "thin:1", "hostname": f"ct{vmid}"} | params
    said = pve.post(f"/nodes/{node}/lxc", vmid=vmid, ostemplate=TEMPLATE, **given)
    assert pve.finish(said) == "OK"


def config(pve: Client, vmid: int = 100, *, node: str = "pve", **params: Any) -> dict[str, Any]:
    """Return a container's configuration."""
    found: dict[str, Any] = pve.get(f"{lxc(node, vmid)}/config", **params).data
    return found


def status(pve: Client, vmid: int = 100, *, node: str = "pve") -> str:
    """Return whether a container runs."""
    return str(pve.get(f"{lxc(node, vmid)}/status/current").data["status"])


def power(pve: Client, action: str, vmid: int = 100, *, node: str = "pve", **params: Any) -> str:
    """Start, stop, … a container and return how that ended."""
    return pve.finish(pve.post(f"{lxc(node, vmid)}/status/{action}", **params))


def content(pve: Client, storage: str, *, node: str = "pve", **params: Any) -> dict[str, Any]:
    """Return what lies on a storage, by volume id."""
    listed = pve.get(f"/nodes/{node}/storage/{storage}/content", **params).data
    return {row["volid"]: row for row in listed}


def backup(pve: Client, vmid: int = 100, *, node: str = "pve", **params: Any) -> str:
    """Back a container up and return how that ended."""
    given = {"storage": "bak"} | params
    return pve.finish(pve.post(f"/nodes/{node}/vzdump", vmid=vmid, **given))
