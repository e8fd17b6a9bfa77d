"""The formulas behind every verdict; docs/explanation/flakiness.md says where each comes from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from statistics import NormalDist, median
from typing import NamedTuple

CONFIDENCE = 0.95
JEFFREYS = 0.5  # both shapes of Jeffreys' prior for a probability
_TINY = 1e-300
_STEPS = 500


class Interval(NamedTuple):
    """A lower and an upper bound."""

    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, float) and self.low <= value <= self.high


def wilson(failures: int, runs: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Return Wilson's score interval for a rate; (0, 1) when nothing was run.

    Source: E. B. Wilson (1927), Probable inference, JASA 22.
    """
    if runs == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate = failures / runs
    centre = rate + z * z / (2 * runs)
    spread = z * math.sqrt(rate * (1 - rate) / runs + z * z / (4 * runs * runs))
    scale = 1 + z * z / runs
    low = 0.0 if failures == 0 else max(0.0, (centre - spread) / scale)
    high = 1.0 if failures == runs else min(1.0, (centre + spread) / scale)
    return Interval(low, high)


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return P(p <= x) for p ~ Beta(a, b): the regularised incomplete beta function.

    Source: Abramowitz and Stegun 26.5.8, evaluated by Lentz's method.
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly, its mirror does not
        return 1.0 - beta_cdf(1 - x, b, a)
    log_front = (
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    return min(1.0, math.exp(log_front) * _beta_fraction(x, a, b) / a)


def _beta_fraction(x: float, a: float, b: float) -> float:
    c = 1.0
    d = 1.0 / _off_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            d = 1.0 / _off_zero(1 + term * d)
            c = _off_zero(1 + term / c)
            change = c * d
            value *= change
        if abs(change - 1) < 1e-12:
            break
    return value


def _off_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def probability_above(threshold: float, failures: float, runs: float) -> float:
    """Return P(flake rate > threshold) after these runs, with Jeffreys' prior."""
    return 1.0 - beta_cdf(threshold, JEFFREYS + failures, JEFFREYS + runs - failures)


def posterior_mean(failures: float, runs: float) -> float:
    """Return the expected flake rate after these runs, with Jeffreys' prior."""
    return (JEFFREYS + failures) / (2 * JEFFREYS + runs)


def decayed(outcomes: Sequence[bool], *, half_life: float) -> tuple[float, float]:
    """Return failures and runs, each weighed down by its age: half after ``half_life`` runs."""
    factor = 0.5 ** (1 / half_life)
    failures = runs = 0.0
    for failed in outcomes:
        failures = failures * factor + failed
        runs = runs * factor + 1
    return failures, runs


def flips(outcomes: Sequence[bool]) -> int:
    """Return how often a pass follows a failure or a failure a pass."""
    return sum(before != after for before, after in pairwise(outcomes))


def flip_rate(outcomes: Sequence[bool]) -> float:
    """Return flips per chance to flip: 0 for steady, 1 for alternating outcomes.

    Source: Gruber et al. (2023), arXiv 2302.09330.
    """
    return flips(outcomes) / (len(outcomes) - 1) if len(outcomes) > 1 else 0.0


def clean_bound(runs: int, *, confidence: float = CONFIDENCE) -> float:
    """Return the rate that this many runs without a failure leave possible.

    The exact form of the rule of three: ``1 - (1 - confidence) ** (1 / runs)``, about 3 / runs.
    Source: Hanley and Lippman-Hand (1983), JAMA 249.
    """
    return 1.0 if runs <= 0 else 1.0 - (1.0 - confidence) ** (1.0 / runs)


def failure_bound(failures: int, runs: int, *, confidence: float = CONFIDENCE) -> float:
    """Return the one-sided upper bound of Clopper and Pearson; ``clean_bound`` for no failure."""
    if failures >= runs:
        return 1.0
    low, high = failures / runs, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        above = beta_cdf(middle, failures + 1, runs - failures) < confidence
        low, high = (middle, high) if above else (low, middle)
    return high


def runs_to_see(rate: float, *, confidence: float = CONFIDENCE) -> int:
    """Return how many runs show a flake of this rate at least once, with this confidence."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-rate) - 1e-9)


def hidden_by_reruns(rate: float, reruns: int) -> float:
    """Return the chance that a bug that shows at this rate ends as a pass on retry."""
    return 1 - rate ** (reruns + 1)


def red_runs(rates: Iterable[float], reruns: int = 0) -> float:
    """Return the chance that a run is red although only flakes fail."""
    return 1 - math.prod(1 - rate ** (reruns + 1) for rate in rates)


class Trend(NamedTuple):
    """How a duration changes: seconds per run, and whether that is more than noise."""

    slope_s: float
    p_value: float

    @property
    def is_real(self) -> bool:
        """Whether chance alone would rarely show such a trend."""
        return self.p_value < 1 - CONFIDENCE


def trend(durations_s: Sequence[float]) -> Trend:
    """Return the Theil-Sen slope with the p-value of Mann and Kendall's test.

    Both ignore outliers, of which durations have many. Sources: Sen (1968), JASA 63;
    Kendall (1975), Rank Correlation Methods (normal approximation, ties counted).
    """
    count = len(durations_s)
    if count < 4:
        return Trend(0.0, 1.0)
    slopes = []
    score = 0
    for (i, early), (j, late) in combinations(enumerate(durations_s), 2):
        slopes.append((late - early) / (j - i))
        score += (late > early) - (late < early)
    ties = [durations_s.count(value) for value in set(durations_s)]
    variance = (
        count * (count - 1) * (2 * count + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)
    ) / 18
    if variance <= 0:
        return Trend(0.0, 1.0)
    z = (score - (score > 0) + (score < 0)) / math.sqrt(variance)
    return Trend(median(slopes), 2 * (1 - NormalDist().cdf(abs(z))))


class Cluster(NamedTuple):
    """Tests that fail together: one cause is likelier than many."""

    tests: tuple[int, ...]
    runs: int


def clusters(
    failing: Mapping[int, frozenset[int]], *, similarity: float = 0.6, least_runs: int = 2
) -> list[Cluster]:
    """Return groups of tests that fail in the same runs, the largest first.

    ``failing`` has the runs in which each test failed. Two tests are tied when they share
    ``least_runs`` runs and their Jaccard index (shared runs by all their runs) is at least
    ``similarity``; a cluster is what ties connect. Source: Parry et al. (2025), arXiv 2504.16777.
    """
    alike: dict[frozenset[int], list[int]] = {}
    for test, runs in sorted(failing.items()):
        if len(runs) >= least_runs:
            alike.setdefault(runs, []).append(test)
    groups = list(alike)  # tests with the very same runs are one group at once
    parent = list(range(len(groups)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in combinations(range(len(groups)), 2):
        shared = len(groups[i] & groups[j])
        if shared >= least_runs and shared >= similarity * len(groups[i] | groups[j]):
            parent[root(j)] = root(i)
    joined: dict[int, list[int]] = {}
    for i in range(len(groups)):
        joined.setdefault(root(i), []).append(i)
    found = [
        Cluster(
            tuple(sorted(test for i in members for test in alike[groups[i]])),
            len(frozenset.union(*(groups[i] for i in members))),
        )
        for members in joined.values()
    ]
    return sorted((c for c in found if len(c.tests) > 1), key=lambda c: (-len(c.tests), c.tests))
