"""The one stream of events that every report and the history are made of: attempts and runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

# Plain strings: they are stored as they are, and a run makes one of each for every test.
PASSED = "passed"
FAILED = "failed"  # the test's own call failed
ERROR = "error"  # setup or teardown failed, the call did not
SKIPPED = "skipped"
XFAILED = "xfailed"
XPASSED = "xpassed"
CRASHED = "crashed"  # the process died while it ran the test
BAD = frozenset({FAILED, ERROR, CRASHED})
OUTCOMES = (PASSED, FAILED, ERROR, CRASHED, SKIPPED, XFAILED, XPASSED)

ASSERTION = "assertion"
EXCEPTION = "exception"
INFRASTRUCTURE = "infrastructure"
TIMEOUT = "timeout"
CRASH = "crash"
KINDS = (ASSERTION, EXCEPTION, INFRASTRUCTURE, TIMEOUT, CRASH)


class Failure(NamedTuple):
    """What failed: its kind, its fingerprint (alike failures share it), and one line of text.

    ``trace`` is the end of what pytest prints of it; alike failures share that too.
    """

    kind: str
    fingerprint: str
    message: str
    phase: str
    trace: str = ""


class Attempt(NamedTuple):
    """One execution of one test; ``final`` is the one that counts, the last.

    ``started`` is in seconds since 1970, ``position`` counts the tests of the run in the order
    in which they began, ``uses`` names what the test asked for, e.g. ``browser,simulator``.
    ``setup_s`` and ``teardown_s`` are parts of ``duration_s``; ``attachments`` are paths, a line
    each.
    """

    nodeid: str
    number: int
    outcome: str
    final: bool
    started: float
    duration_s: float
    worker: str
    position: int
    markers: str
    uses: str
    quarantined: bool
    failure: Failure | None
    setup_s: float = 0.0
    teardown_s: float = 0.0
    attachments: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether it failed, in whatever way."""
        return self.outcome in BAD


class RunFacts(NamedTuple):
    """What is known of a run before its first test."""

    id: str
    project: str
    started: float
    commit: str
    branch: str
    seed: str
    workers: int
    distribution: str
    environment: Mapping[str, str]


class RunEnd(NamedTuple):
    """What is known of a run when it has ended; ``figures`` are numbers that gates ask for."""

    finished: float
    exit_status: int
    trusted: bool
    figures: Mapping[str, float]
