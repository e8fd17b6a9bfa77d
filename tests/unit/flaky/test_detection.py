"""Flaky tests are found and true bugs are not taken for them: 60 runs of 1,000 tests, simulated.

``benchmarks/flaky.py`` plays the same with pytest itself; here only the outcomes are drawn.
"""

from __future__ import annotations

import random

import pytest

from pytest_proxmox.flaky import verdicts
from pytest_proxmox.flaky.verdicts import Sighting

RUNS, A_COMMIT = 60, 3
FLAKY, VICTIMS, BUGS, STEADY = range(60), range(60, 65), range(65, 85), range(85, 1000)


def _history(n: int, seed: int) -> list[Sighting]:
    """What 60 runs show of test ``n``; failures of the infrastructure are no evidence anyway."""
    draw = random.Random(f"{seed}-{n}")
    rate = draw.uniform(0.05, 0.5) if n in FLAKY else 0.5 if n in VICTIMS else 0.0
    begins = draw.randrange(1, 18)
    until = begins + (draw.randrange(1, 5) if n % 2 else 99)
    seen = []
    for run in range(RUNS):
        failed = draw.random() < rate
        if n in BUGS:
            failed = begins <= run // A_COMMIT < until
        seen.append(Sighting(failed, run, f"c{run // A_COMMIT}", True))
    return seen


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_flaky_tests_are_found_and_bugs_are_not_excused(seed: int) -> None:
    found = {
        n
        for n in (*FLAKY, *VICTIMS, *BUGS, *STEADY)
        if verdicts.judge(_history(n, seed)).state == verdicts.FLAKY
    }
    true = {*FLAKY, *VICTIMS}
    recall, precision = len(found & true) / len(true), len(found & true) / len(found)
    assert recall >= 0.95
    assert precision >= 0.95


@pytest.mark.parametrize("n", BUGS)
def test_a_true_bug_is_at_no_time_called_flaky(n: int) -> None:
    seen = _history(n, seed=1)
    states = {verdicts.judge(seen[: run + 1]).state for run in range(RUNS)}
    assert states <= {verdicts.STEADY, verdicts.SUSPECT, verdicts.BROKEN}
    assert verdicts.BROKEN in states
