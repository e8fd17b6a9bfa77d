"""The campaign's report: how many cases of each event at each boundary, and who cleaned up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from benchmarks.campaign.boundaries import BOUNDARIES
from benchmarks.campaign.case import Verdict
from benchmarks.campaign.events import Event


@dataclass
class Report:
    """Counts of verdicts; ``told`` has a text for each with something wrong."""

    events: Sequence[Event]
    cells: Counter[tuple[str, str]] = field(default_factory=Counter)
    cleaners: Counter[tuple[str, str]] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    cases: int = 0
    kills: int = 0
    unfired: int = 0

    @classmethod
    def load(cls, path: Path | None, events: Sequence[Event]) -> Self:
        """Return the report that ``save`` wrote, an empty one where there is none."""
        report = cls(events)
        if path is not None and path.exists():
            said = json.loads(path.read_text())
            report.cells.update({(a, b): n for a, b, n in said["cells"]})
            report.cleaners.update({(a, b): n for a, b, n in said["cleaners"]})
            report.cases, report.kills = said["cases"], said["kills"]
            report.unfired, report.told = said["unfired"], said["told"]
        return report

    def save(self, path: Path) -> None:
        """Write everything down, so that the next part of the campaign goes on from here."""
        said = {
            "cells": [(*key, number) for key, number in self.cells.items()],
            "cleaners": [(*key, number) for key, number in self.cleaners.items()],
            "cases": self.cases,
            "kills": self.kills,
            "unfired": self.unfired,
            "told": self.told,
        }
        path.write_text(json.dumps(said))

    def add(self, verdict: Verdict) -> None:
        """Count one case."""
        self.cases += 1
        plan = verdict.plan
        if verdict.has_fired:
            self.cells[plan.boundary.name, plan.event.name] += 1
            self.kills += plan.event.sort == "kill"
        else:
            self.unfired += 1
        self.cleaners[plan.event.name, verdict.clean_after] += 1
        if verdict.wrong:
            self.told.append("\n    ".join((str(plan), *verdict.wrong)))

    @property
    def empty(self) -> list[str]:
        """The cells of the table that no case was in."""
        return [
            f"{event.name} at {boundary.name}"
            for boundary in BOUNDARIES
            for event in self.events
            if not self.cells[boundary.name, event.name]
        ]

    def render(self) -> str:
        """Return the tables and the sums."""
        nets = sorted({net for _, net in self.cleaners})
        clean = [[event.name, *(str(self.cleaners[event.name, net]) for net in nets)]
                 for event in self.events]  # fmt: skip
        cells = [
            [place.name, *(str(self.cells[place.name, event.name]) for event in self.events)]
            for place in BOUNDARIES
        ]
        head = [str(number) for number in range(1, len(self.events) + 1)]
        legend = ", ".join(f"{n} {event.name}" for n, event in enumerate(self.events, 1))
        return "\n".join(
            [
                "API boundary x event, cases in which it happened there:",
                f"({legend})",
                *_table([["", *head], *cells]),
                "",
                "clean after:",
                *_table([["", *nets], *clean]),
                "",
                f"{self.cases} cases, {self.kills} with a real kill, {self.unfired} in which the "
                f"event was never due, {len(self.empty)} empty cells, {len(self.told)} wrong",
            ]
        )


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
    lines = list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
