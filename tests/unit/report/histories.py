"""Made-up histories of any size, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

from pytest_proxmox.flaky.history import History
from pytest_proxmox.report.events import Attempt, Failure, RunEnd, RunFacts

VIEWS = ("dashboard", "apps", "catalog", "nodes", "monitoring", "settings")
DAY_S = 86400.0
START = 1_780_000_000.0


def fill(
    history: History, *, tests: int, runs: int, seed: int = 1, project: str = "shop", first: int = 0
) -> int:
    """Store so many runs of so many tests, and return how many attempts they were.

    A tenth of the tests misbehave, each in its own way. ``first`` is the first run's number.
    """
    draw = random.Random(seed)
    names = [_name(n) for n in range(tests)]
    count = 0
    for run in range(first, first + runs):
        started = START + run * DAY_S / 2
        history.begin(
            RunFacts(
                f"{project}-{run:04}", project, started, f"{run // 3:040x}", "main", str(run), 2,
                "load", {"ci": "CI", "python": "3.13"},
            )
        )  # fmt: skip
        attempts = list(_attempts(draw, names, run, started))
        count += len(attempts)
        for at in range(0, len(attempts), 5000):
            history.add(attempts[at : at + 5000])
        bad = any(one.final and one.is_bad for one in attempts)
        length = sum(one.duration_s for one in attempts)
        left = 2.0 if run % 13 == 5 else 0.0
        history.end(RunEnd(started + length / 2, int(bad), True, {"leftovers": left}))
    return count


def _name(n: int) -> tuple[str, str]:
    """A test's id and its marks."""
    if n % 25 == 3 and n // 25 < 36:
        k = n // 25
        way = f"{VIEWS[k % 6]}-{VIEWS[k // 6]}"
        return f"e2e_tests/test_navigation.py::test_navigate[{way}]", "e2e,navigation"
    marks = ("", "smoke", "integration", "backup", "", "lifecycle")[n % 6]
    rooms = ("api", "models", "services", "lifecycle", "clone_config", "backup")
    return f"tests/test_{rooms[n // 40 % 6]}_{n // 240}.py::test_case_{n:05}", marks


def _attempts(
    draw: random.Random, names: list[tuple[str, str]], run: int, started: float
) -> Iterator[Attempt]:
    database_down = run % 11 == 7
    for n, (nodeid, marks) in enumerate(names):
        kind = n % 40
        slow = 0.004 * (1 + n % 17) * draw.uniform(0.8, 1.25) * (1 + run / 20 if kind == 9 else 1)
        failure, retried = None, False
        if kind == 5 and draw.random() < 0.05 + 0.4 * (n % 7) / 7:
            failure = Failure("assertion", f"a{n:015x}", "AssertionError: 3 != 4", "call")
        elif kind == 11 and run > 20:
            failure = Failure("exception", f"b{n:015x}", "KeyError: 'total'", "call")
        elif kind in (17, 18) and database_down:
            failure = Failure("exception", "c" * 16, "OperationalError: refused", "setup")
        elif kind == 23 and draw.random() < 0.2:
            failure, retried = Failure("infrastructure", "d" * 16, "ApiFailure: 595", "call"), True
        outcome = "passed" if failure is None else "error" if failure.phase == "setup" else "failed"
        if kind == 31:
            outcome = "skipped"
        base = (started + n * 0.01, slow, f"gw{n % 2}", n, marks, "", False)
        yield Attempt(nodeid, 0, outcome, not retried, *base, failure)
        if retried:
            yield Attempt(nodeid, 1, "passed", True, *base, None)
