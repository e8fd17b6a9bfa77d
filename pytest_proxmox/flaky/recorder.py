"""Turns pytest's reports into attempts: each test once, however many reports it made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.flaky import failures as kinds
from pytest_proxmox.report.events import (
    CRASHED,
    ERROR,
    FAILED,
    PASSED,
    SKIPPED,
    XFAILED,
    XPASSED,
    Attempt,
    Failure,
)

FAILURE = "proxmox_failure"  # attributes of reports: they travel from xdist's workers
USES = "proxmox_uses"
MARKERS = "proxmox_markers"
QUARANTINED = "proxmox_quarantined"
SUBTESTS = {"SubtestReport", "SubTestReport"}  # pytest's since 9.0, pytest-subtests' before that
ATTACHMENT = "attachment"  # what a test records as its property: a file to show with it
_PLAYWRIGHT = "playwright_"
RERUN = "rerun"  # pytest-rerunfailures' outcome of an attempt that another one follows


def plain_id(nodeid: str) -> str:
    """Return a test's id without the group that xdist's loadgroup puts behind it."""
    at = nodeid.rfind("@")
    return nodeid[:at] if at > nodeid.rfind("]") and at > nodeid.rfind("::") else nodeid


class _Open:
    """An attempt whose reports are still coming in."""

    __slots__ = (
        "attachments", "duration_s", "failure", "markers", "nodeid", "number", "outcome",
        "quarantined", "rerun", "setup_s", "started", "teardown_s", "uses", "worker",
    )  # fmt: skip

    def __init__(self, report: Any, worker: str) -> None:
        self.nodeid: str = report.nodeid
        self.worker = worker
        self.number: int = getattr(report, "rerun", 0)
        self.started: float = getattr(report, "start", 0.0)
        self.duration_s: float = report.duration
        self.setup_s: float = report.duration if report.when == "setup" else 0.0
        self.teardown_s = 0.0
        self.attachments = ""
        self.outcome = PASSED
        self.rerun = False
        self.quarantined = False
        self.failure: Failure | None = None
        self.markers: str = getattr(report, MARKERS, "")
        self.uses: str = getattr(report, USES, "")


class Recorder:
    """Gives each finished attempt to ``sink``; keeps what the end of the run asks for."""

    def __init__(self, sink: Callable[[Attempt], None], *, grouped: bool = False) -> None:
        self._sink = sink
        self._grouped = grouped
        self._open: dict[tuple[str, str], _Open] = {}
        self._position = 0
        self.reruns = 0
        self.due: set[str] = set()  # tests that were to be tried again, and were not yet
        self.first_failures: set[str] = set()
        self.passed_on_retry: list[str] = []
        self.quarantined: list[str] = []
        self.tests = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a report: three of them make an attempt."""
        if type(report).__name__ in SUBTESTS:
            self._note_subtest(report)
            return
        worker = getattr(report, "worker_id", "")
        key = (report.nodeid, worker)
        when = report.when
        if when == "setup":
            if key in self._open:  # its teardown was not reported
                self._finish(key)
            self._open[key] = found = _Open(report, worker)
        elif when in ("call", "teardown"):
            opened = self._open.get(key)
            if opened is None:
                opened = self._open[key] = _Open(report, worker)
            else:
                opened.duration_s += report.duration
            found = opened
        else:  # xdist's word for a worker that died
            self._note_crash(report)
            return
        if report.outcome != "passed" or hasattr(report, "wasxfail"):
            _note(found, report)
        if report.user_properties:
            _note_files(found, report)
        if when == "teardown":
            found.teardown_s = report.duration
            self._finish(key)

    def finish(self) -> None:
        """Give up what never came to its end, e.g. when the user stopped the run."""
        for key in list(self._open):
            self._finish(key)

    def _note_subtest(self, report: pytest.TestReport) -> None:
        found = self._open.get((report.nodeid, getattr(report, "worker_id", "")))
        if found is None or report.outcome != "failed":
            return
        found.outcome = FAILED
        if found.failure is None:
            found.failure = _failure(report, "call")

    def _note_crash(self, report: Any) -> None:
        node = getattr(report, "node", None)
        worker = node.gateway.id if node is not None else ""
        key = (report.nodeid, worker)
        if key not in self._open:
            report.duration = getattr(report, "duration", 0.0)
            self._open[key] = _Open(report, worker)
        found = self._open[key]
        found.number = getattr(report, "rerun", 0)
        found.outcome = CRASHED
        found.rerun = report.outcome == RERUN
        found.failure = kinds.crashed(report.nodeid, str(report.longrepr))
        self._finish(key)

    def _finish(self, key: tuple[str, str]) -> None:
        found = self._open.pop(key)
        if self._grouped:
            found.nodeid = plain_id(found.nodeid)
        position = self._position
        self._position += 1
        if found.rerun:
            self.reruns += 1
            self.due.add(found.nodeid)
        else:
            self.due.discard(found.nodeid)
            self.tests += 1
            if found.number and found.failure is None:
                self.passed_on_retry.append(found.nodeid)
        if found.failure is not None and found.number == 0:
            self.first_failures.add(found.nodeid)
        if found.quarantined:
            self.quarantined.append(found.nodeid)
        self._sink(
            Attempt(
                found.nodeid, found.number, found.outcome, not found.rerun, found.started,
                found.duration_s, found.worker, position, found.markers, found.uses,
                found.quarantined, found.failure, found.setup_s, found.teardown_s,
                found.attachments,
            )
        )  # fmt: skip


def _note_files(found: _Open, report: Any) -> None:
    """Take the files that a report names in its properties, e.g. pytest-playwright's traces."""
    paths = [
        str(value)
        for name, value in report.user_properties
        if name == ATTACHMENT or name.startswith(_PLAYWRIGHT)
    ]
    known = found.attachments.splitlines()
    found.attachments = "\n".join(
        dict.fromkeys([*known, *(str(Path(p).absolute()) for p in paths)])
    )


def _note(found: _Open, report: Any) -> None:
    """Let a report that is no plain pass change the attempt."""
    quarantined = getattr(report, QUARANTINED, False)
    if report.outcome == RERUN:
        found.rerun = True
    if report.outcome in ("failed", RERUN) or quarantined:
        found.quarantined = found.quarantined or quarantined
        if found.outcome not in (FAILED, ERROR):
            found.outcome = FAILED if report.when == "call" else ERROR
        if found.failure is None:
            found.failure = _failure(report, report.when)
    elif hasattr(report, "wasxfail"):
        found.outcome = XFAILED if report.outcome == "skipped" else XPASSED
    elif report.outcome == "skipped" and found.outcome == PASSED:
        found.outcome = SKIPPED


def _failure(report: Any, phase: str) -> Failure:
    told = getattr(report, FAILURE, None)
    if told is not None:
        return Failure(*told)
    text = getattr(report, "longreprtext", "") or "failed"
    return kinds.from_text(text.splitlines()[-1] if text else "failed", phase)
