"""The sweep: collect what runs left that are no more (net 5, for this machine's ledger)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.sandbox.baseline import Baseline
from pytest_proxmox.sandbox.destroy import Destroyer
from pytest_proxmox.sandbox.lease import Lease, Leftover
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.ownership import Identity
from pytest_proxmox.sandbox.removal import Patience
from pytest_proxmox.target.calls import Api, Calls
from pytest_proxmox.target.facts import TargetFacts
from pytest_proxmox.values import NodeName

Progress = Callable[[Lease], None]


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep did: leases it freed, what is left of others, and those of live runs."""

    collected: tuple[Lease, ...]
    leftovers: tuple[Leftover, ...]
    in_use: tuple[Lease, ...]


def collect(
    api: Api,
    facts: TargetFacts,
    ledger: Ledger,
    *,
    clock: Clock | None = None,
    patience: Patience | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Sweep:
    """Return what became of everything that dead runs hold on this target.

    A run is dead when none of its processes exists any more. ``dry_run`` only says what would
    be collected. ``progress`` is told each lease before it is destroyed.
    """
    calls = Calls(api, clock if clock is not None else SystemClock())
    held = ledger.leases(facts.url)
    dead = {run for run in {lease.run for lease in held} if not ledger.is_alive(run, facts.url)}
    stale = [lease for lease in held if lease.run in dead]
    in_use = tuple(lease for lease in held if lease.run not in dead)
    if dry_run:
        return Sweep(tuple(stale), (), in_use)
    leftovers: list[Leftover] = []
    for run in sorted(dead):
        of_run = [lease for lease in stale if lease.run == run]
        if progress is not None:
            for lease in of_run:
                progress(lease)
        destroyer = Destroyer(
            calls,
            ledger,
            _identity(ledger, run, facts),
            node=NodeName(facts.node),
            patience=patience,
        )
        leftovers += destroyer.destroy_all(of_run)
    freed = tuple(lease for lease in stale if not ledger.get(lease.id).is_held)
    return Sweep(freed, tuple(leftovers), in_use)


def forget_dead_simulators(ledger: Ledger) -> None:
    """Drop what runs held on simulators that ended with them: there is nothing to collect."""
    for target in ledger.targets(kind="simulator"):
        if not any(ledger.is_alive(run, target) for run in ledger.runs(target)):
            ledger.forget(target)


def _identity(ledger: Ledger, run: str, facts: TargetFacts) -> Identity:
    text = ledger.baseline(run, facts.url)
    baseline = Baseline.parse(text) if text is not None else Baseline({})
    return Identity(ledger.user(run, facts.url) or facts.user, run, baseline)
