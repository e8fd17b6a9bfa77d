"""Clearing: a dead run's pools are emptied by the proof of the pool, and nothing beside them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.sandbox import reaper
from pytest_proxmox.sandbox.blocks import LEASE_S, SKEW_S, Blocks
from pytest_proxmox.sandbox.clearing import Clearing, release_what_others_cleared
from pytest_proxmox.sandbox.lease import Leftover, State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.reaper import Orders, Reaper, _mourn
from pytest_proxmox.sandbox.removal import Patience
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.sandbox.sweep import collect
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.values import VmidRange
from tests.unit.sandbox.conftest import URL
from tests.unit.sandbox.fake import FakeGuest, FakeProxmox

SPAN = VmidRange.parse("9000-9009")
POOL = "pytest/b9000-9009/n0123456789ab"


@pytest.fixture
def elsewhere(tmp_path: Path, clock: ManualClock) -> Iterator[Ledger]:
    """The ledger of another machine."""
    with Ledger(tmp_path / "elsewhere", clock=clock, durable=False) as ledger:
        yield ledger


@pytest.fixture
def clearing(sandbox: Sandbox, proxmox: FakeProxmox) -> Clearing:
    """A clearing of this machine, and a pool to clear."""
    proxmox.pools = {"pytest": "", "pytest/b9000-9009": "", POOL: ""}
    return Clearing(sandbox.calls, sandbox.facts, sandbox.ledger, sandbox.run, Patience())


def bury(ledger: Ledger, run: str, *, worker: str = "main") -> None:
    """Make a process of a run one that does not exist."""
    dead = Run(run, worker, Run.here().host, os.getpid(), "another birth")
    ledger.register(dead, target=URL, kind="real")


# Pools of leases ------------------------------------------------------------------------------


def test_the_guests_of_a_pool_go_and_others_stay(
    clearing: Clearing, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    proxmox.plant(FakeGuest(9001, pool=POOL))
    proxmox.plant(FakeGuest(9002, "qemu", pool=POOL))
    proxmox.plant(FakeGuest(9003, pool="pytest/b9000-9009"))

    assert clearing.clear(POOL, SPAN, "stopped") == []

    assert list(proxmox.guests) == [9003]
    leases = ledger.leases(URL, states=tuple(State))
    told = [(lease.vmid, lease.kind, lease.run, lease.worker, lease.pool) for lease in leases]
    assert told == [
        (9001, "lxc", "stopped", "sweep", POOL),
        (9002, "qemu", "stopped", "sweep", POOL),
    ]
    assert {lease.state for lease in leases} == {State.RELEASED}
    assert {lease.node for lease in leases} == {"pve"}


def test_a_pool_that_is_gone_holds_nothing(clearing: Clearing, proxmox: FakeProxmox) -> None:
    del proxmox.pools[POOL]

    assert clearing.clear(POOL, SPAN, "stopped") == []


def test_what_does_not_go_keeps_a_lease_of_its_run(
    clearing: Clearing, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    proxmox.plant(FakeGuest(9001, pool=POOL, lock="backup"))

    (left,) = clearing.clear(POOL, SPAN, "stopped")

    (lease,) = ledger.leases(URL)
    assert "locked" in left.reason
    assert (lease.run, lease.state, lease.leftovers) == ("stopped", State.DIRTY, (left,))


def test_a_guest_that_the_ledger_knows_keeps_its_lease(
    clearing: Clearing, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    owner = Run.here("stopped")
    ledger.claim_exactly(URL, SPAN.last, owner)
    known = ledger.claim_exactly(URL, SPAN.first, owner)
    assert known is not None
    proxmox.plant(FakeGuest(9000, pool=POOL))

    assert clearing.clear(POOL, SPAN, "stopped") == []

    assert ledger.get(known.id).state is State.RELEASED
    assert [lease.vmid for lease in ledger.leases(URL)] == [SPAN.last]
    assert proxmox.guests == {}


@pytest.mark.parametrize(
    ("kind", "vmid", "ours", "waited_for"),
    [
        ("vzcreate", "9004", True, True),
        ("qmcreate", "9009", True, True),
        ("vzcreate", "9010", True, False),
        ("vzclone", "100", True, True),
        ("vzstart", "9004", True, False),
        ("vzcreate", "9004", False, False),
    ],
    ids=["create", "VM", "another block", "clone of any", "start", "a stranger's"],
)
def test_a_task_that_may_make_a_guest_there_is_waited_for(
    clearing: Clearing,
    proxmox: FakeProxmox,
    kind: str,
    vmid: str,
    ours: bool,
    waited_for: bool,
) -> None:
    user = proxmox.user if ours else "somebody@pam"
    proxmox.user = "pt@pve!ci"
    task = proxmox._start("pve", kind, vmid, lambda: "OK", user=user)

    clearing.clear(POOL, SPAN, "stopped")

    assert (task.status is not None) is waited_for


def test_a_lease_whose_pool_another_machine_emptied_is_over(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    owner = Run.here("stopped")
    leases = ledger.claim(URL, [SPAN], owner, count=4, pool_of=lambda vmid: POOL)
    emptied, taken, pooled, bare = leases
    pooled = ledger.note(pooled, pool="pytest/there")
    bare = ledger.note(bare, pool=None)
    proxmox.plant(FakeGuest(taken.vmid))
    proxmox.pools = {"pytest": "", "pytest/there": ""}

    rest = release_what_others_cleared(
        sandbox.calls, ledger, [emptied, taken, pooled, bare], "pytest"
    )

    assert rest == [taken, pooled, bare]
    assert ledger.get(emptied.id).state is State.RELEASED


@pytest.mark.parametrize("parent", [None, "elsewhere"], ids=["no pools", "an unseen parent"])
def test_without_its_parent_a_missing_pool_proves_nothing(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger, parent: str | None
) -> None:
    leases = list(ledger.claim(URL, [SPAN], Run.here("stopped"), pool_of=lambda vmid: POOL))

    assert release_what_others_cleared(sandbox.calls, ledger, leases, parent) == leases


def test_a_lease_that_another_sweep_released_meanwhile_is_no_error(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    leases = list(ledger.claim(URL, [SPAN], Run.here("stopped"), pool_of=lambda vmid: POOL))
    ledger.advance(leases[0], State.RELEASED)
    proxmox.pools = {"pytest": ""}

    assert release_what_others_cleared(sandbox.calls, ledger, leases, "pytest") == []


# Sweeps ---------------------------------------------------------------------------------------


def test_a_sweep_takes_the_guests_and_blocks_of_this_machines_dead(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox, ledger: Ledger, clock: ManualClock
) -> None:
    proxmox.pools["pytest"] = ""
    dead = make_sandbox("dead", pool="pytest")
    dead.lxc(start=1)
    bury(ledger, "dead")
    told: list[int] = []

    swept = collect(
        proxmox,
        dead.facts,
        ledger,
        pool="pytest",
        clock=clock,
        progress=lambda lease: told.append(lease.vmid),
    )

    assert [lease.vmid for lease in swept.collected] == told == [9000]
    assert (swept.blocks, swept.leftovers) == (("pytest/b9000-9009",), ())
    assert (proxmox.guests, list(proxmox.pools)) == ({}, ["pytest"])


@pytest.mark.parametrize("others", [True, False], ids=["wanted", "not wanted"])
def test_a_sweep_takes_what_has_expired_on_other_machines_if_wanted(
    make_sandbox: Callable[..., Sandbox],
    proxmox: FakeProxmox,
    ledger: Ledger,
    elsewhere: Ledger,
    clock: ManualClock,
    others: bool,
) -> None:
    here = make_sandbox("here")
    there = Sandbox(
        proxmox, here.facts, elsewhere, span=SPAN, run=Run.here("there"), pool="pytest", clock=clock
    )
    there.lxc()
    clock.advance(LEASE_S + SKEW_S + 1)

    swept = collect(proxmox, here.facts, ledger, pool="pytest", clock=clock, others=others)

    assert swept.blocks == (("pytest/b9000-9009",) if others else ())
    assert (proxmox.guests == {}) is others


def test_a_dead_runs_guests_are_proven_as_that_run_would_have(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox, ledger: Ledger, clock: ManualClock
) -> None:
    """By its own user, who is not ours, and by what it found when it began."""
    proxmox.user = "old@pve"
    dead = make_sandbox("dead")
    proxmox.plant(FakeGuest(dead.vmid()), maker="old@pve")
    bury(ledger, "dead")
    facts = replace(dead.facts, user="new@pve")

    swept = collect(proxmox, facts, ledger, clock=clock)

    assert (swept.leftovers, proxmox.guests) == ((), {})


def test_a_dead_runs_guest_that_is_kept_is_in_use(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox, ledger: Ledger, clock: ManualClock
) -> None:
    dead = make_sandbox("dead")
    guest = dead.lxc()
    dead.keep(for_s=60)
    bury(ledger, "dead")

    swept = collect(proxmox, dead.facts, ledger, clock=clock)
    assert [lease.vmid for lease in swept.in_use] == [guest.vmid]
    clock.advance(60)
    swept = collect(proxmox, dead.facts, ledger, clock=clock)

    assert (swept.in_use, proxmox.guests) == ((), {})


def test_a_block_without_leases_is_reaped_too(
    make_sandbox: Callable[..., Sandbox],
    proxmox: FakeProxmox,
    ledger: Ledger,
    reap: Callable[..., list[Leftover]],
) -> None:
    dead = make_sandbox(pool="pytest")
    dead.ground.extend([])
    bury(ledger, "run-1")

    assert reap(dead, pool="pytest") == []
    assert list(proxmox.pools) == ["pytest"]


# The reaper -----------------------------------------------------------------------------------


@pytest.fixture
def reap(
    proxmox: FakeProxmox, ledger: Ledger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[Leftover]]:
    """Return a function that lets the reaper of a sandbox's run sweep once."""
    monkeypatch.setattr(reaper, "connect", lambda endpoint: proxmox)

    def reap(sandbox: Sandbox, *, pool: str | None = None, rounds: int = 1) -> list[Leftover]:
        endpoint = Endpoint("pve.invalid", user="pt@pve", password="hunter2")
        orders = Orders(endpoint, sandbox.facts, Path(), sandbox.run.id, Path(), pool, grace_s=20.0)
        return Reaper(orders, ledger, clock).reap(rounds=rounds)

    return reap


