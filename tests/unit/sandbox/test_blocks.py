"""Blocks: taken, renewed, lost, taken over and given back, with nobody else's touched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.errors import ApiFailure, LeaseLost, PoolRefused, RangeExhausted
from pytest_proxmox.sandbox.blocks import LEASE_S, REQUEST_S, SKEW_S, TAKING_S, Blocks
from pytest_proxmox.sandbox.holdings import Block, Hold
from pytest_proxmox.sandbox.lease import Leftover, State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.pools import Tenant, successor
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.target.calls import Calls
from pytest_proxmox.values import LeaseId, Vmid, VmidRange
from tests.unit.sandbox.conftest import URL
from tests.unit.sandbox.fake import FakeGuest, FakeProxmox

SPAN = VmidRange.parse("9000-9019")
FIRST, SECOND = VmidRange.parse("9000-9009"), VmidRange.parse("9010-9019")
NONCE = LeaseId("n0123456789ab")
LAPSE_S = LEASE_S + SKEW_S + 1


class FakeSweeper:
    """Notes what it is asked to clear, and leaves what it was told to."""

    def __init__(self) -> None:
        self.cleared: list[tuple[str, str, str]] = []
        self.left: list[Leftover] = []

    def clear(self, poolid: str, span: VmidRange, run: str) -> list[Leftover]:
        """Return what stays."""
        self.cleared.append((poolid, str(span), run))
        return list(self.left)


Make = Callable[..., Blocks]


@pytest.fixture
def sweeper() -> FakeSweeper:
    """What every machine's blocks are swept by."""
    return FakeSweeper()


@pytest.fixture
def elsewhere(tmp_path: Path, clock: ManualClock) -> Iterator[Ledger]:
    """The ledger of another machine."""
    with Ledger(tmp_path / "elsewhere", clock=clock, durable=False) as ledger:
        yield ledger


@pytest.fixture
def make(proxmox: FakeProxmox, ledger: Ledger, clock: ManualClock, sweeper: FakeSweeper) -> Make:
    """Return a function that makes the blocks of a run; its clock is the test's."""

    def make(run: str = "run-1", *, book: Ledger = ledger, span: VmidRange = SPAN) -> Blocks:
        me = replace(Run.here(run), host="my host")
        return Blocks(
            Calls(proxmox, clock), book, me, target=URL, span=span, parent="pytest", sweeper=sweeper
        )

    return make


def taken(blocks: Blocks) -> Block:
    """Let a run take one more block, and return the newest."""
    before = {block.nonce for block in blocks.held()}
    blocks.extend(blocks.spans())
    (block,) = (block for block in blocks.held() if block.nonce not in before)
    return block


def holds(ledger: Ledger, run: str | None = None) -> dict[str, str]:
    """The blocks in a ledger, by their VMIDs."""
    return {str(block.span): str(block.hold) for block in ledger.holdings.blocks(URL, run)}


# Taking ---------------------------------------------------------------------------------------


def test_a_block_is_two_pools_that_say_who_holds_it_until_when(
    make: Make, proxmox: FakeProxmox, clock: ManualClock
) -> None:
    block = taken(make())

    expires = int(clock.now() + LEASE_S)
    comment = f"pytest-proxmox run=run-1 host=my-host lease={block.nonce} expires={expires}"
    assert proxmox.pools == {
        "pytest": "leases of pytest-proxmox",
        "pytest/b9000-9009": comment,
        f"pytest/b9000-9009/{block.nonce}": comment,
    }
    assert (block.span, block.hold, block.run) == (FIRST, Hold.HELD, "run-1")


def test_nothing_is_held_before_the_first_block(make: Make) -> None:
    blocks = make()

    assert (blocks.spans(), blocks.held()) == ([], [])
    assert blocks.pool_of(Vmid(9000)) is None


