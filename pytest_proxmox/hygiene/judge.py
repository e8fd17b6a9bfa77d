"""The verdict on each test: what it left behind fails its own report, and no other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_proxmox.hygiene import keeping
from pytest_proxmox.hygiene.coroutines import OUTSIDE, CoroutineWatch, Dropped
from pytest_proxmox.hygiene.offences import Offence, verdict
from pytest_proxmox.hygiene.places import first_own, of_origin
from pytest_proxmox.hygiene.policy import ALLOW_MARK, Pattern, Policy
from pytest_proxmox.hygiene.settings import Level
from pytest_proxmox.hygiene.watch import Makers, Watch
from pytest_proxmox.marks import Bearers

# pytest-asyncio's fixtures, each of which gives an asyncio.Runner
_RUNNERS = frozenset(
    f"_{scope}_scoped_runner" for scope in ("function", "class", "module", "package", "session")
)
_RECHECK_S = 0.05  # another thread may stand between making a coroutine and awaiting it


@dataclass(slots=True)
class Trial:
    """One run of one test."""

    item: pytest.Item
    nextitem: pytest.Item | None
    allowed: tuple[Pattern, ...]
    passed: bool = False
    suspected: bool = False  # it passed, and something of it is left
    blamed: bool = False
    torn_down: bool = False
    has_fixtures: bool = False  # of its own, or a wider one ends with it: a teardown that acts
    teardown_error: BaseException | None = None
    teardown_began: float = 0.0
    teardown_ended: float = 0.0


class Judge:
    """Watches from before a test's setup until after its teardown.

    A test that has no fixtures and leaves nothing meets a few plain hooks: those around each
    report would cost more than all the rest, and so come with the first need.
    """

    def __init__(
        self,
        policy: Policy,
        makers: Makers,
        watches: Sequence[Watch],
        *,
        config: pytest.Config,
        note: Callable[[str], None],
    ) -> None:
        self.coroutines: CoroutineWatch | None = None
        self._makers = makers
        self._policy = policy
        self._watches = watches
        self._root = str(config.rootpath)
        self._plugins = config.pluginmanager
        self._note = note  # for the end of the run
        self._trial: Trial | None = None
        self._tests = 0
        self._replaying = False
        self._bench: list[Verdict] = []
        self._may_leak = Bearers(ALLOW_MARK)

    @property
    def looks(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._watches) or self.coroutines is not None

    def allows(self, dropped: Dropped) -> bool:
        """Return whether a dropped coroutine is none of our business: allowed, or no test runs."""
        trial = self._trial
        if trial is None:
            return True
        return self._policy.level(self._describe(trial, dropped), trial.allowed) is Level.OFF

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Take the world before the test as given."""
        self._end()
        self._tests += 1
        self._trial = Trial(item, nextitem, self._allowed(item))
        self._makers.current = self._tests
        for watch in self._watches:
            if watch.stirred:
                watch.begin(self._tests)
        if self.coroutines is not None:
            self.coroutines.begin(self._tests)

    def _allowed(self, item: pytest.Item) -> tuple[Pattern, ...]:
        """What marks allow."""
        if item not in self._may_leak:
            return ()
        return tuple(
            Pattern.parse(str(text), f"mark {ALLOW_MARK} of {item.nodeid}")
            for mark in item.iter_markers(ALLOW_MARK)
            for text in (mark.args or ("*",))
        )

    def pytest_runtest_logfinish(self) -> None:
        """Let the test go."""
        self._end()

    def leave(self) -> None:
        """Judge no more."""
        self._end()
        for plugin in (self, *self._bench):
            self._plugins.unregister(plugin)

    def sit(self) -> None:
        """Look at reports too: from the first test on that something may be said about."""
        if not self._bench:
            self._bench.append(Verdict(self))
            self._plugins.register(self._bench[0], "proxmox-hygiene-verdict")

    def _end(self) -> None:
        trial = self._trial
        if trial is None:
            return
        if not trial.passed:
            self._set_back(trial)
        if self.coroutines is not None:
            self.coroutines.end(looked=trial.passed)
        self._trial = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        """Give what a fixture of more than function scope makes to no test."""
        trial = self._trial
        if trial is None:
            return (yield)
        is_runner = fixturedef.argname in _RUNNERS
        if fixturedef.scope == "function":
            if not is_runner:
                self._has_fixtures(trial)
                return (yield)
            owner, self._makers.current = self._makers.current, OUTSIDE
            try:
                runner = yield
            finally:
                self._makers.current = owner
            if self.coroutines is not None and _runs_in_loop(type(trial.item)):
                self.coroutines.expect_all_in(runner.get_loop())  # type: ignore[attr-defined]
            return runner
        ending = ExitStack()  # entered as the fixture's teardown begins
        fixturedef.addfinalizer(ending.close)  # the last one: what comes then is the test's again
        with self._outside():
            value = yield
        if is_runner:
            self._meet_loop(value)
        fixturedef.addfinalizer(lambda: self._leave(ending))
        return value

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self) -> None:
        """Look at the test's function alone where it has no fixtures: less to look through."""
        trial = self._trial
        if self.coroutines is not None and trial is not None and not trial.has_fixtures:
            self.coroutines.skip()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Look at what a test left that passed: one that raised never comes here."""
        trial = self._trial
        if trial is None or trial.item is not item or getattr(item, "_excinfo", None):
            return  # a failed unittest does not raise: it leaves its failure there
        if self._suspects():
            trial.suspected = True
            self.sit()
        else:
            trial.passed = True
        if self.coroutines is not None and not trial.has_fixtures and not _may_finish(item):
            self.coroutines.expect_little()  # nothing of the user's is left to run

    def pytest_exception_interact(self) -> None:
        """Look at the teardown of a failed test, which may be run again."""
        self.sit()

    def before_report(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Judge what went away in a phase that is over, and the teardown."""
        trial = self._trial
        if trial is None or trial.item is not item or self._replaying:
            return
        if call.when == "teardown":
            self._judge_teardown(trial, call)
            return
        self._judge_dropped(trial, call)
        if call.excinfo is not None:
            trial.passed = False

    def after_report(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> pytest.TestReport:
        """Return the report of a suspected test's call, which may be another one now."""
        trial = self._trial
        if trial is None or trial.item is not item or self._replaying or call.when != "call":
            return report
        if trial.suspected and report.outcome == "passed":
            report = self._judge_suspected(trial, call, report)
            trial.passed = report.outcome == "passed"
        return report

    def _judge_dropped(self, trial: Trial, call: pytest.CallInfo[None]) -> None:
        """Coroutines that went away in this phase need no further look."""
        if self.coroutines is not None and (dropped := self.coroutines.take_dropped()):
            self._settle(trial, call, [self._describe(trial, one) for one in dropped])

    def _judge_suspected(
        self, trial: Trial, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> pytest.TestReport:
        """Look again without the test's own fixtures, where something is left.

        They are taken down before the report is out, so that the test has one outcome: what
        a fixture cleans up is no offence, and what is left fails the test itself.
        """
        self._tear_down(trial)
        self._settle(trial, call, [*self._dropped_early(trial), *self._left(trial)])
        if call.excinfo is None:
            return report
        self._replaying = True
        try:
            again: pytest.TestReport = trial.item.ihook.pytest_runtest_makereport(
                item=trial.item, call=call
            )
        finally:
            self._replaying = False
        return again

    def _judge_teardown(self, trial: Trial, call: pytest.CallInfo[None]) -> None:
        if trial.torn_down:
            call.start, call.stop = trial.teardown_began, trial.teardown_ended
            call.duration = call.stop - call.start
        if trial.blamed and call.excinfo is not None and _is_aftermath(call.excinfo.value):
            call.excinfo = None  # what was left open was told already, with its place
        if trial.teardown_error is not None and call.excinfo is None:
            _fail(call, trial.teardown_error)
        self._judge_dropped(trial, call)
        if trial.passed and trial.has_fixtures and not trial.torn_down and self._suspects():
            self._settle(trial, call, self._left(trial))
        elif not trial.passed:
            self._set_back(trial)

    def _set_back(self, trial: Trial) -> None:
        """Undo what a failed test changed for all; what else it left comes of its failure.

        To look for that could let go of what the failure holds: its warnings would hit the
        next test.
        """
        for watch in self._watches:
            if watch.sets_back and watch.suspects():
                self._tell(trial, watch.offences())

    def _settle(
        self, trial: Trial, call: pytest.CallInfo[None], offences: Sequence[Offence]
    ) -> None:
        """Fail the phase for what counts, unless it failed already; tell about the rest."""
        levels = [(self._policy.level(offence, trial.allowed), offence) for offence in offences]
        errors = [offence for level, offence in levels if level is Level.ERROR]
        self._tell(trial, [offence for level, offence in levels if level is Level.WARN])
        if not errors:
            return
        if call.excinfo is None:
            trial.blamed = True
            text = verdict(errors, root=self._root)
            _fail(call, pytest.fail.Exception(text, pytrace=False))
        else:
            self._tell(trial, errors)

    def _tell(self, trial: Trial, offences: Sequence[Offence]) -> None:
        told = [one for one in offences if self._policy.level(one, trial.allowed) is not Level.OFF]
        for one in told:
            self._note(f"{trial.item.nodeid}: {one.render(self._root)}")

    def _suspects(self) -> bool:
        for watch in self._watches:
            if watch.stirred and watch.suspects():
                return True
        return self.coroutines is not None and bool(self.coroutines.kept())

    def _left(self, trial: Trial) -> list[Offence]:
        offences = [offence for watch in self._watches for offence in watch.offences()]
        if self.coroutines is not None:
            offences += self._kept(trial, self.coroutines)
        return offences

    def _kept(self, trial: Trial, watch: CoroutineWatch) -> list[Offence]:
        blamed, excused = keeping.divided(watch.kept, patience_s=_RECHECK_S)
        watch.blame(blamed)
        watch.excuse(excused)
        return [
            self._describe(trial, Dropped(one.__qualname__, one.cr_origin, old=True))
            for one in blamed
        ]

    def _dropped_early(self, trial: Trial) -> list[Offence]:
        """What the early teardown let go: made before, it is the test's; the rest waits."""
        if self.coroutines is None:
            return []
        dropped = self.coroutines.take_dropped()
        self.coroutines.give_back(one for one in dropped if not one.old)
        return [self._describe(trial, one) for one in dropped if one.old]

    def _describe(self, trial: Trial, dropped: Dropped) -> Offence:
        place = of_origin(dropped.origin)
        fixtures = frozenset(getattr(trial.item, "fixturenames", ()))
        maker = first_own(place.frames, fixtures) if place else None
        return Offence(
            "coroutine",
            dropped.name,
            f"coroutine {dropped.name!r}",
            place,
            during=f"fixture {maker!r}" if maker else "",
        )

    def _tear_down(self, trial: Trial) -> None:
        trial.teardown_began = time.time()
        os.environ["PYTEST_CURRENT_TEST"] = f"{trial.item.nodeid} (teardown)".replace(
            "\0", "(null)"
        )
        with _captured(trial.item):
            try:
                trial.item.session._setupstate.teardown_exact(trial.nextitem)
            except BaseException as exc:  # noqa: BLE001 - told in the teardown's own report
                trial.teardown_error = exc
        trial.teardown_ended = time.time()
        trial.torn_down = True

    @contextmanager
    def _outside(self) -> Iterator[None]:
        with ExitStack() as stack:
            for watch in self._watches:
                stack.enter_context(watch.outside())
            if self.coroutines is not None:
                stack.enter_context(self.coroutines.outside())
            yield

    def _leave(self, ending: ExitStack) -> None:
        """A wider fixture is about to be taken down: what it does is no test's doing."""
        if self._trial is not None:
            self._has_fixtures(self._trial)
        ending.enter_context(self._outside())

    def _has_fixtures(self, trial: Trial) -> None:
        trial.has_fixtures = True
        if self.coroutines is not None:
            self.coroutines.expect_all()
        self.sit()

    def _meet_loop(self, runner: Any) -> None:
        for watch in self._watches:
            if (meet := getattr(watch, "knows", None)) is not None:
                meet(runner.get_loop())


class Verdict:
    """Has the judge look at the reports of each phase.

    Registered after every conftest, so that it is the outermost: whatever reads a test's report
    in a fixture's teardown finds it there.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Judge before any plugin speaks, and the call once every plugin has had its say."""
        self._judge.before_report(item, call)
        report = yield
        return self._judge.after_report(item, call, report)


def _fail(call: pytest.CallInfo[None], error: BaseException) -> None:
    try:
        raise error
    except BaseException:  # noqa: BLE001 - it needs a traceback, and goes into the report
        call.excinfo = pytest.ExceptionInfo.from_current()


def _runs_in_loop(kind: type[pytest.Item]) -> bool:
    """Whether such an item's function is a coroutine's, which pytest-asyncio runs whole."""
    return kind.__name__ == "Coroutine" and kind.__module__ == "pytest_asyncio.plugin"


def _may_finish(item: pytest.Item) -> bool:
    """Whether the test may have added a finalizer without having a fixture of its own."""
    return "request" in getattr(item, "fixturenames", ())


def _is_aftermath(error: BaseException) -> bool:
    """Whether it is only what pytest makes of "unclosed socket" and the like under ``-W error``."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_aftermath, error.exceptions))
    return isinstance(error, pytest.PytestUnraisableExceptionWarning)


@contextmanager
def _captured(item: pytest.Item) -> Iterator[None]:
    """Capture output and logs as pytest does in a teardown."""
    manager = item.config.pluginmanager
    capture, logs = manager.getplugin("capturemanager"), manager.getplugin("logging-plugin")
    with ExitStack() as stack:
        if capture is not None:
            stack.enter_context(capture.item_capture("teardown", item))
        if logs is not None:
            handlers = logs._runtest_for(item, "teardown")  # a bare generator before pytest 8.4
            enter = (
                handlers if hasattr(handlers, "__enter__") else contextmanager(lambda: handlers)()
            )
            stack.enter_context(enter)
        yield
