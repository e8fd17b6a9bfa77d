"""Measures a subject against a peer in alternating pairs, and says whether the bound holds.

A ratio of two things measured in the same minute survives a busy machine; an absolute time does
not. The order changes with every pair, so that a drift favours neither side, and the verdict is
the median's: one disturbed pair does not decide.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

PAIRS_LEAST = 7

Measure = Callable[[], float]  # one reading, in any unit that both sides share


@dataclass(frozen=True, slots=True)
class Bound:
    """Where the median ratio has to lie: at most or at least a limit."""

    limit: float
    at_least: bool = False

    def holds(self, ratio: float) -> bool:
        """Return whether ``ratio`` lies on the right side of the limit, the limit included."""
        return ratio >= self.limit if self.at_least else ratio <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """One benchmark's result: subject over peer, one ratio for each pair."""

    name: str
    peer: str
    ratios: tuple[float, ...]
    bound: Bound

    @property
    def ratio(self) -> float:
        """The median of the pairs' ratios."""
        return statistics.median(self.ratios)

    @property
    def holds(self) -> bool:
        """Whether the median keeps the bound."""
        return self.bound.holds(self.ratio)

    def cells(self) -> tuple[str, ...]:
        """Return the row as the texts of its columns, in the order of ``COLUMNS``."""
        spread = f"{min(self.ratios):.3f} to {max(self.ratios):.3f}"
        return (
            self.name,
            self.peer,
            f"{self.ratio:.3f}",
            spread,
            str(len(self.ratios)),
            str(self.bound),
            "holds" if self.holds else "BROKEN",
        )


COLUMNS = ("benchmark", "against", "ratio", "spread", "pairs", "bound", "verdict")


def seconds(work: Callable[[], object]) -> Measure:
    """Return a measure that runs ``work`` once and reads the seconds it took."""

    def measure() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return measure


def at_most(limit: float) -> Bound:
    """Return the bound of a cost: the subject may take ``limit`` times the peer."""
    return Bound(limit)


def at_least(limit: float) -> Bound:
    """Return the bound of a gain: the subject must reach ``limit`` times the peer."""
    return Bound(limit, at_least=True)


def compare(
    name: str,
    subject: Measure,
    peer: Measure,
    *,
    against: str,
    bound: Bound,
    pairs: int = PAIRS_LEAST,
) -> Row:
    """Return the row of ``subject`` over ``peer``, after one unmeasured reading of each.

    Raises:
        ValueError: fewer than seven pairs, which show no spread worth the name.
    """
    if pairs < PAIRS_LEAST:
        raise ValueError(f"{name}: {pairs} pairs are too few; take {PAIRS_LEAST} or more")
    subject(), peer()
    ratios = []
    for number in range(pairs):
        if number % 2:
            below, above = peer(), subject()
        else:
            above, below = subject(), peer()
        ratios.append(above / below)
    return Row(name, against, tuple(ratios), bound)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in plain text, a line each under one of headings."""
    lines = [COLUMNS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def run(
    mains: Iterable[Callable[[], Sequence[Row]]],
    *,
    keep: Callable[[str, Sequence[Row]], None] | None = None,
) -> int:
    """Run each benchmark, print one table, and return 1 when a bound is broken, else 0.

    ``keep`` is given each benchmark's name and rows as soon as it ends: a later one may fail.
    """
    rows: list[Row] = []
    for main in mains:
        print(f"measuring {main.__module__} ...", file=sys.stderr, flush=True)
        found = main()
        rows += found
        if keep is not None:
            keep(main.__module__.rpartition(".")[2], found)
    print(table(rows))
    return 0 if all(row.holds for row in rows) else 1
