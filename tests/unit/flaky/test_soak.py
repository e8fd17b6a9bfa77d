"""A soak repeats, stops, resumes, and says what it proves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.flaky.runs import Outcomes
from pytest_proxmox.flaky.soak import Soak


class Runs:
    """A runner whose runs end as they are told; ``interrupt`` is a Ctrl-C."""

    def __init__(self, *ends: str) -> None:
        self._ends: Iterator[str] = iter(ends)
        self.seeds: list[int | None] = []

    def run(self, tests: Sequence[str] | None = None, *, seed: int | None = None) -> Outcomes:
        """Play the next run."""
        end = next(self._ends)
        if end == "interrupt":
            raise KeyboardInterrupt
        self.seeds.append(seed)
        return Outcomes(int(end == "failed"), ("t",), {"t": end})


def go_on(
    soak: Soak, runs: Runs, times: int, *, stops: bool = True, seed: int | None = 5
) -> list[str]:
    """Let it run, and return what it said."""
    said: list[str] = []
    clock = iter(range(0, 10_000, 10))
    soak.go_on(
        runs, times=times, first_seed=seed, stops=stops, now=lambda: float(next(clock)),
        say=said.append,
    )  # fmt: skip
    return said


def test_clean_runs_are_told_with_their_bound(tmp_path: Path) -> None:
    soak = Soak.begin(tmp_path / "s.json", ["-q"])
    said = go_on(soak, Runs(*["passed"] * 10), 10)
    assert "about 90 s left" in said[0]
    assert soak.summary().startswith("10 runs, 0 failed: with 95 % confidence a run fails in at")
    assert "25.9%" in soak.summary()


def test_it_stops_at_the_first_failure_unless_told_otherwise(tmp_path: Path) -> None:
    soak = Soak.begin(tmp_path / "s.json", [])
    runs = Runs("passed", "failed", "passed")
    go_on(soak, runs, 3)
    assert (len(soak.done), soak.failures, runs.seeds) == (2, 1, [5, 6])
    assert "t: 1 of 2" in soak.summary()
    assert "order seeds 6" in soak.summary()
    keeps_on = Soak.begin(tmp_path / "s.json", [])
    go_on(keeps_on, Runs("failed", "passed", "passed"), 3, stops=False)
    assert len(keeps_on.done) == 3


def test_a_stopped_soak_goes_on_where_it_stopped(tmp_path: Path) -> None:
    soak = Soak.begin(tmp_path / "s.json", ["-k", "x"])
    with pytest.raises(KeyboardInterrupt):
        go_on(soak, Runs("passed", "passed", "interrupt"), 4)
    again = Soak.resume(tmp_path / "s.json", [])
    assert again.pytest_args == ["-k", "x"]
    runs = Runs("passed", "passed")
    go_on(again, runs, 4)
    assert (len(again.done), runs.seeds) == (4, [7, 8])


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="no soak to go on with"):
        Soak.resume(tmp_path / "s.json", [])
    go_on(Soak.begin(tmp_path / "s.json", ["a"]), Runs("passed"), 1)
    with pytest.raises(InvalidValue, match="other arguments: a"):
        Soak.resume(tmp_path / "s.json", ["b"])