def test_the_dead_workers_guests_go_and_the_livings_stay(
    make_sandbox: Callable[..., Sandbox],
    proxmox: FakeProxmox,
    ledger: Ledger,
    reap: Callable[..., list[Leftover]],
) -> None:
    dead, alive = make_sandbox(worker="gw0"), make_sandbox(worker="gw1")
    other = make_sandbox("run-2").lxc()
    dead.lxc()
    kept = alive.lxc()
    bury(ledger, "run-1", worker="gw0")

    assert reap(dead) == []

    assert sorted(proxmox.guests) == [other.vmid, kept.vmid]


def test_a_runs_blocks_go_when_all_its_processes_are_dead(
    make_sandbox: Callable[..., Sandbox],
    proxmox: FakeProxmox,
    ledger: Ledger,
    reap: Callable[..., list[Leftover]],
) -> None:
    dead = make_sandbox(pool="pytest")
    dead.lxc()
    bury(ledger, "run-1")

    assert reap(dead, pool="pytest") == []

    assert (proxmox.guests, list(proxmox.pools)) == ({}, ["pytest"])
    assert ledger.holdings.blocks(URL) == []


def test_a_runs_blocks_are_renewed_while_a_process_lives(
    make_sandbox: Callable[..., Sandbox],
    proxmox: FakeProxmox,
    clock: ManualClock,
    reap: Callable[..., list[Leftover]],
) -> None:
    alive = make_sandbox(pool="pytest")
    alive.vmid()
    assert isinstance(alive.ground, Blocks)
    clock.advance(LEASE_S * 0.6)

    assert reap(alive, pool="pytest") == []

    (block,) = alive.ground.held()
    assert block.expires == clock.now() + LEASE_S