def test_guests_of_a_block_go_into_its_leases_pool(make: Make) -> None:
    blocks = make()
    first, second = taken(blocks), taken(blocks)

    assert blocks.pool_of(Vmid(9009)) == first.lease_pool
    assert blocks.pool_of(Vmid(9010)) == second.lease_pool
    assert blocks.pool_of(Vmid(9020)) is None
    assert blocks.spans() == [SPAN]


def test_only_the_ranges_part_of_a_block_is_used(make: Make) -> None:
    blocks = make(span=VmidRange.parse("9003-9012"))
    taken(blocks)
    assert blocks.spans() == [VmidRange.parse("9003-9009")]
    taken(blocks)
    assert blocks.spans() == [VmidRange.parse("9003-9012")]


def test_a_worker_that_another_one_was_faster_than_takes_nothing(
    make: Make, proxmox: FakeProxmox
) -> None:
    blocks = make()
    taken(blocks)
    before = dict(proxmox.pools)

    blocks.extend([])

    assert proxmox.pools == before


def test_the_next_block_is_free_when_the_first_is_another_machines(
    make: Make, elsewhere: Ledger
) -> None:
    taken(make("there", book=elsewhere))

    assert taken(make("here")).span == SECOND


def test_a_full_range_names_its_holders(make: Make, elsewhere: Ledger) -> None:
    there = make("there", book=elsewhere)
    taken(there)
    here = make("here")
    taken(here)

    text = r"9000-9019 \(b9000-9009: run there on my-host\)\. "
    with pytest.raises(RangeExhausted, match=text):
        here.extend(here.spans())


def test_a_pool_that_a_person_made_is_left_alone_and_named(
    make: Make, proxmox: FakeProxmox, clock: ManualClock
) -> None:
    proxmox.pools = {"pytest": "", "pytest/b9000-9009": "my own"}
    blocks = make(span=FIRST)
    clock.advance(1e7)

    with pytest.raises(RangeExhausted, match="b9000-9009: a pool that is not ours, pytest/b9000"):
        blocks.extend([])

    assert proxmox.pools == {"pytest": "", "pytest/b9000-9009": "my own"}


def test_pools_of_others_beside_ours_are_not_looked_at(make: Make, proxmox: FakeProxmox) -> None:
    proxmox.pools = {"pytest": "", "pytest/team": "", "production": "", "pytester/b9000-9009": ""}

    assert taken(make()).span == FIRST


def test_a_parent_that_another_worker_made_meanwhile_is_fine(
    make: Make, proxmox: FakeProxmox
) -> None:
    proxmox.fail("POST", "^pools$", 500, "pool 'pytest' already exists")
    proxmox.pools["pytest"] = "x"
    listed = proxmox.pools_list
    proxmox.pools_list = lambda poolid=None: [  # type: ignore[method-assign]
        row for row in listed(poolid) if row["poolid"] != "pytest"
    ]

    assert taken(make()).span == FIRST


@pytest.mark.parametrize("there", [False, True], ids=["the parent", "the block"])
def test_no_right_to_make_pools_names_the_setup(
    make: Make, proxmox: FakeProxmox, there: bool
) -> None:
    if there:
        proxmox.pools["pytest"] = ""
    proxmox.fail("POST", "^pools$", 403, "Permission check failed (/pool/pytest, Pool.Allocate)")

    with pytest.raises(PoolRefused, match=r'"pytest" of https://pve\.invalid:8006') as caught:
        make().extend([])
    assert "pytest-proxmox setup" in str(caught.value)


@pytest.mark.parametrize("there", [False, True], ids=["the parent", "the block"])
def test_another_error_of_making_a_pool_is_told_as_it_is(
    make: Make, proxmox: FakeProxmox, there: bool
) -> None:
    if there:
        proxmox.pools["pytest"] = ""
    proxmox.fail("POST", "^pools$", 400, "bad name")

    with pytest.raises(ApiFailure, match="bad name"):
        make().extend([])


