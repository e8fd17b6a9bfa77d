"""Embedded Proxmoxes for clients that others wrote, and both ways to reach them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from proxmoxer import ProxmoxAPI

from integration.clients import environments
from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.wire import Request
from pytest_proxmox.simulator.world import World
from pytest_proxmox.target.inprocess import InProcess

WAYS = ("https", "in-process")


@dataclass(frozen=True)
class Reached:
    """An embedded Proxmox and the address under which a client gets to it."""

    sim: Simulator
    host: str
    port: int
    verify: str | bool

    def login(self, **how: Any) -> Any:
        """Return a proxmoxer client: root's, with a ticket, unless told otherwise."""
        how = how or {"user": "root@pam", "password": "secret"}
        return ProxmoxAPI(self.host, port=self.port, verify_ssl=self.verify, timeout=60, **how)


def _handler(sim: Simulator) -> Any:
    def handle(method: str, target: str, headers: Any, body: bytes) -> Any:
        answer = sim.handle(Request(method, target, headers, body))
        return answer.status, answer.reason, answer.headers, answer.body

    return handle


@pytest.fixture
def sim() -> Simulator:
    """An embedded Proxmox with one node, ``pve``."""
    return Simulator(World.preset("single"))


@pytest.fixture(params=WAYS)
def reached(request: pytest.FixtureRequest, sim: Simulator) -> Iterator[Reached]:
    """The embedded Proxmox over HTTPS, its certificate verified, and without sockets."""
    with ExitStack() as stack:
        if request.param == "https":
            server = stack.enter_context(Server(sim))
            yield Reached(sim, "127.0.0.1", server.port, str(server.ca_file))
        else:
            wire = stack.enter_context(InProcess(_handler(sim)))
            yield Reached(sim, wire.host, wire.port, verify=True)
    assert not sim.crashes


def _python_with(name: str, *requirements: str) -> Path:
    try:
        return environments.python_with(name, *requirements)
    except environments.Unavailable as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="session")
def exporter_python() -> Path:
    """The Python of an environment with prometheus-pve-exporter."""
    return _python_with("exporter", "prometheus-pve-exporter>=3.5")


@pytest.fixture(scope="session")
def ansible_python() -> Path:
    """The Python of an environment with Ansible, community.proxmox and what that needs."""
    return _python_with("ansible", *environments.ANSIBLE)
