"""A Proxmox to talk to: the embedded one, in-process, new for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pytest_proxmox.fixtures.embedded import _Handler
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World
from pytest_proxmox.target.inprocess import InProcess
from src_app.proxmox import ProxmoxService

Connect = Callable[[], ProxmoxService]


@pytest.fixture
def pve() -> Simulator:
    """The simulator, with one node, no guest and no fault."""
    return Simulator(World.preset("single"))


@pytest.fixture
def connect(pve: Simulator) -> Iterator[Connect]:
    """Gives a service that is logged in; each has its own claims."""
    login = pve.credentials
    with InProcess(_Handler(pve)) as transport:

        def connected() -> ProxmoxService:
            service = ProxmoxService(environ={})
            service.connect(transport.host, login.user, login.password, port=transport.port)
            return service

        yield connected


@pytest.fixture
def service(connect: Connect) -> ProxmoxService:
    """A service that is logged in."""
    return connect()