def test_what_stays_is_swept_again_and_each_sweep_is_told(
    make_sandbox: Callable[..., Sandbox],
    proxmox: FakeProxmox,
    ledger: Ledger,
    reap: Callable[..., list[Leftover]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    dead = make_sandbox()
    proxmox.guests[dead.lxc().vmid].lock = "backup"
    bury(ledger, "run-1")
    with caplog.at_level(logging.INFO):
        (left,) = reap(dead, rounds=8)

    assert "locked" in left.reason
    said = [one.getMessage() for one in caplog.records if one.name == "pytest_proxmox.reaper"]
    assert said == [f"sweep {number}: 1 left" for number in range(1, 9)]


def test_pauses_between_sweeps_double_up_to_two_minutes(
    make_sandbox: Callable[..., Sandbox],
    ledger: Ledger,
    clock: ManualClock,
    reap: Callable[..., list[Leftover]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The target does not answer, so the clock shows the pauses alone."""
    sandbox = make_sandbox()
    sandbox.vmid()
    bury(ledger, "run-1")
    monkeypatch.setattr(reaper, "connect", None)
    began = clock.now()

    (left,) = reap(sandbox, rounds=7)

    assert left.what == f"run run-1 on {URL}"
    assert clock.now() - began == 5 + 10 + 20 + 40 + 80 + 120


def test_a_run_that_left_nothing_is_looked_at_twice(
    make_sandbox: Callable[..., Sandbox], clock: ManualClock, reap: Callable[..., list[Leftover]]
) -> None:
    sandbox = make_sandbox()
    began = clock.now()

    assert reap(sandbox, rounds=10) == []
    assert clock.now() - began == 5


class FakeWatch:
    """Deaths as they come; ``alive`` says whether anybody is left after each."""

    def __init__(self, *alive: bool) -> None:
        self.alive = list(alive)
        self.is_anybody_alive = True

    def next_death(self) -> bool:
        """Take the next death, if there is one."""
        if self.alive:
            self.is_anybody_alive = self.alive.pop(0)
            return True
        return False


class FakeReaper:
    """Notes how often it is to try, and leaves what it was told to."""

    def __init__(self, *left: Leftover) -> None:
        self.left = list(left)
        self.rounds: list[int] = []

    def reap(self, *, rounds: int = reaper.ROUNDS) -> list[Leftover]:
        """Leave it."""
        self.rounds.append(rounds)
        return self.left


@pytest.mark.parametrize(
    ("deaths", "rounds"),
    [((), []), ((False,), [10]), ((True,), [1, 10]), ((True, True, False), [1, 1, 10])],
    ids=["none", "the last one", "one of several", "one after the other"],
)
def test_after_each_death_a_sweep_comes_and_the_last_is_the_longest(
    deaths: tuple[bool, ...], rounds: list[int]
) -> None:
    swept = FakeReaper()

    assert _mourn(FakeWatch(*deaths), swept, "run-1") == 0  # type: ignore[arg-type]
    assert swept.rounds == rounds


def test_what_is_left_at_the_end_is_told(caplog: pytest.LogCaptureFixture) -> None:
    swept = FakeReaper(Leftover("guest/9000", "it does not go"))

    assert _mourn(FakeWatch(False), swept, "run-1") == 1  # type: ignore[arg-type]
    assert "left: guest/9000: it does not go." in caplog.messages
