"""The formulas give the values that textbooks and tables print, and hold in simulation."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_proxmox.flaky import statistics as stats


@pytest.mark.parametrize(
    ("failures", "runs", "low", "high"),
    [  # Newcombe (1998), Statistics in Medicine 17, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
    ids=str,
)
def test_wilson_gives_the_values_of_newcombes_table(
    failures: int, runs: int, low: float, high: float
) -> None:
    assert stats.wilson(failures, runs) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("x", "a", "b", "expected"),
    [
        (0.5, 2, 2, 0.5),  # symmetric
        (0.3, 1, 1, 0.3),  # uniform
        (0.2, 1, 5, 1 - 0.8**5),  # closed form
        (0.4, 3, 1, 0.4**3),
        (0.5, 0.5, 0.5, 0.5),  # arcsine
        (0.25, 0.5, 0.5, 1 / 3),  # 2/pi * asin(sqrt(x))
        (0.1, 2, 8, 0.2251590),  # 1 - 0.9^9 - 9 * 0.1 * 0.9^8
    ],
    ids=str,
)
def test_beta_distribution_has_its_closed_forms(
    x: float, a: float, b: float, expected: float
) -> None:
    assert stats.beta_cdf(x, a, b) == pytest.approx(expected, abs=1e-7)


@given(st.floats(0.001, 0.999), st.floats(0.5, 300), st.floats(0.5, 300))
def test_beta_distribution_is_its_mirror(x: float, a: float, b: float) -> None:
    assert stats.beta_cdf(x, a, b) + stats.beta_cdf(1 - x, b, a) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("rate", "runs"), [(0.1, 29), (0.05, 59), (0.01, 299)])
def test_runs_to_see_a_flake(rate: float, runs: int) -> None:
    assert stats.runs_to_see(rate) == runs


@pytest.mark.parametrize(("runs", "bound"), [(10, 0.2589), (60, 0.0487), (300, 0.00994)])
def test_clean_runs_bound_the_rate_near_three_by_n(runs: int, bound: float) -> None:
    assert stats.clean_bound(runs) == pytest.approx(bound, abs=5e-5)
    assert stats.clean_bound(runs) < 3 / runs


def test_failure_bound_continues_the_clean_bound() -> None:
    assert stats.failure_bound(0, 60) == pytest.approx(stats.clean_bound(60), abs=1e-6)
    assert stats.failure_bound(1, 10) == pytest.approx(0.3942, abs=1e-4)  # Clopper-Pearson
    assert stats.failure_bound(3, 3) == 1.0


def test_two_reruns_hide_seven_eighths_of_a_bug_that_shows_half_the_time() -> None:
    assert stats.hidden_by_reruns(0.5, 2) == 0.875


@pytest.mark.parametrize(("reruns", "red"), [(0, 0.99996), (1, 0.0952), (2, 0.0010)])
def test_a_thousand_flakes_of_one_percent(reruns: int, red: float) -> None:
    assert stats.red_runs([0.01] * 1000, reruns) == pytest.approx(red, abs=5e-5)


@pytest.mark.parametrize(
    ("text", "flips", "rate"),
    [("", 0, 0), ("P", 0, 0), ("PPPP", 0, 0), ("PFPF", 3, 1), ("PPFFP", 2, 0.5)],
)
def test_flips_are_changes_between_neighbours(text: str, flips: int, rate: float) -> None:
    outcomes = [letter == "F" for letter in text]
    assert (stats.flips(outcomes), stats.flip_rate(outcomes)) == (flips, rate)


def test_decay_halves_what_is_old() -> None:
    failures, runs = stats.decayed([True, False], half_life=1)
    assert (failures, runs) == (0.5, 1.5)


def test_trend_is_that_of_mann_and_kendall() -> None:
    rising = stats.trend([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])  # S = 45, z = 44 / sqrt(125)
    assert rising.slope_s == 1
    assert rising.p_value == pytest.approx(8.3e-5, rel=0.01)
    assert rising.is_real
    assert not stats.trend([3, 1, 2, 3, 1, 2, 2, 3, 1]).is_real
    assert not stats.trend([5.0] * 20).is_real


def test_trend_ignores_one_outlier() -> None:
    assert stats.trend([1, 1.1, 0.9, 50, 1, 1.05, 0.95, 1.1, 1]).slope_s == pytest.approx(
        0, abs=0.02
    )


def test_tests_that_fail_together_are_a_cluster() -> None:
    failing = {
        1: frozenset({3, 7, 9}), 2: frozenset({3, 7, 9}), 3: frozenset({3, 7}),
        4: frozenset({1, 5}), 5: frozenset({2}), 6: frozenset({2}),
    }  # fmt: skip
    assert stats.clusters(failing) == [stats.Cluster((1, 2, 3), 3)]


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.4])
def test_wilson_and_posterior_cover_the_true_rate_in_simulation(rate: float) -> None:
    draw = random.Random(round(rate * 1000))
    covered = below = 0
    for _ in range(2000):
        failures = sum(draw.random() < rate for _ in range(60))
        covered += rate in stats.wilson(failures, 60)
        below += stats.probability_above(rate, failures, 60) > 0.95
    assert covered / 2000 == pytest.approx(0.95, abs=0.035)
    assert below / 2000 <= 0.075  # says "above" wrongly about one time in twenty


def test_clean_bound_holds_in_simulation() -> None:
    draw = random.Random(1)
    rate = stats.clean_bound(30)
    clean = sum(all(draw.random() >= rate for _ in range(30)) for _ in range(4000))
    assert clean / 4000 == pytest.approx(0.05, abs=0.012)


def test_an_interval_has_both_its_bounds() -> None:
    interval = stats.Interval(0.25, 0.5)

    assert [value in interval for value in (0.25, 0.5, 0.24, 0.51)] == [True, True, False, False]
    assert 1 not in stats.Interval(0.0, 2.0)  # a count is no rate


def test_wilson_of_all_none_and_nothing() -> None:
    assert stats.wilson(0, 0) == (0.0, 1.0)
    assert stats.wilson(5, 5).high == 1.0
    assert stats.wilson(1, 1) == pytest.approx((0.2065, 1.0), abs=5e-5)
    assert stats.wilson(15, 148, confidence=0.5) == pytest.approx((0.0858, 0.1193), abs=5e-5)


@pytest.mark.parametrize(("x", "expected"), [(-1, 0), (0, 0), (1, 1), (2, 1)], ids=str)
def test_beta_distribution_is_all_between_0_and_1(x: float, expected: float) -> None:
    assert stats.beta_cdf(x, 2, 3) == expected


def binomial_tail(x: float, a: int, b: int) -> float:
    """P(X >= a) of a + b - 1 throws, which is the beta distribution of whole numbers."""
    n = a + b - 1
    return math.fsum(math.comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(a, n + 1))


@pytest.mark.parametrize("a", [1, 2, 7, 40, 150])
@pytest.mark.parametrize("b", [1, 3, 8, 60, 200])
def test_beta_distribution_of_whole_numbers_is_the_binomials(a: int, b: int) -> None:
    mean = a / (a + b)
    for x in (0.001, mean / 2, mean, (1 + mean) / 2, 0.999):
        assert stats.beta_cdf(x, a, b) == pytest.approx(binomial_tail(x, a, b), rel=1e-10)


def test_the_posterior_starts_at_jeffreys_prior() -> None:
    assert stats.posterior_mean(0, 0) == 0.5
    assert stats.posterior_mean(1, 4) == 0.3
    assert stats.probability_above(0.5, 0, 0) == pytest.approx(0.5)
    assert stats.probability_above(0.25, 0, 0) == pytest.approx(2 / 3)
    assert stats.probability_above(0.1, 1.5, 9.5) == pytest.approx(  # Beta(2, 8.5)
        0.9**8.5 * (1 + 8.5 * 0.1), abs=1e-9
    )


def test_decay_goes_by_the_half_life() -> None:
    assert stats.decayed([], half_life=3) == (0.0, 0.0)
    failures, runs = stats.decayed([True, True, False, False], half_life=2)
    assert failures == pytest.approx(0.5 + 2**-1.5)
    assert runs == pytest.approx(1 + 2**-0.5 + 0.5 + 2**-1.5)


def test_bounds_at_their_edges() -> None:
    assert [stats.clean_bound(runs) for runs in (-1, 0)] == [1.0, 1.0]
    assert stats.clean_bound(1) == pytest.approx(0.95)
    assert stats.clean_bound(2, confidence=0.75) == pytest.approx(0.5)
    assert stats.failure_bound(4, 3) == 1.0
    assert stats.failure_bound(9, 10) == pytest.approx(0.95 ** (1 / 10), abs=1e-9)
    assert stats.failure_bound(1, 2, confidence=0.75) == pytest.approx(0.75**0.5, abs=1e-9)


@pytest.mark.parametrize(
    ("rate", "confidence", "runs"), [(0.5, 0.5, 1), (0.5, 0.75, 2), (0.5, 0.76, 3)], ids=str
)
def test_runs_to_see_are_whole_and_no_more_than_needed(
    rate: float, confidence: float, runs: int
) -> None:
    assert stats.runs_to_see(rate, confidence=confidence) == runs


def test_a_run_without_flakes_is_not_red() -> None:
    assert stats.red_runs([]) == 0
    assert stats.red_runs([0.5, 0.5]) == 0.75
    assert stats.hidden_by_reruns(0.5, 0) == 0.5


@pytest.mark.parametrize(
    ("durations", "slope", "p_value"),
    [
        ([], 0.0, 1.0),
        ([1, 2, 3], 0.0, 1.0),
        ([7, 7, 7, 7], 0.0, 1.0),
        ([0, 2, 4, 6], 2.0, 0.08943),  # S = 6, variance 26 / 3, z = 5 / sqrt(26 / 3)
        ([6, 4, 2, 0], -2.0, 0.08943),
        ([1, 1, 2, 3], 5 / 6, 0.14856),  # S = 5, one tie: variance 23 / 3
        ([1, 3, 3, 1], 0.0, 1.0),  # S = 0
    ],
    ids=str,
)
def test_a_trend_of_few_runs(durations: list[float], slope: float, p_value: float) -> None:
    found = stats.trend(durations)

    assert found.slope_s == pytest.approx(slope)
    assert found.p_value == pytest.approx(p_value, abs=5e-6)


def test_a_trend_is_real_below_one_in_twenty() -> None:
    assert stats.Trend(1.0, 0.049).is_real
    assert not stats.Trend(1.0, 0.051).is_real


def test_clusters_are_what_ties_connect_the_largest_first() -> None:
    def runs(*numbers: int) -> frozenset[int]:
        return frozenset(numbers)

    chain = {9: runs(1, 2, 3), 8: runs(2, 3, 4), 7: runs(3, 4, 5)}
    pair = {1: runs(11, 12), 2: runs(11, 12)}
    other = {3: runs(21, 22), 4: runs(21, 22)}

    found = stats.clusters({**other, **pair, **chain}, similarity=0.5)

    assert found == [((7, 8, 9), 5), ((1, 2), 2), ((3, 4), 2)]
    assert stats.clusters(chain) == []  # two shared of four are less than 0.6


def test_ties_need_similarity_and_shared_runs() -> None:
    five, three = frozenset(range(5)), frozenset(range(3))

    assert stats.clusters({1: five, 2: three}) == [((1, 2), 5)]  # exactly 0.6
    assert stats.clusters({1: five, 2: three}, similarity=0.61) == []
    assert stats.clusters({1: five, 2: three}, least_runs=3) == [((1, 2), 5)]
    assert stats.clusters({1: five, 2: three}, least_runs=4) == []
    one = frozenset({1})
    assert stats.clusters({1: one, 2: one}) == []
    assert stats.clusters({1: one, 2: one}, least_runs=1) == [((1, 2), 1)]
    two, apart = frozenset({1, 2}), frozenset({2, 3})
    assert stats.clusters({1: two, 2: apart}, similarity=0.1) == []
