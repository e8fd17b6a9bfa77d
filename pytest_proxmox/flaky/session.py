"""The flaky part of a run: what is put in place for it, in the process that runs or commands."""

from __future__ import annotations

import datetime
import os
import platform
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from pytest_proxmox import __version__
from pytest_proxmox.errors import ProxmoxTestError, UserMistake
from pytest_proxmox.flaky import checkout, settings
from pytest_proxmox.flaky.connection import Place
from pytest_proxmox.flaky.policy import GUARD_LEAST, Known, Policy
from pytest_proxmox.flaky.quarantine import Quarantine
from pytest_proxmox.flaky.recorder import QUARANTINED, Recorder
from pytest_proxmox.flaky.witness import Witness
from pytest_proxmox.flaky.writer import Writer
from pytest_proxmox.invocation import Invocation
from pytest_proxmox.report.events import Attempt, RunEnd, RunFacts

WITNESS = "proxmox-flaky-witness"
FLAKY_EXIT = 7  # pytest-rerunfailures' own, for --fail-on-flaky
READ_PATIENCE_S = 0.5
SECRET_LEAST = 6  # a variable's shorter value is no secret, and would blacken half of a text
_SECRET_WORDS = ("PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY")
SEED_VARIABLE = "PYTEST_PROXMOX_ORDER_SEED"


def begin(config: pytest.Config) -> None:
    """Put the hooks of this process in place.

    Raises:
        pytest.UsageError: an option has a value that cannot be used.
    """
    try:
        rules = settings.rerun_rules(config)
        path = settings.quarantine_path(config)
        quarantine = Quarantine() if path is None else Quarantine.read(path)
        if settings.history_text(config)[0] is not None:  # the default place is no mistake
            settings.history_place(config)
    except UserMistake as exc:
        raise pytest.UsageError(str(exc)) from exc
    is_worker = hasattr(config, "workerinput")
    can_rerun = settings.has_reruns(config) and not config.option.usepdb
    policy = Policy(rules, lambda: _known(config)) if can_rerun and rules.reruns else None
    witness = _register_witness(config, policy, quarantine)
    if not is_worker:
        keeper = Keeper(config, rules, witness)
        config.pluginmanager.register(keeper, "proxmox-flaky-keeper")
        if policy is not None and config.pluginmanager.hasplugin("xdist"):
            from pytest_proxmox.flaky.crashes import CrashHooks

            config.pluginmanager.register(CrashHooks(rules), "proxmox-flaky-crashes")


