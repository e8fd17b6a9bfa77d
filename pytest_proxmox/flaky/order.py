"""Finds the test that makes another one fail: polluter, victim, and the cleaner between them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pytest_proxmox.flaky.ordering import shuffled
from pytest_proxmox.flaky.runs import Outcomes, Runner

ORDERS = 5  # the given one among them; with more, the bound would not hold for every size


class Pollution(NamedTuple):
    """A victim with what explains its failure; ``runs`` is what finding it cost.

    ``polluters`` are the tests that must run before it (mostly one), empty where it fails
    alone too. ``cleaner`` is a test that, run between them, lets the victim pass.
    """

    victim: str
    polluters: tuple[str, ...]
    cleaner: str | None
    runs: int

    @property
    def fails_alone(self) -> bool:
        """Whether no other test is to blame."""
        return not self.polluters

    @property
    def reproducer(self) -> tuple[str, ...]:
        """The tests to run, in this order, to see it."""
        return (*self.polluters, self.victim)


def most_runs(tests: int) -> int:
    """Return the bound on the runs for one victim with one polluter among so many tests."""
    return math.floor(2 * math.log2(max(2, tests)) + 10)


class Search:
    """One search; ``say`` is told what happens."""

    def __init__(self, runner: Runner, *, say: Callable[[str], None]) -> None:
        self._runner = runner
        self._say = say
        self._runs = 0
        self._given: Outcomes | None = None

    def failing_order(self, *, seed: int | None = None, victim: str | None = None) -> Outcomes:
        """Return a run in which something, or the victim, failed.

        That is the run of the random order ``seed`` where one is named; else that of the given
        order or, where it shows no failure, of the first of a few others.
        """
        if seed is not None:
            return self._seeded(seed)
        found = self._given = self._whole(None, "the given order")
        others = _others(found.collected, victim)
        while not (victim in found.failed or (victim is None and found.failed)):
            name, order = next(others, ("", None))
            if order is None:
                break
            found = self._whole(order, name)
        return found

    def explain(self, victim: str, seen: Outcomes) -> Pollution:
        """Return what makes ``victim`` fail in the order that was seen to fail."""
        shared = self._runs
        if self._fails([victim]):
            return Pollution(victim, (), None, self._runs)
        before = list(seen.collected[: seen.collected.index(victim)])
        polluters = self._polluters(before, victim)
        cleaner = self._cleaner(polluters, seen, victim) if len(polluters) == 1 else None
        self._say(f"{victim}: explained after {self._runs} runs ({self._runs - shared} its own)")
        return Pollution(victim, tuple(polluters), cleaner, self._runs)

    def _polluters(self, before: list[str], victim: str) -> list[str]:
        found = before
        while len(found) > 1:
            first, second = _halves(found)
            # One of them is enough where one test is to blame; the end tells if it was not.
            found = first if self._fails([*first, victim]) else second
            self._say(f"{victim}: {len(found)} tests may be to blame")
        if found and self._fails([*found, victim]):
            return found
        return self._minimal(before, victim)

    def _minimal(self, before: list[str], victim: str) -> list[str]:
        """Several tests together are to blame: leave out what can be (ddmin, Zeller 2002)."""
        if not self._fails([*before, victim]):
            return []
        kept = before
        parts = 2
        while len(kept) > 1:
            for chunk in _chunks(kept, parts):
                rest = [test for test in kept if test not in chunk]
                if self._fails([*rest, victim]):
                    kept, parts = rest, max(parts - 1, 2)
                    break
            else:
                if parts >= len(kept):
                    break
                parts = min(2 * parts, len(kept))
        return kept

    def _cleaner(self, polluters: list[str], seen: Outcomes, victim: str) -> str | None:
        [polluter] = polluters
        others = self._between(polluter, victim, seen)
        if not others or self._fails([polluter, *others, victim]):
            return None
        while len(others) > 1:
            first, second = _halves(others)
            others = second if self._fails([polluter, *first, victim]) else first
        return others[0]

    def _between(self, polluter: str, victim: str, seen: Outcomes) -> list[str]:
        """The tests that may clean up: where the given order passes, those that stood between."""
        given = self._given
        if given is not None and given.outcomes.get(victim) == "passed":
            order = list(given.collected)
            low, high = order.index(polluter), order.index(victim)
            if low < high:
                return order[low + 1 : high]
        return [test for test in seen.collected if test not in (polluter, victim)]

    def _seeded(self, seed: int) -> Outcomes:
        self._runs += 1
        return self._told(self._runner.run(seed=seed), f"random order {seed}")

    def _whole(self, order: Sequence[str] | None, name: str) -> Outcomes:
        self._runs += 1
        return self._told(self._runner.run(order), name)

    def _told(self, found: Outcomes, name: str) -> Outcomes:
        self._say(f"{name}: {len(found.failed)} of {len(found.collected)} tests fail")
        return found

    def _fails(self, tests: Sequence[str]) -> bool:
        self._runs += 1
        return self._runner.run(tests).outcomes.get(tests[-1]) == "failed"


def _others(given: Sequence[str], victim: str | None) -> Iterator[tuple[str, list[str]]]:
    """Yield the orders that are tried after the given one, each with its name.

    Each order is followed by its reverse, so that either test of a pair comes first once. A victim
    that is known comes last: of an order and its reverse, one then has the polluter behind the
    cleaner, and shows the failure for certain.
    """
    tests = [test for test in given if test != victim]
    last = [victim] if victim in given and victim is not None else []
    yielded = 1
    for seed in itertools.count():
        order = shuffled(tests, seed) if seed else tests
        name = f"random order {seed}" if seed else "the given order"
        both = [(name, order), (f"{name} reversed", order[::-1])]
        for name, one in both if last or seed else both[1:]:
            if yielded == ORDERS:
                return
            yielded += 1
            yield f"{name}, the victim last" if last else name, [*one, *last]


def _halves(tests: list[str]) -> tuple[list[str], list[str]]:
    middle = len(tests) // 2
    return tests[:middle], tests[middle:]


def _chunks(tests: list[str], parts: int) -> Iterator[list[str]]:
    size = math.ceil(len(tests) / parts)
    for start in range(0, len(tests), size):
        yield tests[start : start + size]