@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
def test_a_lost_answer_of_making_a_pool_is_looked_up(
    make: Make, proxmox: FakeProxmox, after: bool
) -> None:
    proxmox.pools["pytest"] = ""
    proxmox.lose("POST", "^pools$", after=after)

    block = taken(make())

    assert sorted(proxmox.pools) == ["pytest", block.pool, block.lease_pool]


def test_a_block_that_took_longer_than_its_lease_is_not_used(
    make: Make, proxmox: FakeProxmox, clock: ManualClock, ledger: Ledger
) -> None:
    """We stood still between the two pools: another run may have begun to take it over."""
    create = proxmox.pool_create

    def slow(poolid: str, comment: str = "") -> None:
        create(poolid, comment)
        if poolid.count("/") == 2:
            clock.advance(LEASE_S)

    proxmox.pool_create = slow  # type: ignore[method-assign]
    with pytest.raises(RangeExhausted):
        make(span=FIRST).extend([])

    assert sorted(proxmox.pools) == ["pytest", "pytest/b9000-9009"]
    assert holds(ledger) == {}


def test_a_block_that_another_machine_was_first_to_make_is_not_ours(
    make: Make, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    proxmox.pools["pytest"] = ""
    proxmox.fail("POST", "^pools$", 500, "pool 'pytest/b9000-9009' already exists")

    assert taken(make()).span == SECOND
    assert holds(ledger) == {"9010-9019": "held"}


def test_a_block_that_another_worker_is_taking_is_waited_for(
    make: Make, ledger: Ledger, clock: ManualClock
) -> None:
    taking = Block(URL, FIRST, "pytest", NONCE, "run-1", clock.now() + LEASE_S)
    ledger.holdings.put(taking)
    blocks = make(span=FIRST)
    began = clock.now()

    blocks.extend([])

    assert clock.now() - began == pytest.approx(0.5)
    clock.advance(TAKING_S)
    with pytest.raises(RangeExhausted):
        blocks.extend([])


def test_an_exact_vmid_takes_its_own_block(make: Make, elsewhere: Ledger) -> None:
    blocks = make()

    blocks.cover(Vmid(9013))
    blocks.cover(Vmid(9019))

    assert [block.span for block in blocks.held()] == [SECOND]
    with pytest.raises(RangeExhausted, match=r"9012-9012 \(b9010-9019: run run-1"):
        make("there", book=elsewhere).cover(Vmid(9012))


def test_an_exact_vmid_outside_the_range_is_refused_without_a_question(
    make: Make, proxmox: FakeProxmox
) -> None:
    with pytest.raises(RangeExhausted, match=r"9020-9020\. "):
        make().cover(Vmid(9020))

    assert proxmox.calls == []


# Keeping --------------------------------------------------------------------------------------


def test_a_block_is_renewed_once_its_lease_is_half_over(
    make: Make, proxmox: FakeProxmox, clock: ManualClock
) -> None:
    blocks = make()
    block = taken(blocks)
    clock.advance(LEASE_S / 2)
    blocks.renew()
    assert blocks.held() == [block]
    clock.advance(1)
    blocks.renew()

    (renewed,) = blocks.held()
    assert renewed == replace(block, expires=clock.now() + LEASE_S)
    tenant = Tenant.parse(proxmox.pools[block.lease_pool])
    assert tenant == Tenant("run-1", "my-host", block.nonce, int(renewed.expires))


def test_a_renewal_finds_out_that_the_lease_is_lost(
    make: Make, proxmox: FakeProxmox, clock: ManualClock
) -> None:
    blocks = make()
    block = taken(blocks)
    del proxmox.pools[block.lease_pool]
    clock.advance(LEASE_S * 0.6)

    for _ in range(2):  # the second time by the ledger
        with pytest.raises(LeaseLost, match="pytest/b9000-9009"):
            blocks.renew()

    assert blocks.is_lost(Vmid(9004))
    assert not blocks.is_lost(Vmid(9010))
    assert (blocks.held(), blocks.pool_of(Vmid(9004))) == ([], None)


def test_a_renewal_that_fails_otherwise_loses_nothing(
    make: Make, proxmox: FakeProxmox, clock: ManualClock
) -> None:
    blocks = make()
    taken(blocks)
    clock.advance(LEASE_S * 0.6)
    proxmox.fail("PUT", "^pools$", 401, "no ticket", times=9)

    with pytest.raises(ApiFailure, match="no ticket"):
        blocks.renew()

    assert not blocks.is_lost(Vmid(9004))


def test_a_block_is_held_for_a_guest_that_is_kept(make: Make, clock: ManualClock) -> None:
    blocks = make()
    first, second = taken(blocks), taken(blocks)
    until = clock.now() + 10 * LEASE_S

    blocks.prolong(Vmid(9004), until)
    blocks.prolong(Vmid(9004), until - 1)

    assert [block.expires for block in blocks.held()] == [until, second.expires]
    assert first.expires < until


def test_a_lost_pool_of_a_vmid_marks_its_block(make: Make, ledger: Ledger) -> None:
    blocks = make()
    taken(blocks)
    taken(blocks)

    assert "pytest/b9010-9019" in str(blocks.lost(Vmid(9011)))
    assert holds(ledger) == {"9000-9009": "held", "9010-9019": "lost"}


def test_a_block_that_a_mate_gives_back_is_not_lost_to_another_run(
    make: Make, ledger: Ledger
) -> None:
    blocks = make()
    block = taken(blocks)
    ledger.holdings.put(replace(block, hold=Hold.GIVING))

    blocks.lost(Vmid(9001))

    assert holds(ledger) == {"9000-9009": "giving"}


# Taking over ----------------------------------------------------------------------------------


def test_an_expired_block_is_swept_and_taken_over(
    make: Make, proxmox: FakeProxmox, clock: ManualClock, elsewhere: Ledger, sweeper: FakeSweeper
) -> None:
    old = taken(make("stopped", book=elsewhere))
    clock.advance(LAPSE_S)

    block = taken(make("heir"))

    assert (block.span, block.nonce) == (FIRST, successor(old.nonce))
    assert sweeper.cleared == [(old.lease_pool, "9000-9009", "stopped")]
    assert sorted(proxmox.pools) == ["pytest", block.pool, block.lease_pool]
    tenant = Tenant("heir", "my-host", block.nonce, int(clock.now() + LEASE_S))
    assert Tenant.parse(proxmox.pools[block.pool]) == tenant


def test_a_block_is_not_expired_within_what_clocks_may_differ(
    make: Make, clock: ManualClock, elsewhere: Ledger
) -> None:
    taken(make("stopped", book=elsewhere))
    clock.advance(LEASE_S + SKEW_S - 1)

    assert taken(make("heir")).span == SECOND


def test_a_block_whose_guests_stay_is_not_taken_over(
    make: Make, proxmox: FakeProxmox, clock: ManualClock, elsewhere: Ledger, sweeper: FakeSweeper
) -> None:
    old = taken(make("stopped", book=elsewhere))
    proxmox.plant(FakeGuest(9000, pool=old.lease_pool))
    clock.advance(LAPSE_S)
    sweeper.left = [Leftover("guest/9000", "it does not go")]

    heir = make("heir")

    assert taken(heir).span == SECOND
    assert old.lease_pool in proxmox.pools
    assert f"{old.pool}/{successor(old.nonce)}" not in proxmox.pools


def test_of_two_that_take_over_one_wins(
    make: Make, proxmox: FakeProxmox, clock: ManualClock, elsewhere: Ledger, ledger: Ledger
) -> None:
    old = taken(make("stopped", book=elsewhere))
    clock.advance(LAPSE_S)
    proxmox.fail("POST", "^pools$", 500, f"pool '{old.pool}/x' already exists")

    assert taken(make("late")).span == SECOND
    assert holds(ledger) == {"9010-9019": "held"}
    assert old.lease_pool in proxmox.pools


def test_a_bare_block_of_a_dead_run_is_taken_over(
    make: Make, proxmox: FakeProxmox, clock: ManualClock, sweeper: FakeSweeper
) -> None:
    tenant = Tenant("dead", "host", NONCE, int(clock.now()))
    proxmox.pools = {"pytest": "", "pytest/b9000-9009": tenant.render()}
    clock.advance(LAPSE_S)

    assert taken(make()).nonce == successor(NONCE)
    assert sweeper.cleared == []


def test_a_chain_of_dead_heirs_is_cleared(
    make: Make, proxmox: FakeProxmox, clock: ManualClock, elsewhere: Ledger, sweeper: FakeSweeper
) -> None:
    old = taken(make("stopped", book=elsewhere))
    dead = Tenant("heir", "host", successor(old.nonce), int(clock.now()))
    proxmox.pools[f"{old.pool}/{dead.lease}"] = dead.render()
    clock.advance(LAPSE_S)

    block = taken(make())

    assert block.nonce == successor(successor(old.nonce))
    assert sorted(run for _, _, run in sweeper.cleared) == ["heir", "stopped"]
    assert sorted(proxmox.pools) == ["pytest", block.pool, block.lease_pool]


def test_a_block_is_held_while_any_lease_in_it_is(
    make: Make, proxmox: FakeProxmox, clock: ManualClock, elsewhere: Ledger
) -> None:
    old = taken(make("stopped", book=elsewhere))
    clock.advance(LAPSE_S)
    heir = Tenant("heir", "host", successor(old.nonce), int(clock.now()))
    proxmox.pools[f"{old.pool}/{heir.lease}"] = heir.render()

    here = make()
    assert taken(here).span == SECOND
    with pytest.raises(RangeExhausted, match="run stopped on my-host; b9000-9009: run heir on"):
        here.extend(here.spans())


# Giving back ----------------------------------------------------------------------------------


def test_what_is_given_back_is_gone_and_forgotten(
    make: Make, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    blocks = make()
    taken(blocks)
    taken(blocks)

    assert blocks.give_back() == []
    assert list(proxmox.pools) == ["pytest"]
    assert holds(ledger) == {}


def test_a_block_with_a_dirty_lease_is_kept(
    make: Make, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    blocks = make()
    first, _ = taken(blocks), taken(blocks)
    (lease,) = ledger.claim(URL, [FIRST], Run.here("run-1"))

    assert blocks.give_back() == []
    assert sorted(proxmox.pools) == ["pytest", first.pool, first.lease_pool]
    ledger.advance(lease, State.RELEASED)
    assert blocks.give_back() == []
    assert list(proxmox.pools) == ["pytest"]


def test_a_lost_block_is_told_once_and_not_touched(
    make: Make, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    blocks = make()
    block = taken(blocks)
    ledger.holdings.put(replace(block, hold=Hold.LOST))
    before = dict(proxmox.pools)

    (left,) = blocks.give_back()

    assert left.what == "pool pytest/b9000-9009"
    assert left.reason == str(LeaseLost("pytest/b9000-9009"))
    assert (proxmox.pools, holds(ledger), blocks.give_back()) == (before, {}, [])


def test_a_pool_that_stays_says_why_and_how_to_remove_it(
    make: Make, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    blocks = make()
    block = taken(blocks)
    proxmox.plant(FakeGuest(9005, pool=block.lease_pool))

    (left,) = blocks.give_back()

    assert left.what == f"pool {block.lease_pool}"
    assert "is not empty" in left.reason
    assert left.command == f"pvesh delete /pools --poolid {block.lease_pool}"
    assert holds(ledger) == {"9000-9009": "giving"}


def test_a_block_that_an_heir_is_in_already_stays_without_a_word(
    make: Make, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    blocks = make()
    block = taken(blocks)
    proxmox.pools[f"{block.pool}/{successor(block.nonce)}"] = ""

    assert blocks.give_back() == []
    assert (block.pool in proxmox.pools, block.lease_pool in proxmox.pools) == (True, False)
    assert holds(ledger) == {}


@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
def test_a_lost_answer_of_a_removal_is_got_over(
    make: Make, proxmox: FakeProxmox, ledger: Ledger, after: bool
) -> None:
    blocks = make()
    taken(blocks)
    proxmox.lose("DELETE", "^pools$", after=after)

    assert blocks.give_back() == []
    assert (list(proxmox.pools), holds(ledger)) == (["pytest"], {})


def test_a_removal_that_is_never_answered_is_left_over(make: Make, proxmox: FakeProxmox) -> None:
    blocks = make()
    taken(blocks)
    proxmox.lose("DELETE", "^pools$", after=False, times=9)

    (left,) = blocks.give_back()

    assert "no answer" in left.reason


def test_a_block_that_was_never_made_is_forgotten(
    make: Make, proxmox: FakeProxmox, ledger: Ledger, clock: ManualClock
) -> None:
    """Another machine's block under the same VMIDs is not ours to remove."""
    theirs = Tenant("there", "host", LeaseId.new(), int(clock.now() + LEASE_S)).render()
    proxmox.pools = {"pytest": "", "pytest/b9000-9009": theirs}
    ledger.holdings.put(Block(URL, FIRST, "pytest", NONCE, "run-1", clock.now() + LEASE_S))

    assert make().give_back() == []
    assert (holds(ledger), len(proxmox.pools)) == ({}, 2)


def test_a_block_without_its_lease_is_removed_by_who_made_it(
    make: Make, proxmox: FakeProxmox, ledger: Ledger, clock: ManualClock
) -> None:
    ours = Tenant("run-1", "host", NONCE, int(clock.now() + LEASE_S)).render()
    proxmox.pools = {"pytest": "", "pytest/b9000-9009": ours}
    ledger.holdings.put(Block(URL, FIRST, "pytest", NONCE, "run-1", clock.now() + LEASE_S))

    assert make().give_back() == []
    assert (holds(ledger), list(proxmox.pools)) == ({}, ["pytest"])


@pytest.mark.parametrize(
    ("is_alive", "kept"), [(True, False), (False, True)], ids=["all alive", "one dead"]
)
def test_what_a_dead_mate_was_about_to_take_is_left_to_its_reaper(
    make: Make, ledger: Ledger, clock: ManualClock, is_alive: bool, kept: bool
) -> None:
    mate = Run.here("run-1", worker="gw1")
    if not is_alive:
        mate = Run("run-1", "gw1", mate.host, os.getpid(), "another birth")
    ledger.register(mate, target=URL, kind="real")
    ledger.holdings.put(Block(URL, FIRST, "pytest", NONCE, "run-1", clock.now() + LEASE_S))

    make().give_back()

    assert bool(holds(ledger)) is kept


# Collecting -----------------------------------------------------------------------------------


def test_blocks_of_a_dead_run_of_this_machine_are_freed_before_they_expire(
    make: Make, proxmox: FakeProxmox, ledger: Ledger, sweeper: FakeSweeper, clock: ManualClock
) -> None:
    block = taken(make("dead"))
    other = taken(make("alive"))
    began = clock.now()

    freed, left = make("sweep").collect(lambda run: run == "dead")

    assert (freed, left) == ([block.pool], [])
    assert sweeper.cleared == [(block.lease_pool, "9000-9009", "dead")]
    assert sorted(proxmox.pools) == ["pytest", other.pool, other.lease_pool]
    assert holds(ledger) == {"9010-9019": "held"}
    assert clock.now() == began


def test_a_dead_runs_block_whose_guests_stay_is_not_freed(
    make: Make, proxmox: FakeProxmox, sweeper: FakeSweeper
) -> None:
    block = taken(make("dead"))
    sweeper.left = [Leftover("guest/9000", "it does not go")]

    freed, left = make("sweep").collect(lambda run: True)

    assert (freed, left) == ([], sweeper.left)
    assert block.lease_pool in proxmox.pools


@pytest.mark.parametrize("others", [True, False], ids=["any machine's", "ours only"])
def test_expired_blocks_of_other_machines_are_freed_if_wanted(
    make: Make, proxmox: FakeProxmox, clock: ManualClock, elsewhere: Ledger, others: bool
) -> None:
    block = taken(make("stopped", book=elsewhere))
    clock.advance(LAPSE_S)
    young = taken(make("young", book=elsewhere, span=SECOND))

    freed, left = make("sweep").collect(lambda run: False, others=others)

    assert (freed, left) == ([block.pool] if others else [], [])
    assert (block.pool in proxmox.pools, young.pool in proxmox.pools) == (not others, True)


def test_an_expired_block_whose_guests_stay_is_told(
    make: Make, clock: ManualClock, elsewhere: Ledger, sweeper: FakeSweeper, ledger: Ledger
) -> None:
    taken(make("stopped", book=elsewhere))
    clock.advance(LAPSE_S)
    sweeper.left = [Leftover("guest/9000", "it does not go")]

    assert make("sweep").collect(lambda run: False) == ([], sweeper.left)
    assert holds(ledger) == {}


def test_a_block_in_which_a_guest_is_kept_stays(
    make: Make, ledger: Ledger, clock: ManualClock, sweeper: FakeSweeper
) -> None:
    blocks = make("dead")
    taken(blocks)
    taken(blocks)
    (lease,) = ledger.claim(URL, [FIRST], Run.here("dead"))
    ledger.note(ledger.advance(lease, State.CREATING), kept_until=clock.now() + 60)

    assert make("sweep").collect_run("dead") == []
    assert holds(ledger) == {"9000-9009": "held"}


@pytest.mark.parametrize(
    ("ahead_s", "waited_s"),
    [(0.0, REQUEST_S), (-10.0, REQUEST_S - 10), (-60.0, 0.0), (5000.0, REQUEST_S)],
    ids=["just now", "a while ago", "long ago", "by a clock that was ahead"],
)
def test_the_last_request_of_a_dead_taker_is_waited_for(
    make: Make, ledger: Ledger, clock: ManualClock, ahead_s: float, waited_s: float
) -> None:
    expires = clock.now() + LEASE_S + ahead_s
    ledger.holdings.put(Block(URL, FIRST, "pytest", NONCE, "dead", expires))
    began = clock.now()

    assert make("sweep").collect_run("dead") == []

    assert clock.now() - began == pytest.approx(waited_s)
    assert holds(ledger) == {}


def test_runs_of_one_machine_do_not_touch_one_anothers_blocks(
    make: Make, clock: ManualClock, ledger: Ledger
) -> None:
    mine, theirs = make("a"), make("b")
    block, other = taken(mine), taken(theirs)

    assert (mine.held(), theirs.held()) == ([block], [other])
    clock.advance(LEASE_S * 0.6)
    mine.renew()
    assert theirs.held() == [other]
    theirs.lost(other.span.first)
    assert theirs.is_lost(other.span.first)
    assert not mine.is_lost(other.span.first)
    assert mine.give_back() == []
    assert holds(ledger) == {"9010-9019": "lost"}


def test_what_stays_of_several_blocks_is_all_told(
    make: Make, sweeper: FakeSweeper, ledger: Ledger
) -> None:
    dead = make("dead")
    taken(dead)
    taken(dead)
    sweeper.left = [Leftover("guest", "it does not go")]

    assert make("sweep").collect_run("dead") == sweeper.left * 2
    assert len(holds(ledger)) == 2