def heed_marks(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the ``quarantine`` marks of these tests count where nothing else of this is wanted."""
    if config.pluginmanager.hasplugin(WITNESS):
        return  # it heeds them anyway
    _register_witness(config, None, Quarantine()).pytest_collection_modifyitems(config, items)


def _register_witness(
    config: pytest.Config, policy: Policy | None, quarantine: Quarantine
) -> Witness:
    witness = Witness(
        policy,
        quarantine,
        today=datetime.datetime.now(datetime.UTC).date(),
        secrets=lambda: _secrets(config),
        root=f"{config.rootpath}{os.sep}",
    )
    config.pluginmanager.register(witness, WITNESS)
    return witness


class Keeper(Recorder):
    """The hooks of the process that commands the run: it records, and knows how it ends."""

    def __init__(self, config: pytest.Config, rules: settings.RerunRules, witness: Witness) -> None:
        super().__init__(self._take, grouped=getattr(config.option, "dist", "") == "loadgroup")
        self._config = config
        self._rules = rules
        self._witness = witness
        self._began = time.time()
        self._writer: Writer | None = None
        self._place: Place | None = None
        self._add: Callable[[Attempt], None] = self._add_first
        self._review_lines: list[str] = []
        self.run_id = uuid.uuid4().hex

    def _take(self, attempt: Attempt) -> None:
        self._add(attempt)

    def _add_first(self, attempt: Attempt) -> None:
        """Find out where the history lies: only a run with a test asks."""
        self._place = settings.history_place(self._config)
        folder = settings.report_folder(self._config)
        if self._place is None and folder is not None:
            self._place = Place(folder / "history.sqlite")
        if self._place is None:
            self._add = lambda _: None
            return
        spool = settings.cache_folder(self._config)
        if spool is None:
            spool = (self._place.path or self._config.rootpath / "history").parent
        notes = Invocation.of(self._config).notes
        writer = Writer(self._place, self._facts(), spool=spool, note=notes.append)
        self._writer, self._add = writer, writer.add
        writer.add(attempt)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        """Show a failure in quarantine as what it is."""
        if getattr(report, QUARANTINED, False):
            return "quarantined", "q", ("QUARANTINED", {"yellow": True})
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Store the rest; let ``--fail-on-flaky`` count under xdist too."""
        self.finish()
        wants_steady = getattr(self._config.option, "fail_on_flaky", False)
        if wants_steady and self.passed_on_retry and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = FLAKY_EXIT
        if self.due and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED  # they failed, and nobody ran them
        if self._writer is None:
            return
        invocation = Invocation.of(self._config)
        self._writer.end(
            RunEnd(
                finished=time.time(),
                exit_status=int(session.exitstatus),
                trusted=self.is_trusted,
                figures={"leftovers": float(len(invocation.leftovers))},
            )
        )
        self._review(invocation)
        self._report(invocation)

    def _review(self, invocation: Invocation) -> None:
        """Find the entries of the quarantine that nobody needs any more."""
        witness = self._witness
        if self._place is None or not (witness.entries or witness.quarantine.entries):
            return
        from pytest_proxmox.flaky import verdicts
        from pytest_proxmox.flaky.history import History

        project = self._config.rootpath.name
        find = witness.quarantine.find
        try:
            with History.open(self._place) as history:
                known = [nodeid for nodeid, _ in history.tests(project).values()]
                entries = {n: e for n in known if (e := witness.entries.get(n) or find(n))}
                released = verdicts.released(history, project, entries)
        except ProxmoxTestError as exc:
            invocation.notes.append(f"{exc}. The quarantine was not looked through")
            return
        self._review_lines = [
            f"quarantine no longer needed: {nodeid} has passed {streak} times in a row "
            f"({entries[nodeid].origin}: {entries[nodeid]})"
            for nodeid, streak in released
        ] + [
            f"quarantine of no test on record: {entry.test} ({entry.origin})"
            for entry in witness.quarantine.unmatched(known)
        ]

    @property
    def is_trusted(self) -> bool:
        """Whether the run is evidence: not when so much failed that the tests are not to blame."""
        failed = len(self.first_failures)
        return failed < GUARD_LEAST or failed * 100 <= self._rules.guard_percent * self.tests

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what reruns and the quarantine have hidden from the counts."""
        lines = [f"passed on retry: {nodeid}" for nodeid in sorted(set(self.passed_on_retry))]
        lines += [f"failed, and no worker was left to try it again: {test}" for test in self.due]
        lines += [f"failed in quarantine: {nodeid}" for nodeid in sorted(set(self.quarantined))]
        lines += self._review_lines
        for nodeid, entry in self._witness.expired:
            lines.append(f"quarantine expired: {nodeid} ({entry.origin}: {entry})")
        if not self.is_trusted:
            lines.append(
                f"{len(self.first_failures)} of {self.tests} tests failed at first: more than "
                f"{self._rules.guard_percent:g} %, so nothing more was tried again and this run "
                "is no evidence about any test"
            )
        if lines:
            terminalreporter.section("flaky tests", yellow=True)
            terminalreporter.write("".join(f"{line}\n" for line in lines))

    def _report(self, invocation: Invocation) -> None:
        folder = settings.report_folder(self._config)
        if folder is None or self._place is None:
            return
        from pytest_proxmox.report.bundle import write

        try:
            written = write(self._place, self._config.rootpath.name, folder)
        except (ProxmoxTestError, OSError) as exc:
            invocation.notes.append(f"no reports were written to {folder}: {exc}")
        else:
            invocation.notes.append(f"reports: {written}")

    def _facts(self) -> RunFacts:
        found = checkout.find(self._config.rootpath, os.environ)
        option = self._config.option
        workers = getattr(option, "tx", None) or []
        return RunFacts(
            id=self.run_id,
            project=self._config.rootpath.name,
            started=self._began,
            commit=found.commit,
            branch=found.branch,
            seed=_seed(self._config),
            workers=len(workers),
            distribution=str(getattr(option, "dist", "no") or "no"),
            environment=_environment(),
        )


def _environment() -> dict[str, str]:
    told = {
        "python": platform.python_version(),
        "platform": platform.system(),
        "pytest": pytest.__version__,
        "pytest-proxmox": __version__,
    }
    ci = next((name for key, name in checkout.CI_NAMES.items() if os.environ.get(key)), None)
    if ci is not None:
        told["ci"] = ci
    return told


def _seed(config: pytest.Config) -> str:
    seed = os.environ.get(SEED_VARIABLE) or getattr(config.option, "randomly_seed", None)
    return "" if seed is None else str(seed)


def _known(config: pytest.Config) -> Known:
    """What the history knows now; nothing where there is none, or where it cannot be read."""
    from pytest_proxmox.flaky.history import History

    place = settings.history_place(config)
    if place is None or not place.exists:
        return Known({}, frozenset(), is_readable=True)
    project = config.rootpath.name
    try:
        with History.open(place, busy_s=READ_PATIENCE_S) as history:
            states = {name: v.state for name, v in history.verdicts(project).items()}
            tests = frozenset(nodeid for nodeid, _ in history.tests(project).values())
    except ProxmoxTestError as exc:
        Invocation.of(config).notes.append(f"{exc}. No test counts as known to be flaky")
        return Known({}, frozenset(), is_readable=False)
    return Known(states, tests, is_readable=True)


def _secrets(config: pytest.Config) -> list[str]:
    """What may stand in no message or trace: those of Proxmox, and all that variables hold."""
    found = [
        value
        for name, value in os.environ.items()
        if len(value) >= SECRET_LEAST and any(word in name.upper() for word in _SECRET_WORDS)
    ]
    invocation = Invocation.of(config)
    if not invocation.sources.is_silent:
        given = (invocation.settings.password, invocation.settings.token_value)
        found += [secret for secret in given if secret]
    return found
