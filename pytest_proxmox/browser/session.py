"""The guard in a pytest run: from the first use of Playwright to the end of the session."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import pytest

from pytest_proxmox.browser.attachments import attach
from pytest_proxmox.browser.evidence import Evidence
from pytest_proxmox.browser.guard import Guard
from pytest_proxmox.browser.lives import life_of
from pytest_proxmox.browser.revival import revive

LOG = logging.getLogger("pytest_proxmox.browser")
_KINDS = ("playwright_trace", "playwright_video", "playwright_screenshot")
_OUTPUT = "output_path"  # pytest-playwright's fixture with an attempt's folder


class GuardedRun:
    """A pytest plugin, registered when the first test uses Playwright: a run without pays nothing.

    Before a test it revives what died, at its failure it keeps what is known of the pages.
    """

    def __init__(
        self, guard: Guard, *, calls: Callable[[float], Sequence[str]], invoked_in: Path
    ) -> None:
        self.guard = guard
        self._evidence = Evidence(guard.redactor, calls)
        self._invoked_in = invoked_in
        self._began = guard.clock.now()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Begin with a live browser, or none."""
        self.begin(item)
        revive(item)

    def begin(self, item: pytest.Item) -> None:
        """Note that this test begins."""
        self._began = self.guard.clock.now()
        self.guard.begin_test(item.nodeid)
        marks = {mark.name for mark in item.iter_markers()}
        self.guard.habits.may_log_in = "auth" in marks

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep what is known of the pages of a test that failed; take secrets out of traces."""
        report = yield
        try:
            if report.failed and call.when != "teardown" and self._had_pages(item):
                self._keep(item, report)
            if call.when == "teardown":
                self._hand_on(report)
                self.guard.watch.forget()
        except Exception:  # noqa: BLE001 - told in the report: an error here would end the run
            report.sections.append(("pages could not be kept", traceback.format_exc()))
        return report

    def _had_pages(self, item: pytest.Item) -> bool:
        """Whether this test has to do with pages; one of a wider fixture may be open all the time.

        A page that a test opens without pytest-playwright's fixtures is known by its age.
        """
        lives = [life_of(page) for page in self.guard.watch.pages]
        if "playwright" in getattr(item, "fixturenames", ()):
            return bool(lives)
        return any(life is not None and life.opened_at >= self._began for life in lives)

    def _keep(self, item: pytest.Item, report: pytest.TestReport) -> None:
        request: pytest.FixtureRequest = item._request  # type: ignore[attr-defined]
        try:
            folder = Path(request.getfixturevalue(_OUTPUT))
        except (pytest.FixtureLookupError, AssertionError) as exc:  # its setup failed early
            LOG.info("no folder for what is known of the pages: %s", exc)
            return
        kept = self._evidence.keep(self.guard.watch.pages, folder, since=self._began)
        names = "\n".join(path.name for path in kept)
        report.user_properties += [("attachment", str(path)) for path in kept]
        report.sections.append(("pages", f"kept in {folder}:\n{names}"))

    def _hand_on(self, report: pytest.TestReport) -> None:
        """What pytest-playwright has kept by now: traces, videos, screenshots."""
        for kind, value in report.user_properties:
            path = self._invoked_in / str(value)
            if kind not in _KINDS or not path.is_file():
                continue
            if kind == "playwright_trace":
                self.guard.redactor.archive(path)
            attach(path)
