"""What a foreign client's guest held before its backup, it holds after its restore."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from proxmoxer import ProxmoxAPI
from proxmoxer.tools import Tasks

from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World

APP = "local:vztmpl/web-1.0.tar.xz"
PORT = 8080


@pytest.fixture
def api() -> Iterator[Any]:
    """proxmoxer, over HTTPS, on a node with a template of a web app."""
    world = {
        **World.preset("single").data,
        "volumes": [{"volid": APP, "size": 1_000_000}],
        "workloads": {APP: {"serves": "web", "version": "1.0", "port": PORT}},
    }
    with Server(Simulator(World.parse(world, origin="test"))) as server:
        yield ProxmoxAPI(
            "127.0.0.1",
            port=server.port,
            user="root@pam",
            password="secret",
            verify_ssl=str(server.ca_file),
        )


def done(api: Any, upid: str) -> None:
    assert Tasks.blocking_status(api, upid, polling_interval=0)["exitstatus"] == "OK"


def page(api: Any, vmid: int, path: str, **put: bytes) -> bytes:
    """Ask a guest itself, at the address that Proxmox shows; nothing else knows it."""
    interfaces = api.nodes("pve").lxc(vmid).interfaces.get()
    address = next(i["inet"].partition("/")[0] for i in interfaces if i["name"] == "eth0")
    method = "PUT" if put else "GET"
    with requests.Session() as session:
        session.trust_env = False  # a proxy in the environment is for elsewhere
        url = f"http://{address}:{PORT}{path}"
        answer = session.request(method, url, timeout=10, **put)  # type: ignore[arg-type]
        answer.raise_for_status()
        return answer.content


def test_bytes_survive_backup_destruction_and_restore(api: Any) -> None:
    before = os.urandom(4096)
    lxc, node = api.nodes("pve").lxc, api.nodes("pve")
    disks = {"rootfs": "local-lvm:1", "mp0": "local-lvm:1,mp=/data,backup=1"}
    net0 = "name=eth0,bridge=vmbr0,ip=dhcp"
    done(api, lxc.post(vmid=100, ostemplate=APP, net0=net0, start=1, **disks))
    done(api, node.tasks.get(typefilter="vzstart", source="all")[0]["upid"])
    page(api, 100, "/data/file.bin", data=before)
    done(api, node.vzdump.post(vmid=100, storage="local"))
    archive = node.storage("local").content.get(content="backup")[0]["volid"]
    done(api, lxc(100).delete(force=1, purge=1))
    assert lxc.get() == []
    done(api, lxc.post(vmid=101, ostemplate=archive, restore=1, storage="local-lvm"))
    done(api, lxc(101).status.start.post())
    assert page(api, 101, "/data/file.bin") == before
