"""The formulas give the values that textbooks and tables print, and hold in simulation."""

from __future__ import annotations

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
