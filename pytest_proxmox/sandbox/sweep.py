"""The sweep: collect what runs left that are no more (net 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.sandbox.blocks import Blocks
from pytest_proxmox.sandbox.clearing import (
    Clearing,
    destroyer_for,
    release_what_others_cleared,
)
from pytest_proxmox.sandbox.lease import Lease, Leftover
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.pools import ANYWHERE
from pytest_proxmox.sandbox.removal import Patience
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.target.calls import Api, Calls
from pytest_proxmox.target.facts import TargetFacts

Progress = Callable[[Lease], None]


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep did.

    ``collected`` are the leases that it freed (in a dry run: would try to), ``blocks`` the pools
    of freed blocks, ``in_use`` the leases of living runs, and of guests that are kept.
    """

    collected: tuple[Lease, ...]
    leftovers: tuple[Leftover, ...]
    in_use: tuple[Lease, ...]
    blocks: tuple[str, ...] = ()


def collect(
    api: Api,
    facts: TargetFacts,
    ledger: Ledger,
    *,
    pool: str | None = None,
    clock: Clock | None = None,
    patience: Patience | None = None,
    others: bool = True,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Sweep:
    """Return what became of everything that dead runs hold on this target.

    A run of this machine is dead when none of its processes exists any more. With ``pool``, the
    parent of the lease pools, also leases of any machine are collected that have expired, unless
    ``others`` is False: then only the blocks of this machine's dead runs.
    ``dry_run`` only says which leases of this machine would be. ``progress`` is told each lease
    before it is destroyed.
    """
    calls = Calls(api, clock if clock is not None else SystemClock())
    held = ledger.leases(facts.url)
    dead = {run for run in {lease.run for lease in held} if not ledger.is_alive(run, facts.url)}
    now = calls.clock.now()
    stale = [lease for lease in held if lease.run in dead and not lease.is_kept(now)]
    in_use = tuple(lease for lease in held if lease not in stale)
    if dry_run:
        return Sweep(tuple(stale), (), in_use)
    leftovers: list[Leftover] = []
    _let_requests_arrive(calls.clock, ledger, stale, (patience or Patience()).request)
    rest = release_what_others_cleared(calls, ledger, stale, pool)
    for run in sorted(dead):
        of_run = [lease for lease in rest if lease.run == run]
        if progress is not None:
            for lease in of_run:
                progress(lease)
        leftovers += destroyer_for(calls, facts, ledger, run, patience).destroy_all(of_run)
    freed = tuple(lease for lease in stale if not ledger.get(lease.id).is_held)
    blocks, stays = _collect_blocks(calls, facts, ledger, pool, patience, others=others)
    return Sweep(freed, (*leftovers, *stays), in_use, tuple(blocks))


def _let_requests_arrive(clock: Clock, ledger: Ledger, stale: list[Lease], wait_s: float) -> None:
    """Wait until what dead processes had sent has had its effect: a guest made after we looked
    would be nobody's.

    When an app under test sent its own is not known, so for that the wait is a whole one.
    """
    now = clock.now()
    awaiting = [lease for lease in stale if lease.may_await_its_guest]
    sent = [now if one.maker == "test" else min(now, ledger.changed(one)) for one in awaiting]
    if sent and (rest_s := max(sent) + wait_s - now) > 0:
        clock.sleep(rest_s)


def _collect_blocks(
    calls: Calls,
    facts: TargetFacts,
    ledger: Ledger,
    pool: str | None,
    patience: Patience | None,
    *,
    others: bool,
) -> tuple[list[str], list[Leftover]]:
    if pool is None:
        return [], []
    run = Run.here(worker="sweep")
    blocks = Blocks(
        calls,
        ledger,
        run,
        target=facts.url,
        span=ANYWHERE,
        parent=pool,
        sweeper=Clearing(calls, facts, ledger, run, patience or Patience()),
    )
    return blocks.collect(lambda one: not ledger.is_alive(one, facts.url), others=others)


def forget_dead_simulators(ledger: Ledger) -> None:
    """Drop what runs held on simulators that ended with them: there is nothing to collect."""
    for target in ledger.targets(kind="simulator"):
        if not any(ledger.is_alive(run, target) for run in ledger.runs(target)):
            ledger.forget(target)
