"""A case: lives of one or two runs, one event in one of them, the nets, and the verdict."""

from __future__ import annotations

import signal
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.campaign.ground import PARENT, Ground, Machine, laid, machines
from benchmarks.campaign.life import steps_for
from benchmarks.campaign.plan import Plan
from benchmarks.campaign.watch import Trigger
from benchmarks.campaign.worker import Happening, Worker
from pytest_proxmox.sandbox.blocks import LEASE_S, SKEW_S
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.reaper import GRACE_S, Orders, Reaper
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.sandbox.signals import SignalNet
from pytest_proxmox.sandbox.sweep import collect

ALL_NETS: Final = ("finalizer", "session end", "signals", "reaper", "next run")
NOBODY: Final = "nobody"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a case ended: which net the last of ours was gone after, and what is wrong."""

    plan: Plan
    has_fired: bool
    clean_after: str = NOBODY
    wrong: tuple[str, ...] = ()
    in_clean_up: bool = False


class Stopped(KeyboardInterrupt):
    """A signal ended the run."""


def play(plan: Plan, nets: Sequence[str] = ALL_NETS) -> Verdict:
    """Return how a case ended; where its event is never due, it is played with it sooner."""
    verdict = _play(plan, nets)
    if not verdict.has_fired and plan.nth > 1:
        verdict = _play(plan.sooner(), nets)
    return verdict


def _play(plan: Plan, nets: Sequence[str]) -> Verdict:
    with (
        laid(plan.rng("ground"), over_sockets=False) as ground,
        tempfile.TemporaryDirectory(prefix="campaign-") as folder,
    ):
        case = Case(plan, ground, Path(folder), nets)
        try:
            return case.play()
        finally:
            case.close()


class Case:
    """One case in this process, in virtual time."""

    def __init__(self, plan: Plan, ground: Ground, folder: Path, nets: Sequence[str]) -> None:
        self._plan = plan
        self._ground = ground
        self._folder = folder
        self._nets = nets
        self._rng = plan.rng("steps")
        self._happening = Happening(plan, ground, plan.rng("event"))
        self._trigger = Trigger(plan.boundary.name, plan.nth, self._happening)
        count = 1 if plan.shares_machine else len(plan.workers)
        self._machines = machines(ground, folder, plan.rng("machines"), count)
        self._workers = self._happening.workers = self._staff()
        self._wrong: list[str] = []
        self._named: list[str] = []
        self._clean_after = NOBODY

    def close(self) -> None:
        """Close what is open."""
        for machine in self._machines:
            machine.ledger.close()

    def _staff(self) -> list[Worker]:
        """The workers of all runs; the event is for the first one."""
        made: list[Worker] = []
        here = Run.here("-")
        for number, size in enumerate(self._plan.workers):
            machine = self._machines[number % len(self._machines)]
            for name in range(size):
                trigger = None if made else self._trigger
                run = Run(f"run-{number}", f"gw{name}", socket.gethostname(), here.pid, here.born)
                needs = self._plan.boundary.needs if trigger is not None else ("container",)
                steps = steps_for(needs, self._rng)
                worker = Worker(self._ground, machine, run, steps, self._rng, trigger)
                made.append(worker)
        return made

    def play(self) -> Verdict:
        """Return how it ended."""
        self._live()
        fired_late = self._happening.was_in_clean_up
        self._ground.simulator.faults.clear()
        self._check("session end", demanded=self._is_for_fixtures() and not fired_late)
        self._reap()
        self._check("reaper", demanded=self._is_for_reaper())
        if "next run" in self._nets:
            self._next_run()
            self._check("next run", demanded=self._plan.event.name != "task killed")
            self._help()
        self._ground.wire.deliver(float("inf"))
        if self._clean_after != NOBODY and (late := self._remains()):
            self._wrong.append(f"came after all was clean: {late}")
        return Verdict(
            self._plan,
            self._trigger.has_fired,
            self._clean_after,
            tuple(self._wrong),
            in_clean_up=fired_late,
        )

    def _is_for_fixtures(self) -> bool:
        wanted = "signals" if self._plan.event.sort == "signal" else "finalizer"
        return self._plan.event.sort in ("error", "signal", "rival") and wanted in self._nets

    def _is_for_reaper(self) -> bool:
        is_lost = self._happening.has_lost_machine
        return self._plan.event.sort == "death" and not is_lost and "reaper" in self._nets

    # What happens -----------------------------------------------------------------------------

    def _live(self) -> None:
        """Let all workers live, in random turns, until each is over; the event's comes first."""
        self._turn(self._workers[0])
        while living := [worker for worker in self._workers if not worker.is_over]:
            worker = self._rng.choice(living)
            self._turn(worker)
            if worker.is_dead and self._rng.random() < 0.5:
                self._reap_beside(worker)
            if worker.is_over and not self._plan.lasts:
                self._end_conditions()

    def _turn(self, worker: Worker) -> None:
        def stop(number: object) -> None:
            if not worker.is_cleaning:
                raise Stopped

        self._ground.wire.deliver(self._ground.simulator.clock.now())
        before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup would have it ignored
        try:
            with SignalNet(stop):
                worker.step(nets=self._nets)
        finally:
            signal.signal(signal.SIGHUP, before)

    def _end_conditions(self) -> None:
        faults = self._ground.simulator.faults
        for rule in faults.rules():
            if self._trigger.has_fired:
                faults.remove(rule.id)

    def _reap_beside(self, dead: Worker) -> None:
        """The reaper sweeps at once what one of several processes left."""
        mates = [w for w in self._workers if w.run.id == dead.run.id and not w.is_over]
        if mates and "reaper" in self._nets and not self._happening.has_lost_machine:
            self._reaper(dead).reap(rounds=1)

    # The nets ---------------------------------------------------------------------------------

    def _reaper(self, dead: Worker) -> Reaper:
        orders = Orders(
            self._ground.endpoint,
            self._ground.facts,
            self._folder,
            dead.run.id,
            Path(),
            PARENT,
        )
        dead.machine.clock.sleep(GRACE_S)
        return Reaper(orders, dead.machine.ledger, dead.machine.clock)

    def _reap(self) -> None:
        if "reaper" not in self._nets or self._happening.has_lost_machine:
            return
        for worker in self._workers:
            if worker.is_dead:
                self._reaper(worker).reap()

    def _next_run(self) -> None:
        """A new run collects: on each machine, or after the leases' time on another one."""
        self._named.clear()
        if not self._happening.has_lost_machine:
            for machine in self._machines:
                self._collect(machine)
            return
        clock = self._ground.clock(self._rng.uniform(-120, 120))
        clock.sleep(LEASE_S + SKEW_S + 300)
        with Ledger(self._folder / "new", durable=False, clock=clock) as ledger:
            self._collect(Machine(ledger, clock))
        for machine in self._machines[1:]:
            self._collect(machine)

    def _collect(self, machine: Machine) -> None:
        ground = self._ground
        swept = collect(ground.api, ground.facts, machine.ledger, pool=PARENT, clock=machine.clock)
        self._named += [str(left) for left in swept.leftovers]

    def _help(self) -> None:
        """A person frees what no token may: a guest whose create's worker was killed.

        Its lock stays for ever, and the sweep has named it.
        """
        if self._clean_after != NOBODY or self._plan.event.name != "task killed":
            return
        simulator = self._ground.simulator
        named = " ".join(self._named)
        for machine in self._machines:
            for lease in machine.ledger.leases(self._ground.facts.url):
                guest = simulator.guest(lease.vmid)
                if guest is not None and guest.lock and f"/{int(lease.vmid)}" in named:
                    self._ground.remove(lease.vmid)
            self._collect(machine)
        self._check("a person's help", demanded=True)

    # The verdict ------------------------------------------------------------------------------

    def _check(self, net: str, *, demanded: bool) -> None:
        if self._clean_after != NOBODY:
            return
        remains = self._remains()
        if not remains:
            self._clean_after = net
        elif demanded:
            told = "; ".join((*remains, *(f"said: {one}" for one in self._named)))
            self._wrong.append(f"not clean after {net}: {told}")
        elif net == "session end" and not any(w.is_dead or w.named for w in self._workers):
            self._wrong.append(f"left and not named: {'; '.join(remains)}")

    def _remains(self) -> list[str]:
        """What is on the Proxmox, or in the ledgers, that should not be."""
        pools_too = "session end" in self._nets
        left = self._ground.differences(pools_too=pools_too)
        url = self._ground.facts.url
        known = self._machines[1:] if self._happening.has_lost_machine else self._machines
        for machine in known:
            left += [f"lease {one} {one.state}" for one in machine.ledger.leases(url)]
            if pools_too:
                left += [f"block {one.pool}" for one in machine.ledger.holdings.blocks(url)]
        return left
