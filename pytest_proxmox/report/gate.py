"""The gate: bounds that the last run and the history must keep, or a pipeline ends here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.flaky import verdicts
from pytest_proxmox.report import coverage
from pytest_proxmox.report.coverage import Covered
from pytest_proxmox.report.figures import Figures

_LEAST = ("pass_rate", "coverage")  # the others are bounds from above
NAMES = ("pass_rate", "flaky", "broken", "coverage", "leftovers", "failed", "reruns")


class Finding(NamedTuple):
    """One bound: the value found, whether it is kept, and what broke it."""

    name: str
    bound: float
    value: float | None
    culprits: tuple[str, ...] = ()

    @property
    def is_kept(self) -> bool:
        """Whether the value lies on the right side; an unknown value does not."""
        if self.value is None:
            return False
        return self.value >= self.bound if self.name in _LEAST else self.value <= self.bound

    def __str__(self) -> str:
        sign = ">=" if self.name in _LEAST else "<="
        value = "unknown" if self.value is None else f"{self.value:g}"
        line = (
            f"{'ok    ' if self.is_kept else 'BROKEN'} {self.name} {value} ({sign} {self.bound:g})"
        )
        return (
            line if self.is_kept else "\n".join((line, *(f"         {c}" for c in self.culprits)))
        )


def parse(text: str) -> dict[str, float]:
    """Return the bounds of ``name=number,...``.

    Raises:
        InvalidValue: a name is unknown, or a bound is no number.
    """
    bounds: dict[str, float] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, _, number = part.partition("=")
        try:
            if name not in NAMES:
                raise ValueError
            bounds[name] = float(number)
        except ValueError as exc:
            raise InvalidValue(
                f'"{part}" is no bound',
                origin="option --gate",
                hint=f"Write NAME=NUMBER; names are {', '.join(NAMES)}",
            ) from exc
    if not bounds:
        raise InvalidValue("no bound is given", origin="option --gate", hint="E.g. flaky=0")
    return bounds


def check(
    bounds: dict[str, float], figures: Figures, modules: Sequence[Covered] = ()
) -> list[Finding]:
    """Return each bound with its value."""
    last = figures.last
    bad = tuple(a.nodeid for a in figures.latest if a.final and a.is_bad)
    left = last.run.figures.get("leftovers", 0.0)
    cover = coverage.total(list(modules)).percent if modules else None
    least = sorted(modules, key=lambda one: one.percent)[:5]
    flaky = tuple(test.nodeid for test in figures.flaky)
    broken = tuple(test.nodeid for test in figures.in_state(verdicts.BROKEN))
    reruns = tuple(sorted({a.nodeid for a in figures.latest if not a.final}))
    values: dict[str, Callable[[], tuple[float | None, tuple[str, ...]]]] = {
        "pass_rate": lambda: (last.pass_rate, bad),
        "failed": lambda: (len(bad), bad),
        "flaky": lambda: (len(flaky), flaky),
        "broken": lambda: (len(broken), broken),
        "reruns": lambda: (sum(not a.final for a in figures.latest), reruns),
        "leftovers": lambda: (left, ("run: pytest-proxmox leases",)),
        "coverage": lambda: (
            cover,
            tuple(f"{one.module}: {one.percent:.1f} %" for one in least)
            or ("no coverage was given: --coverage coverage.json",),
        ),
    }
    return [Finding(name, bound, *values[name]()) for name, bound in bounds.items()]
