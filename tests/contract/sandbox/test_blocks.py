"""Blocks on the cluster: runs on several machines share a range, and fence each other off."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.errors import ApiFailure, LeaseLost, PoolRefused, RangeExhausted
from pytest_proxmox.sandbox.blocks import LEASE_S, REQUEST_S, SKEW_S, Blocks
from pytest_proxmox.sandbox.heartbeat import Heartbeat
from pytest_proxmox.sandbox.holdings import Block
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.pools import Tenant, successor
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.sandbox.sweep import collect
from pytest_proxmox.values import LeaseId, VmidRange
from tests.contract.sandbox.conftest import LeapingClock, Site


@pytest.fixture(params=["root with pools", "weak token"])
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """In-process, with everybody who can make pools."""
    return "in-process", str(request.param)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Ledger]:
    """The ledger of another machine."""
    with Ledger(tmp_path / "elsewhere", durable=False) as ledger:
        yield ledger


def lapse(site: Site, seconds: float = LEASE_S + SKEW_S + 1) -> None:
    """Let time pass in which nobody renews anything."""
    assert isinstance(site.clock, ManualClock | LeapingClock)
    site.clock.advance(seconds)


def pools(site: Site) -> list[str]:
    """The pools below the parent."""
    rows = site.stranger.get("pools")
    return sorted(row["poolid"] for row in rows if row["poolid"] != "pytest")


def only_block(sandbox: Sandbox) -> Any:
    """The one block that a run holds."""
    assert isinstance(sandbox.ground, Blocks)
    (block,) = sandbox.ground.held()
    return block


def test_guests_go_into_the_leases_pool(site: Site) -> None:
    sandbox = site.sandbox()
    guest = sandbox.lxc()
    pool = only_block(sandbox).lease_pool

    members = site.stranger.get("pools", poolid=pool)[0]["members"]

    assert [row["vmid"] for row in members] == [guest.vmid]
    assert pools(site) == ["pytest/b9000-9009", pool]
    comment = site.stranger.get("pools", poolid=pool)[0]["comment"]
    tenant = Tenant.parse(comment)
    assert tenant is not None
    assert tenant.run == "run-1"
    assert tenant.expires == pytest.approx(site.clock.now() + LEASE_S, abs=60)
    site.empty(sandbox)
    assert pools(site) == []


def test_two_machines_get_different_blocks(site: Site, elsewhere: Ledger) -> None:
    here, there = site.sandbox("here"), site.sandbox("there", ledger=elsewhere)

    mine = [here.vmid() for _ in range(3)]
    theirs = [there.vmid() for _ in range(3)]

    assert mine == [9000, 9001, 9002]
    assert theirs == [9010, 9011, 9012]
    site.empty(here)
    assert pools(site) == ["pytest/b9010-9019", only_block(there).lease_pool]
    site.empty(there)


def test_workers_of_a_run_share_its_blocks_and_the_last_gives_them_back(site: Site) -> None:
    one, two = site.sandbox(worker="gw0"), site.sandbox(worker="gw1")

    assert [one.vmid(), two.vmid(), one.vmid()] == [9000, 9001, 9002]
    site.empty(one)
    assert "pytest/b9000-9009" in pools(site)
    site.empty(two)
    assert pools(site) == []


def test_a_block_that_was_half_given_back_is_used_no_more_and_goes_in_the_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between the two DELETEs of the last worker; then another worker comes."""
    first = site.sandbox(worker="gw0")
    assert first.vmid() == 9000
    assert isinstance(first.ground, Blocks)
    drop = first.ground._drop_pool

    def interrupted(poolid: str) -> Any:
        drop(poolid)
        raise KeyboardInterrupt

    monkeypatch.setattr(first.ground, "_drop_pool", interrupted)
    assert first.close() == []
    with pytest.raises(KeyboardInterrupt):
        first.sweep_run()
    assert pools(site) == ["pytest/b9000-9009"]

    second = site.sandbox(worker="gw1")
    assert second.lxc().vmid == 9010
    site.empty(second)
    assert pools(site) == []


