"""Kills: cases whose runs are real processes, which really die, on a Proxmox over HTTPS."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from dataclasses import replace
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Final

from benchmarks.campaign.case import NOBODY, Verdict
from benchmarks.campaign.ground import PARENT, Ground, laid
from benchmarks.campaign.life import steps_for
from benchmarks.campaign.plan import Plan
from benchmarks.campaign.victim import CRASHED, Part, live
from pytest_proxmox.clock import SystemClock
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.removal import Patience
from pytest_proxmox.sandbox.sweep import collect

GRACE_S: Final = 1.0
END_S: Final = 300.0  # for a life, and for a reaper after it, on a busy machine
POLL_S: Final = 0.05


def forkserver() -> ForkServerContext:
    """Return what starts processes that have everything imported already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.campaign.victim", "proxmoxer.backends.https"])
    return context


def play(
    plan: Plan, context: ForkServerContext, *, grace_s: float = GRACE_S, reapers: bool = True
) -> Verdict:
    """Return how a case with a real kill ended; without reapers the next run must clean up."""
    verdict = _play(plan, context, grace_s if reapers else None)
    if not verdict.has_fired and plan.nth > 1:
        verdict = _play(plan.sooner(), context, grace_s if reapers else None)
    return verdict


def _play(plan: Plan, context: ForkServerContext, grace_s: float | None) -> Verdict:
    with (
        laid(plan.rng("ground"), over_sockets=True) as ground,
        tempfile.TemporaryDirectory(prefix="kill-") as name,
        Ledger(Path(name), durable=False) as ledger,
    ):
        kill = _Kill(plan, ground, ledger, grace_s)
        has_died = kill.live(context)
        wrong: list[str] = []
        net = "session end"
        if grace_s is not None and has_died:
            net = "reaper"
            wrong += kill.wait_for_reapers()
        if grace_s is not None and (remains := kill.remains()):
            wrong.append(f"not clean after {net}: {'; '.join(remains)}")
        if grace_s is None:
            net = "next run"
            wrong += kill.collect()
        ended = NOBODY if wrong else net
        return Verdict(plan, has_died, ended, tuple(wrong))


class _Kill:
    """One case: its processes, and what they leave."""

    def __init__(self, plan: Plan, ground: Ground, ledger: Ledger, grace_s: float | None) -> None:
        self._plan = plan
        self._ground = ground
        self._ledger = ledger
        self._rng = plan.rng("kill")
        self._parts = self._cast(grace_s)
        self._clock = SystemClock()

    def _cast(self, grace_s: float | None) -> list[Part]:
        made: list[Part] = []
        for number, size in enumerate(self._plan.workers):
            for name in range(min(size, 2)):
                needs = self._plan.boundary.needs if not made else ("container",)
                part = Part(
                    self._ground.endpoint,
                    self._ground.facts,
                    self._ledger.path.parent,
                    f"run-{number}",
                    f"gw{name}",
                    steps_for(needs, self._rng),
                    seed=f"{self._plan.seed}/{self._plan.number}/{number}/{name}",
                    grace_s=grace_s,
                )
                made.append(part if made else self._doomed(part))
        return made

    def _doomed(self, part: Part) -> Part:
        phase = self._rng.choice(("before", "after", "late"))
        return replace(
            part,
            boundary=self._plan.boundary.name,
            nth=self._plan.nth,
            phase=phase,
            event=self._plan.event.name,
        )

    def live(self, context: ForkServerContext) -> bool:
        """Let all processes live to their ends, and say whether the doomed one died.

        In half of the cases with it dies the rest of its run, as when a whole group is killed.
        """
        processes = [context.Process(target=live, args=(part,)) for part in self._parts]
        for process in processes:
            process.start()
        processes[0].join(END_S)
        has_died = processes[0].exitcode in (-signal.SIGKILL, CRASHED)
        if has_died and self._rng.random() < 0.5:
            self._kill_group(processes)
        for process in processes[1:]:
            process.join(END_S)
        for process in processes:
            if process.exitcode is None:
                process.kill()
                raise TimeoutError(f"{self._plan}: a worker did not end in {END_S:.0f} s")
        return has_died

    def _kill_group(self, processes: list[ForkServerProcess]) -> None:
        for process, part in zip(processes, self._parts, strict=True):
            if part.run == self._parts[0].run and process.is_alive() and process.pid:
                os.kill(process.pid, signal.SIGKILL)

    def wait_for_reapers(self) -> list[str]:
        """Wait until the runs' reapers have ended; return which of them did not."""
        end = self._clock.monotonic() + END_S
        url = self._ground.facts.url
        for run in {part.run for part in self._parts}:
            while self._ledger.reaper(run, url) is not None:
                if self._clock.monotonic() > end:
                    return [f"the reaper of {run} still works after {END_S:.0f} s"]
                self._clock.sleep(POLL_S)
        return []

    def collect(self) -> list[str]:
        """Return what the next run's sweep leaves."""
        swept = collect(
            self._ground.api,
            self._ground.facts,
            self._ledger,
            pool=PARENT,
            patience=Patience(request=1.0),
        )
        told = [f"the next run left {left}" for left in swept.leftovers]
        return told + self.remains()

    def remains(self) -> list[str]:
        """Return what is on the Proxmox, or in the ledger, that should not be."""
        url = self._ground.facts.url
        left = self._ground.differences()
        left += [f"lease {one} {one.state}" for one in self._ledger.leases(url)]
        return left + [f"block {one.pool}" for one in self._ledger.holdings.blocks(url)]
