"""What the process that runs the tests knows of a failure, written on its report."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Generator, Sequence
from typing import Any

import pytest

from pytest_proxmox.flaky import failures, recorder
from pytest_proxmox.flaky.fingerprint import last_lines
from pytest_proxmox.flaky.policy import Policy
from pytest_proxmox.flaky.quarantine import Entry, Quarantine, of_mark
from pytest_proxmox.marks import FEATURES
from pytest_proxmox.report.events import Failure

_FAILURES = pytest.StashKey[list[Failure]]()
_ENTRY = pytest.StashKey[Entry]()
_USES = (
    ("simulator", frozenset({"proxmox_simulator", "proxmox", "proxmox_config", "lxc", "vmid"})),
    ("browser", frozenset({"page", "context", "browser"})),
    ("database", frozenset({"db_session", "async_db_session", "db_engine", "async_db_engine"})),
)
_FEATURES = frozenset(FEATURES)


class Verdict:
    """The condition that pytest-rerunfailures asks: is this test tried again?

    It is a truth value, not a function: that is asked once an attempt, and costs a passing test
    little, whereas a function's signature is inspected each time.
    """

    def __init__(self, item: pytest.Item, policy: Policy) -> None:
        self._item = item
        self._policy = policy

    def __bool__(self) -> bool:
        nodeid = recorder.plain_id(self._item.nodeid)
        failures = self._item.stash.setdefault(_FAILURES, [])
        return self._policy.tries_again(nodeid, failures)


class Witness:
    """The hooks of a process that runs tests; ``secrets`` never get into a message."""

    def __init__(
        self,
        policy: Policy | None,
        quarantine: Quarantine,
        *,
        today: datetime.date,
        secrets: Callable[[], Sequence[str]],
        root: str,
    ) -> None:
        self._policy = policy
        self.quarantine = quarantine
        self._today = today
        self._secrets = secrets
        self._root = root
        self.expired: list[tuple[str, Entry]] = []
        self.entries: dict[str, Entry] = {}  # of the tests that this process has collected

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Arm the tests that may be tried again, find those in quarantine."""
        policy = self._policy
        if policy is not None and config.option.max_suite_reruns is None:
            config.option.max_suite_reruns = policy.rules.budget(len(items))
        for item in items:
            if policy is not None and item.get_closest_marker("flaky") is None:
                condition = Verdict(item, policy)
                item.add_marker(pytest.mark.flaky(reruns=policy.rules.reruns, condition=condition))
            mark = item.get_closest_marker("quarantine")
            entry = (
                self.quarantine.find(recorder.plain_id(item.nodeid))
                if mark is None
                else of_mark(item.nodeid, mark.args, mark.kwargs)
            )
            if entry is not None:
                self._note_entry(item, entry)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Generator[None, Any, Any]:
        """Say on a failed report what failed, and let a test in quarantine fail for itself."""
        report = yield
        if call.when == "setup":
            self._begin(item, report)
        if call.excinfo is not None and report.outcome == "failed":
            self._note_failure(item, call, report)
        return report

    def _begin(self, item: pytest.Item, report: Any) -> None:
        if self._policy is not None:
            self._policy.guard.ran += 1
        if _FAILURES in item.stash:
            item.stash[_FAILURES].clear()
        names = getattr(item, "fixturenames", ())
        if names:
            used = ",".join(name for name, of in _USES if not of.isdisjoint(names))
            if used:
                setattr(report, recorder.USES, used)
        if found := _FEATURES.intersection(report.keywords):
            setattr(report, recorder.MARKERS, ",".join(sorted(found)))

    def _note_failure(self, item: pytest.Item, call: Any, report: Any) -> None:
        error = call.excinfo.value
        failure = failures.describe(
            error, report.when, place=self._place(call.excinfo), secrets=self._secrets()
        )
        item.stash.setdefault(_FAILURES, []).append(failure)
        trace = last_lines(report.longreprtext, secrets=self._secrets())
        setattr(report, recorder.FAILURE, (*failure[:-1], trace))
        entry = item.stash.get(_ENTRY, None)
        if entry is not None and not entry.is_expired(self._today):
            report.outcome = "skipped"  # with a reason: pytest's way to expect a failure
            report.wasxfail = f"reason: in quarantine: {entry}"
            setattr(report, recorder.QUARANTINED, True)

    def _note_entry(self, item: pytest.Item, entry: Entry) -> None:
        item.stash[_ENTRY] = entry
        self.entries[recorder.plain_id(item.nodeid)] = entry
        if entry.is_expired(self._today):
            self.expired.append((item.nodeid, entry))

    def _place(self, excinfo: Any) -> str:
        """The innermost line of the project that the error went through, by name not number."""
        for entry in reversed(excinfo.traceback):
            path = str(entry.path)
            if path.startswith(self._root) and "site-packages" not in path:
                return f"{path[len(self._root) :]}::{entry.name}"
        return ""
