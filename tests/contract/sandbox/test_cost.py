"""What safety costs, in API calls: at most ten more than the bare steps, plus the storages."""

from __future__ import annotations

import pytest

from tests.contract.sandbox.conftest import Site

BARE = 4  # create, start, stop, destroy


@pytest.fixture(params=["root", "root with pools", "weak token"])
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """In-process, with all rights and with the least."""
    return "in-process", str(request.param)


def test_a_guests_life_costs_at_most_ten_calls_more(site: Site) -> None:
    sandbox = site.sandbox()
    sandbox.vmid()  # the run has looked round and has its block
    storages = len(site.api(f"nodes/{site.facts.node}/storage").get())
    site.made.clear()

    sandbox.lxc(start=1)
    assert sandbox.destroyer().destroy_all(site.ledger.leases(site.facts.url)[-1:]) == ()

    waits = [call for call in site.made if "/tasks/UPID" in call]
    assert len(site.made) - len(waits) - BARE <= 10 + storages, site.made
