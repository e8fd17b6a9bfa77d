"""One embedded Proxmox for each contract test, and a client that is root on it."""

from __future__ import annotations

import pytest

from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World

from .client import Client


@pytest.fixture
def sim() -> Simulator:
    """An embedded Proxmox with one node, ``pve``."""
    return Simulator(World.preset("single"))


@pytest.fixture
def pve(sim: Simulator) -> Client:
    """A client with a ticket of root's."""
    return Client.login(sim)


@pytest.fixture
def cluster() -> Client:
    """A client with a ticket of root's on three nodes: ``pve1``, ``pve2``, ``pve3``."""
    return Client.login(Simulator(World.preset("cluster")))
