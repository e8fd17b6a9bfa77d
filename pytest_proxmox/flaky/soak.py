"""Repeats a whole run, and says what flake rate the repetitions leave possible."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.flaky import statistics
from pytest_proxmox.flaky.runs import Runner


class Repetition(NamedTuple):
    """One finished run of a soak."""

    number: int
    seed: int | None
    code: int
    failed: tuple[str, ...]
    tests: int
    duration_s: float


class Soak:
    """The repetitions so far; kept in a file, so that a stopped soak goes on where it stopped."""

    def __init__(self, path: Path, pytest_args: list[str], done: list[Repetition]) -> None:
        self._path = path
        self._args = pytest_args
        self.done = done

    @classmethod
    def begin(cls, path: Path, pytest_args: list[str]) -> Soak:
        """Return a new one; what an earlier one left is forgotten."""
        path.unlink(missing_ok=True)
        return cls(path, pytest_args, [])

    @classmethod
    def resume(cls, path: Path, pytest_args: list[str]) -> Soak:
        """Return the one that was stopped.

        Raises:
            InvalidValue: there is none, or it was of other arguments.
        """
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            done = [Repetition._make((*row[:3], tuple(row[3]), *row[4:])) for row in told["done"]]
            args = told["args"]
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise InvalidValue(
                "there is no soak to go on with", origin=str(path), hint="Leave --resume away"
            ) from exc
        if pytest_args and args != pytest_args:
            raise InvalidValue(
                f"the soak that was stopped has other arguments: {' '.join(args)}",
                origin=str(path),
                hint="Leave the arguments away, or leave --resume away",
            )
        return cls(path, args, done)

    @property
    def pytest_args(self) -> list[str]:
        """What each run gets."""
        return list(self._args)

    @property
    def failures(self) -> int:
        """How many of the runs failed."""
        return sum(one.code != 0 for one in self.done)

    def go_on(
        self,
        runner: Runner,
        *,
        times: int,
        first_seed: int | None,
        stops: bool,
        now: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        """Run until there are ``times`` repetitions, or until one fails where that ``stops``."""
        while len(self.done) < times:
            number = len(self.done) + 1
            seed = None if first_seed is None else first_seed + number - 1
            began = now()
            outcomes = runner.run(seed=seed)
            found = Repetition(
                number, seed, outcomes.code, tuple(outcomes.failed), len(outcomes.outcomes),
                now() - began,
            )  # fmt: skip
            self.done.append(found)
            self._save()
            say(self._progress(found, times))
            if found.code != 0 and stops:
                return

    def bound(self) -> float:
        """Return the upper bound, with 95 % confidence, on the share of runs that fail."""
        return statistics.failure_bound(self.failures, len(self.done)) if self.done else 1.0

    def summary(self) -> str:
        """Return what the repetitions prove, in words."""
        count, bad = len(self.done), self.failures
        if not count:
            return "No run was finished: nothing is proven."
        lines = [
            f"{count} {'run' if count == 1 else 'runs'}, {bad} failed: with 95 % confidence a run "
            f"fails in at most {self.bound():.1%}"
            + (f" (rule of three: 3/{count} = {3 / count:.1%})" if not bad else "")
        ]
        by_test: dict[str, list[Repetition]] = {}
        for one in self.done:
            for nodeid in one.failed:
                by_test.setdefault(nodeid, []).append(one)
        for nodeid, runs in sorted(by_test.items(), key=lambda row: (-len(row[1]), row[0])):
            low, high = statistics.wilson(len(runs), count)
            seeds = [str(one.seed) for one in runs if one.seed is not None]
            orders = f"; order seeds {', '.join(seeds[:5])}" if seeds else ""
            lines.append(f"  {nodeid}: {len(runs)} of {count} ({low:.1%} to {high:.1%}){orders}")
        return "\n".join(lines)

    def _progress(self, last: Repetition, times: int) -> str:
        left = times - last.number
        mean = sum(one.duration_s for one in self.done) / len(self.done)
        seed = "" if last.seed is None else f", order seed {last.seed}"
        end = "passed" if last.code == 0 else f"failed: {', '.join(last.failed[:3]) or last.code}"
        return (
            f"run {last.number} of {times}: {end} ({last.duration_s:.1f} s{seed}); "
            f"about {_spoken(left * mean)} left"
        )

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"args": self._args, "done": self.done})
        partial = self._path.with_suffix(".part")
        partial.write_text(text, encoding="utf-8")
        partial.replace(self._path)


def _spoken(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