def test_a_run_takes_further_blocks_and_says_who_has_the_rest(
    site: Site, elsewhere: Ledger
) -> None:
    here, there = site.sandbox("here"), site.sandbox("there", ledger=elsewhere)
    there.vmid()

    assert [here.vmid() for _ in range(10)] == list(range(9010, 9020))
    with pytest.raises(RangeExhausted, match="b9000-9009: run there on"):
        here.vmid()
    site.empty(here)
    site.empty(there)


def test_a_row_may_reach_over_two_blocks(site: Site) -> None:
    sandbox = site.sandbox()

    assert len(sandbox.block(15)) == 15
    site.empty(sandbox)


def test_an_expired_block_is_swept_and_taken_over(site: Site, elsewhere: Ledger) -> None:
    stopped = site.sandbox("stopped", ledger=elsewhere)
    stopped.lxc(start=1)
    stopped.vmid()
    site.plant(9005)
    old = only_block(stopped)
    lapse(site)

    heir = site.sandbox("heir")
    guest = heir.lxc()

    assert guest.vmid == 9001  # 9000 was used a moment ago
    block = only_block(heir)
    assert block.nonce == successor(old.nonce)
    assert old.lease_pool not in pools(site)
    assert "hands off" in site.stranger.get("nodes/pve/lxc/9005/config")["description"]
    site.empty(heir)


def test_a_run_that_stood_still_can_harm_nothing(site: Site, elsewhere: Ledger) -> None:
    stopped = site.sandbox("stopped", ledger=elsewhere)
    stopped.lxc()
    lapse(site)
    heir = site.sandbox("heir")
    guest = heir.lxc()
    before = site.picture()

    with pytest.raises(LeaseLost, match="another one took the block over"):
        stopped.lxc()
    with pytest.raises(LeaseLost):
        stopped.vmid()
    stopped.close()
    (lost,) = stopped.sweep_run()

    assert "the lease on pytest/b9000-9009 is lost" in lost.reason
    assert site.picture() == before
    assert guest.status() == "stopped"
    site.empty(heir)


def test_a_create_with_a_lost_pool_is_a_lost_lease(site: Site, elsewhere: Ledger) -> None:
    """The beat is not due yet, so the 403 of the create is what tells."""
    stopped = site.sandbox("stopped", ledger=elsewhere)
    stopped.vmid()
    block = only_block(stopped)
    site.stranger.delete("pools", poolid=block.lease_pool)

    with pytest.raises(LeaseLost):
        stopped.lxc()

    assert len(stopped.sweep_run()) == 1
    site.stranger.delete("pools", poolid=block.pool)


def test_a_block_is_kept_by_renewing(site: Site, elsewhere: Ledger) -> None:
    here, there = site.sandbox("here"), site.sandbox("there", ledger=elsewhere)
    here.vmid()
    for _ in range(5):
        lapse(site, LEASE_S * 0.6)
        here.ground.renew()

    assert there.vmid() == 9010
    site.empty(here)
    site.empty(there)


def test_a_heartbeat_renews_by_itself(site: Site) -> None:
    sandbox = site.sandbox()
    sandbox.vmid()
    lapse(site, LEASE_S * 0.6)
    before = only_block(sandbox).expires
    renewed = threading.Event()
    put = sandbox.calls.put

    def watched(path: str, /, **data: Any) -> Any:
        answer = put(path, **data)
        renewed.set()
        return answer

    sandbox.calls.put = watched  # type: ignore[method-assign]
    with Heartbeat(sandbox.ground, every_s=0.01):
        assert renewed.wait(10)

    assert only_block(sandbox).expires > before
    site.empty(sandbox)


def test_clocks_that_differ_by_two_minutes_take_nothing_early(
    site: Site, elsewhere: Ledger
) -> None:
    here = site.sandbox("here")
    here.vmid()
    fast = site.sandbox("fast", ledger=elsewhere)
    fast.calls.clock = ManualClock(site.clock.now() + LEASE_S + 120)

    assert fast.vmid() == 9010
    site.empty(here)
    site.empty(fast)


