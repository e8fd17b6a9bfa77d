"""A worker of a case: a process of a run as far as the sandbox can tell, and its end."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.campaign.ground import PARENT, SPAN, Ground, Machine
from benchmarks.campaign.life import Life
from benchmarks.campaign.plan import Plan
from benchmarks.campaign.watch import Send, Trigger, Watched
from pytest_proxmox.errors import ProxmoxTestError
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.sandbox.sandbox import Sandbox


class TestFails(Exception):
    """A test's own failure, in the middle of a call."""

    __test__ = False


class Death(BaseException):
    """The process is gone; nothing of it runs any more."""


class Worker:
    """One process: takes its steps, then cleans up as the fixtures do, unless it dies."""

    def __init__(
        self,
        ground: Ground,
        machine: Machine,
        run: Run,
        steps: Sequence[str],
        rng: random.Random,
        trigger: Trigger | None = None,
    ) -> None:
        self.machine = machine
        self.run = run
        self.is_over = False
        self.is_dead = False
        self.is_cleaning = False
        self.named: list[str] = []
        self._ground = ground
        api = ground.api if trigger is None else Watched(ground.api, trigger)
        self.sandbox = Sandbox(
            api,
            ground.facts,
            machine.ledger,
            span=SPAN,
            run=run,
            pool=PARENT,
            clock=machine.clock,
        )
        self._steps = Life(self.sandbox, rng).take(steps)

    def step(self, *, nets: Sequence[str]) -> None:
        """Take the next step; after the last one, or an error, clean up."""
        try:
            next(self._steps)
        except Death:
            self.die()
        except (StopIteration, ProxmoxTestError, TestFails, KeyboardInterrupt):
            self.finish(nets=nets)

    def finish(self, *, nets: Sequence[str]) -> None:
        """End as a pytest process does: the fixtures' finalizers, then the session's sweep."""
        self.is_cleaning = self.is_over = True
        if not {"finalizer", "session end"} & set(nets):
            self.die()
            return
        try:
            for name, clear in (
                ("finalizer", self.sandbox.close),
                ("session end", self.sandbox.sweep_run),
            ):
                if name in nets:
                    self._clear(clear, is_last=name == "session end")
        except Death:
            self.die()

    def _clear(self, clear: Any, *, is_last: bool) -> None:
        try:
            found = [str(left) for left in clear()]
        except ProxmoxTestError as exc:
            found = [str(exc)]
        except (TestFails, KeyboardInterrupt):
            if is_last:
                raise Death from None  # broken off: its lifeline is cut without a bye
            return
        if is_last:
            self.named = found

    def die(self) -> None:
        """Be gone, as the operating system shows it to others."""
        self.is_over = self.is_dead = True
        facts, ledger = self._ground.facts, self.machine.ledger
        known = {run.worker for run in ledger.workers(self.run.id, facts.url)}
        if self.run.worker in known:
            gone = replace(self.run, born="gone")
            ledger.register(gone, target=facts.url, kind="real", user=facts.user)


class Happening:
    """What a plan's event does at its call."""

    def __init__(self, plan: Plan, ground: Ground, rng: random.Random) -> None:
        self._plan = plan
        self._ground = ground
        self._rng = rng
        self.workers: list[Worker] = []
        self.has_lost_machine = False
        self.was_in_clean_up = False

    def __call__(self, send: Send) -> Any:
        """Let it happen around one request."""
        self.was_in_clean_up = self.workers[0].is_cleaning
        return getattr(self, "_" + self._plan.event.sort)(send)

    def _maybe_send(self, send: Send) -> None:
        if self._plan.phase == "after":
            send()

    def _error(self, send: Send) -> Any:
        self._maybe_send(send)
        raise KeyboardInterrupt if self._plan.event.name == "Ctrl-C" else TestFails

    def _signal(self, send: Send) -> Any:
        answer = send() if self._plan.phase == "after" else None
        os.kill(os.getpid(), getattr(signal, self._plan.event.name))
        # The handler has raised by now, unless the process was cleaning up already.
        return answer if self._plan.phase == "after" else send()

    def _death(self, send: Send) -> Any:
        self._maybe_send(send)
        if self._plan.phase == "late":
            self._delay(send)
        if self._plan.event.name == "machine lost":
            self.has_lost_machine = True
            for worker in self.workers:
                worker.is_over = worker.is_dead = worker.is_dead or (
                    worker.machine is self.workers[0].machine
                )
        raise Death

    def _delay(self, send: Send) -> None:
        clock = self._ground.simulator.clock

        def arrive() -> None:
            try:
                send()
            except Exception as exc:  # noqa: BLE001  # nobody is left to hear the answer
                self._ground.wire.refused.append(str(exc))

        self._ground.wire.pending.append((clock.now() + self._rng.uniform(0, 10), arrive))

    def _fault(self, send: Send) -> Any:
        self._ground.simulator.faults.add(times=1, **self._plan.event.rule)
        return send()

    def _condition(self, send: Send) -> Any:
        rule = dict(self._plan.event.rule)
        if rule["effect"] == "node-offline":
            rule["node"] = self._ground.facts.node
        self._ground.simulator.faults.add(**rule)
        return send()

    def _rival(self, send: Send) -> Any:
        """Somebody makes a guest under a VMID that is ours, or about to be."""
        apps = {
            lease.vmid
            for worker in self.workers
            for lease in worker.machine.ledger.leases(self._ground.facts.url)
            if lease.maker == "test"
        }
        spans = self.workers[0].sandbox.ground.spans() or [SPAN]
        vmids = [vmid for span in spans for vmid in span if vmid not in apps]
        free = [vmid for vmid in vmids if self._ground.simulator.guest(vmid) is None]
        for vmid in free[:2]:
            self._ground.plant(vmid)
        return send()
