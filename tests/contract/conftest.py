"""One embedded Proxmox for each contract test, and a client that is root on it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.simulator.coverage import Usage
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


@pytest.fixture(autouse=True, scope="session")
def usage() -> Iterator[None]:
    """Count which methods the simulators of this run answered, where a folder is named for it."""
    folder = os.environ.get("CONTRACT_USAGE")
    if folder is None:
        yield
        return
    counted: Counter[tuple[str, str, bool]] = Counter()
    made: list[Simulator] = []
    build = Simulator.__init__

    def counting(self: Simulator, *args: Any, **kwargs: Any) -> None:
        build(self, *args, **kwargs)
        self._used = counted
        made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Simulator, "__init__", counting)
        yield
    assert made
    Usage.of(counted).save(Path(folder) / f"{os.getpid()}.json")
