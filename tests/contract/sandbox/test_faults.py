"""A fault at every call boundary of a whole life: nothing is lost track of.

The script makes a container, starts it, clones and backs it up, and closes. It runs once for
each of its calls and each kind of fault. What the fault keeps the clean-up from removing must
be named, and go as soon as the fault is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pytest_proxmox.errors import ProxmoxTestError
from pytest_proxmox.sandbox.lease import Leftover, State
from pytest_proxmox.sandbox.sandbox import Sandbox
from tests.contract.sandbox.conftest import Site

FAULTS: dict[str, dict[str, Any]] = {
    "dropped before the effect": {"effect": "drop", "phase": "before"},
    "dropped after the effect": {"effect": "drop", "phase": "after"},
    "596 after the effect": {"effect": "error", "error": "timed-out", "phase": "after"},
    "config lock": {"effect": "error", "error": "config-lock"},
    "no quorum": {"effect": "error", "error": "no-quorum"},
    "login expired": {"effect": "expired-ticket"},
    "no permission": {"effect": "error", "error": "forbidden"},
}


# What root's life meets is what the weak token's does, without the pools: two kinds suffice.
LIVES = [("weak token", name) for name in FAULTS]
LIVES += [("root", name) for name in ("dropped after the effect", "no permission")]


@pytest.fixture(params=LIVES, ids=": ".join)
def life_with(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Who lives, and with which fault."""
    who, fault = request.param
    return who, fault


@pytest.fixture
def way(life_with: tuple[str, str]) -> tuple[str, str]:
    """In-process: the faults are the same, and there are thousands of calls."""
    return "in-process", life_with[0]


def life(site: Site, number: int) -> list[Leftover]:
    """Live a guest's life in a run of its own; a test's error ends it early."""
    sandbox: Sandbox | None = None
    try:
        sandbox = site.sandbox(f"run-{number}")
        guest = sandbox.lxc(start=1)
        guest.backup()
        guest.stop().clone()
    except ProxmoxTestError:
        if sandbox is None:
            return []
    return sandbox.close() + sandbox.sweep_run()


def numbers(site: Site) -> Iterator[int]:
    """The number of each call in a life without faults."""
    before = site.embedded.calls.total
    assert life(site, 0) == []
    yield from range(1, site.embedded.calls.total - before + 1)


def test_a_life_survives_at_every_call(life_with: tuple[str, str], site: Site) -> None:
    fault = FAULTS[life_with[1]]
    site.plant(9000)
    site.plant(9002)
    before = site.picture()
    faults = site.embedded.faults

    for number in numbers(site):
        rule = faults.add(nth=number, times=1, **fault)
        named = life(site, number)
        faults.remove(rule)
        held = site.ledger.leases(site.facts.url, run=f"run-{number}")
        assert {lease.state for lease in held} <= {State.DIRTY}, (number, held)
        blocks = site.ledger.holdings.blocks(site.facts.url, f"run-{number}")
        assert bool(held or blocks) == bool(named), (number, held, blocks, named)
        assert site.sandbox(f"run-{number}").sweep_run() == [], number
        assert site.picture() == before, number