@pytest.mark.parametrize("comment", ["", "my own pool", "pytest-proxmox run=x"], ids=repr)
def test_a_pool_that_a_person_made_is_left_alone(site: Site, comment: str) -> None:
    site.stranger.post("pools", poolid="pytest/b9000-9009", comment=comment)
    lapse(site, 1e7)
    sandbox = site.sandbox()

    assert sandbox.vmid() == 9010
    site.empty(sandbox)
    assert collect(site.api, site.facts, site.ledger, pool="pytest", clock=site.clock).blocks == ()
    assert pools(site) == ["pytest/b9000-9009"]


def test_of_two_that_take_over_one_wins(site: Site, elsewhere: Ledger) -> None:
    """The other has made the successor's pool a moment ago."""
    stopped = site.sandbox("stopped", ledger=elsewhere)
    stopped.vmid()
    old = only_block(stopped)
    lapse(site)
    tenant = Tenant("winner", "host", successor(old.nonce), int(site.clock.now() + LEASE_S))
    sandbox = site.sandbox("late")
    assert isinstance(sandbox.ground, Blocks)
    rows = sandbox.ground._rows()
    winner = f"{old.pool}/{tenant.lease}"
    site.stranger.post("pools", poolid=winner, comment=tenant.render())

    taken, left = sandbox.ground._take_over(old.span, [row for row in rows if row.span == old.span])

    assert (taken, left) == (None, [])
    assert sandbox.vmid() == 9010
    assert old.lease_pool in pools(site)
    site.empty(sandbox)


def test_a_block_without_a_lease_is_taken_over_too(site: Site) -> None:
    """Its holder died between the two pools."""
    tenant = Tenant("dead", "host", LeaseId.new(), int(site.clock.now()))
    site.stranger.post("pools", poolid="pytest/b9000-9009", comment=tenant.render())
    lapse(site)
    sandbox = site.sandbox()

    assert sandbox.vmid() == 9000
    assert only_block(sandbox).nonce == successor(tenant.lease)
    site.empty(sandbox)


def test_a_chain_of_dead_heirs_is_cleared(site: Site, elsewhere: Ledger) -> None:
    stopped = site.sandbox("stopped", ledger=elsewhere)
    stopped.lxc()
    old = only_block(stopped)
    dead = Tenant("dead-heir", "host", successor(old.nonce), int(site.clock.now() + LEASE_S))
    site.stranger.post("pools", poolid=f"{old.pool}/{dead.lease}", comment=dead.render())
    lapse(site)

    sandbox = site.sandbox()
    guest = sandbox.lxc()

    assert guest.vmid == 9001
    assert only_block(sandbox).nonce == successor(successor(old.nonce))
    site.empty(sandbox)
    assert pools(site) == []


def test_a_create_that_still_runs_is_waited_for_before_its_pool_goes(
    site: Site, elsewhere: Ledger
) -> None:
    """Else the guest would end up outside every pool, where a weak token cannot reach it."""
    stopped = site.sandbox("stopped", ledger=elsewhere)
    vmid = stopped.vmid()
    old = only_block(stopped)
    site.embedded.faults.add(effect="slow-task", task="vzcreate", seconds=3600)
    stopped.calls.post("nodes/pve/lxc", **site.order(stopped, vmid))
    lapse(site)
    sandbox = site.sandbox("heir")
    sandbox.vmid()

    made = site.made
    waited = next(i for i, call in enumerate(made) if "vzcreate" in call and "/status" in call)
    dropped = next(i for i, call in enumerate(made) if call.startswith("DELETE pools"))
    assert waited < dropped
    assert old.lease_pool not in pools(site)
    assert site.picture()["guests"] == {}
    site.empty(sandbox)


