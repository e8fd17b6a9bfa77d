"""A process killed at any call: the next run collects everything it left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_proxmox.clock import SystemClock
from pytest_proxmox.sandbox.sweep import collect
from tests.contract.sandbox.conftest import SPAN, Site

CALLS = 44  # of the life without pools; killed at every fourth of them


@pytest.fixture(params=["root", "weak token"])
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Over sockets: two processes meet on one Proxmox."""
    return "https", str(request.param)


def doomed(site: Site, *, reaper: float | None = None) -> subprocess.Popen[str]:
    """Start a process that lives on the site and announces its calls.

    ``reaper`` is the grace of the reaper that it starts.
    """
    endpoint, facts = site.endpoint, site.facts
    settings = {
        "endpoint": {name: getattr(endpoint, name) for name in type(endpoint).__slots__}
        | {"ca_file": str(endpoint.ca_file)},
        "facts": {name: getattr(facts, name) for name in type(facts).__slots__}
        | {"found": sorted(facts.found)},
        "ledger": str(site.ledger.path.parent),
        "span": str(SPAN),
        "pool": site.pool,
        "reaper": reaper,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.contract.sandbox.doomed", json.dumps(settings)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def kill_at(process: subprocess.Popen[str], call: int) -> bool:
    """Let it make ``call - 1`` calls and kill it at the next; False where it was done before."""
    assert process.stdin is not None
    assert process.stdout is not None
    for _ in range(call):
        if not process.stdout.readline().startswith("calls"):
            process.communicate()
            return False
        process.stdin.write("go on\n")
        process.stdin.flush()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    return True


@pytest.mark.parametrize("call", range(3, CALLS, 4), ids="call {}".format)
def test_what_a_killed_process_left_is_collected(site: Site, call: int) -> None:
    site.plant(9000)
    site.plant(9002)
    before = site.picture()

    assert kill_at(doomed(site), call)
    swept = collect(site.api, site.facts, site.ledger, pool=site.pool, clock=site.clock)

    assert swept.leftovers == ()
    assert site.picture() == before
    assert site.ledger.leases(site.facts.url) == []
    assert site.ledger.holdings.blocks(site.facts.url) == []


def test_the_doomed_life_ends_by_itself_after_the_last_kill(site: Site) -> None:
    """The kills above must reach to the end of the life, and not much beyond."""
    assert not kill_at(doomed(site), CALLS + 8)
    assert site.ledger.leases(site.facts.url) == []


REAPED_S = 30.0  # a grace of 0.2 s, a sweep, a pause, a sweep, on a busy machine


@pytest.mark.parametrize("call", [9, 13, 20, 33], ids="call {}".format)
def test_a_reaper_clears_up_without_any_later_run(site: Site, call: int) -> None:
    site.plant(9000)
    before = site.picture()

    assert kill_at(doomed(site, reaper=0.2), call)

    clock = SystemClock()
    end = clock.monotonic() + REAPED_S
    while clock.monotonic() < end and site.ledger.reaper("doomed", site.facts.url) is not None:
        clock.sleep(0.05)
    assert site.picture() == before
    assert site.ledger.leases(site.facts.url) == []
    assert site.ledger.holdings.blocks(site.facts.url) == []


def test_a_reaper_that_nobody_needs_ends_at_once(site: Site) -> None:
    assert not kill_at(doomed(site, reaper=20.0), CALLS + 9)

    clock = SystemClock()
    end = clock.monotonic() + REAPED_S
    while clock.monotonic() < end and site.ledger.reaper("doomed", site.facts.url) is not None:
        clock.sleep(0.05)
    assert site.ledger.reaper("doomed", site.facts.url) is None
