"""Which failures are tried again: the infrastructure's, and those of tests known to be flaky."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pytest_proxmox.flaky.failures import is_infrastructure
from pytest_proxmox.flaky.settings import RerunRules
from pytest_proxmox.report.events import Failure

GUARD_LEAST = 10  # fewer failing tests are no outage, however small the run


class Known(NamedTuple):
    """What the history knows of a project's tests; ``is_readable`` is false where it is not."""

    states: Mapping[str, str]
    tests: frozenset[str]
    is_readable: bool

    def is_flaky(self, nodeid: str) -> bool:
        """Whether the test is known to be flaky."""
        return self.states.get(nodeid) == "flaky"

    def is_new(self, nodeid: str) -> bool:
        """Whether the history has never seen the test."""
        return self.is_readable and nodeid not in self.tests


class Guard:
    """Counts first failures: a run where too many fail is no evidence, and is not rerun."""

    def __init__(self, percent: float) -> None:
        self._percent = percent
        self._failed: set[str] = set()
        self.ran = 0

    def note(self, nodeid: str) -> None:
        """Count a failing test once, whatever it does when tried again."""
        self._failed.add(nodeid)

    def has_tripped(self) -> bool:
        """Whether too many of the tests that ran have failed."""
        count = len(self._failed)
        return count >= GUARD_LEAST and count * 100 > self._percent * max(self.ran, count)


class Policy:
    """The rules of one process of a run; ``know`` reads the history, at the first failure."""

    def __init__(self, rules: RerunRules, know: Callable[[], Known]) -> None:
        self.rules = rules
        self.guard = Guard(rules.guard_percent)
        self._know = know
        self._known: Known | None = None

    def tries_again(self, nodeid: str, failures: Sequence[Failure]) -> bool:
        """Return whether an attempt with these failures is followed by another one."""
        if not failures:
            return False
        self.guard.note(nodeid)
        if self.guard.has_tripped():
            return False
        if all(is_infrastructure(failure.kind) for failure in failures):
            return True
        if self._known is None:
            self._known = self._know()
        if self._known.is_flaky(nodeid):
            return True
        return self.rules.rerun_new and self._known.is_new(nodeid)