def test_a_dirty_vmid_keeps_its_block_from_the_next_run(site: Site, elsewhere: Ledger) -> None:
    sandbox = site.sandbox()
    guest = sandbox.lxc()
    site.lock(guest)
    assert len(sandbox.close()) == 1
    assert len(sandbox.sweep_run()) == 1
    lapse(site)

    other = site.sandbox("other", ledger=elsewhere)

    assert other.vmid() == 9010
    assert guest.path() in site.picture()["guests"]


def test_what_expired_on_any_machine_is_collected(site: Site, elsewhere: Ledger) -> None:
    before = site.picture()
    stopped = site.sandbox("stopped", ledger=elsewhere)
    stopped.lxc(start=1).backup()
    stopped.lxc().clone().backup()
    fresh = collect(site.api, site.facts, site.ledger, pool="pytest", clock=site.clock)
    assert (fresh.blocks, fresh.leftovers) == ((), ())
    lapse(site)

    swept = collect(site.api, site.facts, site.ledger, pool="pytest", clock=site.clock)

    assert (swept.blocks, swept.leftovers) == (("pytest/b9000-9009",), ())
    assert site.picture() == before


def test_what_another_machine_took_over_is_nobodys_leftover(site: Site, elsewhere: Ledger) -> None:
    """Of a backup that is gone with its guest, a weak token cannot even ask."""
    before = site.picture()
    stopped = site.sandbox("stopped", ledger=elsewhere)
    stopped.lxc().backup()
    lapse(site)
    collect(site.api, site.facts, site.ledger, pool="pytest", clock=site.clock)
    gone = replace(stopped.run, born="gone")
    elsewhere.register(gone, target=site.facts.url, kind="real", user=site.facts.user)

    swept = collect(site.api, site.facts, elsewhere, pool="pytest", clock=site.clock)

    assert swept.leftovers == ()
    assert elsewhere.leases(site.facts.url) == []
    assert site.picture() == before


def test_a_block_whose_taker_died_is_waited_for_no_longer_than_a_request_lasts(
    site: Site,
) -> None:
    ahead = site.clock.now() + 10 * LEASE_S  # the clock was set back since
    span = VmidRange.parse("9000-9009")
    block = Block(site.facts.url, span, "pytest", LeaseId.new(), "dead", ahead)
    site.ledger.holdings.put(block)
    finder = site.sandbox("finder")
    assert isinstance(finder.ground, Blocks)
    before = site.clock.now()

    assert finder.ground.collect_run("dead") == []

    assert REQUEST_S <= site.clock.now() - before < 2 * REQUEST_S
    assert site.ledger.holdings.blocks(site.facts.url, "dead") == []


@pytest.mark.parametrize("asked", ["lxc", "vmid"])
def test_a_guest_of_who_took_the_block_over_is_nobodys_leftover(
    site: Site, elsewhere: Ledger, asked: str
) -> None:
    stopped = site.sandbox("stopped", ledger=elsewhere)
    held = stopped.lxc().vmid if asked == "lxc" else stopped.vmid()
    lapse(site)
    theirs = site.sandbox("fast").lxc(vmid=held)
    gone = replace(stopped.run, born="gone")
    elsewhere.register(gone, target=site.facts.url, kind="real", user=site.facts.user)
    before = site.picture()

    swept = collect(site.api, site.facts, elsewhere, pool="pytest", clock=site.clock)

    assert theirs.vmid == held
    assert swept.leftovers == ()
    assert elsewhere.leases(site.facts.url) == []
    assert site.picture() == before


def test_no_right_to_make_pools_names_the_setup(site: Site, way: tuple[str, str]) -> None:
    if way[1] != "weak token":
        pytest.skip("root may make any pool")
    site.pool = "elsewhere"

    with pytest.raises(PoolRefused, match="pytest-proxmox setup"):
        site.sandbox().vmid()


def test_a_foreign_guest_answers_403_to_the_weak_token_itself(
    site: Site, way: tuple[str, str]
) -> None:
    if way[1] != "weak token":
        pytest.skip("root may delete any guest")
    site.plant(9001)
    sandbox = site.sandbox()

    with pytest.raises(ApiFailure, match="403"):
        sandbox.calls.delete("nodes/pve/lxc/9001", force=1)
