"""A victim: a real process of a run, which kills itself at one of its calls."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.campaign.ground import PARENT, SPAN
from benchmarks.campaign.life import LONG_S, Life
from benchmarks.campaign.watch import Send, Trigger, Watched
from pytest_proxmox.clock import SystemClock
from pytest_proxmox.errors import ProxmoxTestError
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.nets import spread
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.facts import TargetFacts
from pytest_proxmox.target.session import connect

CRASHED = 70  # the status of a process that ended itself
UNDER_WAY_S = 0.004  # how long an answer takes here: the kill comes while it is being made


@dataclass(frozen=True, slots=True)
class Part:
    """What one process of a killed run is told. Without a ``boundary`` it lives to its end.

    ``grace_s`` is its reaper's, None where it has no reaper.
    """

    endpoint: Endpoint
    facts: TargetFacts
    ledger: Path
    run: str
    worker: str
    steps: Sequence[str]
    seed: str
    grace_s: float | None
    boundary: str = ""
    nth: int = 1
    phase: str = "before"
    event: str = "SIGKILL"


class LeapingClock(SystemClock):
    """The machine's clock, which leaps over the long waits of long tests."""

    def __init__(self) -> None:
        self._leapt_s = 0.0

    def now(self) -> float:
        """Return the wall time, the leaps added."""
        return super().now() + self._leapt_s

    def sleep(self, duration_s: float) -> None:
        """Wait, or leap where a test takes its time."""
        if duration_s >= LONG_S:
            self._leapt_s += duration_s
        else:
            super().sleep(duration_s)


def live(part: Part) -> None:
    """Live the part's life: to its call, or to its end."""
    rng = random.Random(part.seed)
    trigger = Trigger(part.boundary, part.nth, _Kill(part, rng))
    with Ledger(part.ledger, durable=False) as ledger:
        sandbox = Sandbox(
            Watched(connect(part.endpoint), trigger),
            part.facts,
            ledger,
            span=SPAN,
            run=Run.here(part.run, worker=part.worker),
            pool=PARENT,
            clock=LeapingClock(),
        ).open()
        if part.grace_s is None:
            _live(sandbox, part, rng)
            return
        with spread(sandbox, part.endpoint, pool=PARENT, grace_s=part.grace_s):
            _live(sandbox, part, rng)


def _live(sandbox: Sandbox, part: Part, rng: random.Random) -> None:
    try:
        for _ in Life(sandbox, rng).take(part.steps):
            continue
    except ProxmoxTestError as exc:
        print(f"{part.run} {part.worker}: {exc}", flush=True)  # as a failing test would be shown
    sandbox.close()
    sandbox.sweep_run()


class _Kill:
    """Ends this process around, or in the middle of, one request."""

    def __init__(self, part: Part, rng: random.Random) -> None:
        self._part = part
        self._rng = rng

    def __call__(self, send: Send) -> Any:
        if self._part.phase == "after":
            send()
        elif self._part.phase == "late":
            threading.Timer(self._rng.uniform(0, UNDER_WAY_S), self._end).start()
            send()
        self._end()

    def _end(self) -> NoReturn:
        if self._part.event == "SIGKILL":
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(CRASHED)
