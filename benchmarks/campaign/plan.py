"""The plan of one case, from its seed and number: who does what, and what happens where."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.campaign.boundaries import BOUNDARIES, Boundary
from benchmarks.campaign.events import EVENTS, Event

PHASES: Final = ("before", "after", "late")


@dataclass(frozen=True, slots=True)
class Plan:
    """One case. ``workers`` has for each run how many processes it consists of.

    ``nth`` is which call of the boundary's kind it is. In the ``late`` phase the process is gone
    when its request arrives. ``lasts`` says that a condition goes on through the clean-up.
    """

    seed: int
    number: int
    boundary: Boundary
    event: Event
    nth: int
    phase: str
    workers: tuple[int, ...]
    shares_machine: bool
    lasts: bool

    def rng(self, purpose: str) -> random.Random:
        """Return random numbers for one purpose, the same for the same case."""
        return random.Random(f"{self.seed}/{self.number}/{purpose}")

    def sooner(self) -> Plan:
        """Return the plan with its event at the first call of the kind."""
        return replace(self, nth=1)

    def __str__(self) -> str:
        return (
            f"seed {self.seed} case {self.number}: {self.event.name} at call {self.nth} of "
            f'"{self.boundary.name}" ({self.phase})'
        )


def plan(seed: int, number: int, events: tuple[Event, ...] = EVENTS) -> Plan:
    """Return a case's plan; the numbers go through all events at all boundaries in turn."""
    rng = random.Random(f"{seed}/{number}")
    event = events[number % len(events)]
    boundary = BOUNDARIES[number // len(events) % len(BOUNDARIES)]
    is_death = event.sort == "death"
    return Plan(
        seed,
        number,
        boundary,
        event,
        nth=rng.choice((1, 1, 2, 3, 5)),
        phase=rng.choice(PHASES if is_death else PHASES[:2]),
        workers=tuple(rng.choice((1, 1, 2, 3)) for _ in range(rng.choice((1, 1, 2)))),
        shares_machine=rng.random() < 0.5,
        lasts=rng.random() < 0.5,
    )
