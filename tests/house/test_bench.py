"""The benchmarks' harness judges by the median, in pairs that alternate."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks import harness


def _readings(values: Iterator[float], log: list[str], name: str) -> harness.Measure:
    def measure() -> float:
        log.append(name)
        return next(values)

    return measure


def _compare(subject: list[float], *, bound: harness.Bound, pairs: int = 7) -> harness.Row:
    """Compare readings, the first of which is the warm-up, with a peer that always reads 1."""
    log: list[str] = []
    return harness.compare(
        "it",
        _readings(iter(subject), log, "subject"),
        _readings(iter([1.0] * (pairs + 1)), log, "peer"),
        against="one",
        bound=bound,
        pairs=pairs,
    )


def test_one_disturbed_pair_does_not_decide() -> None:
    row = _compare([9, 1, 1, 1, 1, 1, 1, 50], bound=harness.at_most(1.05))
    assert (row.ratio, row.holds, max(row.ratios)) == (1, True, 50)


@pytest.mark.parametrize(
    ("bound", "holds"),
    [
        (harness.at_most(2), True),
        (harness.at_most(1.9), False),
        (harness.at_least(2), True),
        (harness.at_least(2.1), False),
    ],
    ids=str,
)
def test_the_bound_holds_when_the_median_does(bound: harness.Bound, holds: bool) -> None:
    assert _compare([2] * 8, bound=bound).holds is holds


def test_the_sides_take_turns_at_going_first() -> None:
    log: list[str] = []
    readings = iter([1.0] * 16)
    harness.compare(
        "it",
        _readings(readings, log, "s"),
        _readings(readings, log, "p"),
        against="one",
        bound=harness.at_most(1),
    )
    assert "".join(log) == "sp" + "sp" + "ps" + "sp" + "ps" + "sp" + "ps" + "sp"


def test_fewer_than_seven_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="6 pairs are too few"):
        _compare([1] * 7, bound=harness.at_most(1), pairs=6)


def test_the_table_shows_ratio_spread_bound_and_verdict() -> None:
    text = harness.table([_compare([9, 3, 1, 2, 2, 2, 2, 2], bound=harness.at_most(1.5))])
    cells = " ".join(text.splitlines()[1].split())
    assert cells == "it one 2.000 1.000 to 3.000 7 <= 1.5 BROKEN"


def test_a_broken_bound_ends_the_run_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    kept = _compare([1] * 8, bound=harness.at_most(1))
    broken = _compare([2] * 8, bound=harness.at_most(1))
    assert harness.run([lambda: [kept]]) == 0
    assert harness.run([lambda: [kept, broken]]) == 1
    assert "BROKEN" in capsys.readouterr().out
