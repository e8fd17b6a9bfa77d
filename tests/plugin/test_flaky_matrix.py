"""The same tests, alone and under xdist's schedulers: the same totals, exit code, history."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from pytest_proxmox.flaky.connection import Place
from pytest_proxmox.flaky.history import History
from pytest_proxmox.flaky.verdicts import FLAKY
from pytest_proxmox.report.events import Attempt, RunEnd, RunFacts
from tests.plugin.conftest import FEW_PLUGINS

SUITE = '''
import pytest
from pathlib import Path

SEEN = Path(__file__).parent / "seen"

def first_time(name):
    """Whether nobody has been here in this run, in whatever process."""
    SEEN.mkdir(exist_ok=True)
    try:
        (SEEN / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True

def test_pass(): pass
def test_fail(): assert 1 == 2
def test_infra():
    if first_time("infra"): raise ConnectionError("line is cut")
def test_known_to_be_flaky(): assert not first_time("flaky")
def test_infra_always(): raise ConnectionError("never there")
def test_infra_then_assertion():
    if first_time("then"): raise ConnectionError("line is cut")
    assert 3 == 4
@pytest.mark.skip
def test_skip(): pass
@pytest.mark.xfail(strict=False)
def test_xfail(): assert 0
@pytest.mark.xfail(strict=False)
def test_xpass(): pass
@pytest.mark.parametrize("n", [1, 2])
def test_parametrised(n): assert n == 1

class TestPhases:
    @pytest.fixture
    def broken(self): raise ValueError("no fixture")
    @pytest.fixture
    def lost(self):
        if first_time("setup"): raise ConnectionError("in setup")
    @pytest.fixture
    def late(self):
        yield
        raise ValueError("at the end")
    @pytest.fixture
    def late_lost(self):
        yield
        if first_time("teardown"): raise ConnectionError("in teardown")
    @pytest.fixture
    def late_assertion(self):
        yield
        assert 5 == 6
    def test_setup_error(self, broken): pass
    def test_setup_infra(self, lost): pass
    def test_teardown_error(self, late): pass
    def test_teardown_infra(self, late_lost): pass
    def test_infra_and_a_real_teardown(self, late_assertion): raise ConnectionError("gone")

@pytest.mark.xdist_group("together")
def test_grouped(): pass
@pytest.mark.xdist_group("together")
def test_grouped_infra():
    if first_time("grouped"): raise ConnectionError("in a group")

class TestSubtests:
    def test_subtests(self, subtests):
        for n in (1, 2, 3):
            with subtests.test(n=n):
                assert n != 2
    def test_subtests_pass(self, subtests):
        with subtests.test("fine"):
            pass
'''
CRASHES = """
import os
import pytest
from test_suite import first_time

def test_before(): pass
def test_crash():
    if first_time("crash"): os._exit(3)
def test_between(): pass
def test_crash_always(): os._exit(4)
def test_after(): pass
"""
SLOW_OF_HEARING = """
import threading
from pytest_rerunfailures import ServerStatusDB

heard = ServerStatusDB._set

def later(self, test, what, value):
    if what == "r" and test != "__suite__":
        threading.Event().wait(0.5)
    heard(self, test, what, value)

ServerStatusDB._set = later
"""
# What each test ends as, with how many attempts: written by hand.
EXPECTED = {
    "test_pass": ("passed", 1),
    "test_fail": ("failed", 1),
    "test_infra": ("passed", 2),
    "test_known_to_be_flaky": ("passed", 2),
    "test_infra_always": ("failed", 2),
    "test_infra_then_assertion": ("failed", 2),
    "test_skip": ("skipped", 1),
    "test_xfail": ("xfailed", 1),
    "test_xpass": ("xpassed", 1),
    "test_parametrised[1]": ("passed", 1),
    "test_parametrised[2]": ("failed", 1),
    "TestPhases::test_setup_error": ("error", 1),
    "TestPhases::test_setup_infra": ("passed", 2),
    "TestPhases::test_teardown_error": ("error", 1),
    "TestPhases::test_teardown_infra": ("passed", 2),
    "TestPhases::test_infra_and_a_real_teardown": ("failed", 1),
    "test_grouped": ("passed", 1),
    "test_grouped_infra": ("passed", 2),
    "TestSubtests::test_subtests": ("failed", 1),
    "TestSubtests::test_subtests_pass": ("passed", 1),
}
EXPECTED_CRASHES = {
    "test_before": ("passed", 1),
    "test_crash": ("passed", 2),
    "test_between": ("passed", 1),
    "test_crash_always": ("crashed", 2),
    "test_after": ("passed", 1),
}
# What pytest's last line counts. A test whose tear-down fails has passed, and is an error too; so
# the one whose tear-down is tried again has passed twice. A failed subtest and its test both count.
COUNTS = {
    "passed": 11, "failed": 7, "errors": 3, "skipped": 1, "xfailed": 1, "xpassed": 1,
    "subtests": 3, "rerun": 7,
}  # fmt: skip
COUNTS_WITH_CRASHES = {**COUNTS, "passed": 15, "failed": 8, "rerun": 9}
MODES = {
    "alone": [],
    "load": ["-n2", "--dist=load"],
    "loadscope": ["-n2", "--dist=loadscope"],
    "loadgroup": ["-n2", "--dist=loadgroup"],
    "worksteal": ["-n2", "--dist=worksteal"],
}


class Done(NamedTuple):
    """A finished run: its exit code, what it counted, and each test's outcome and attempts."""

    code: int
    counts: dict[str, int]
    ends: dict[str, tuple[str, int]]
    attempts: int


def run_suite(folder: Path, *args: str) -> Done:
    """Run the suite in ``folder`` in a process of its own."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PROXMOX_"))}
    environ.pop("FLAKY_HISTORY_URL", None)
    environ |= FEW_PLUGINS
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "--tb=no",
            "-o", "rerun_guard=100", "-o", "rerun_budget_least=50", "--infra-reruns=1",
            f"--flaky-history={folder}/history.sqlite", *args,
        ],
        cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    with History.open(Place(folder / "history.sqlite")) as history:
        [_, run] = history.runs(folder.name)
        attempts = history.attempts(run.id)
    ends: dict[str, tuple[str, int]] = {}
    for one in attempts:
        if one.final:
            assert one.nodeid not in ends, f"{one.nodeid} ended twice"
            count = sum(other.nodeid == one.nodeid for other in attempts)
            ends[one.nodeid.partition("::")[2]] = (one.outcome, count)
    assert run.exit_status == done.returncode, done.stdout + done.stderr
    counts = pytest.RunResult.parse_summary_nouns(done.stdout.splitlines())
    return Done(done.returncode, counts, ends, len(attempts))


def _know(folder: Path) -> None:
    """Let the history know of a run before, and of a test that is flaky."""
    nodeid = "test_suite.py::test_known_to_be_flaky"
    with History.open(Place(folder / "history.sqlite")) as history:
        history.begin(RunFacts("before", folder.name, 1.0, "", "", "", 0, "no", {}))
        history.add([Attempt(nodeid, 0, "passed", True, 1.0, 0.1, "", 0, "", "", False, None)])
        history.end(RunEnd(2.0, 0, True, {}))
        [test] = history.tests(folder.name)
        history.judge([(test, FLAKY, 0.3, 1.0)])


def _write(folder: Path, *, crashes: bool) -> None:
    _know(folder)
    (folder / "pytest.ini").write_text(
        "[pytest]\npythonpath = .\nasyncio_default_fixture_loop_scope = function\n"
    )
    (folder / "test_suite.py").write_text(SUITE)
    if crashes:
        (folder / "test_zcrashes.py").write_text(CRASHES)


@pytest.mark.parametrize("mode", MODES)
def test_every_way_to_run_gives_the_same_history_and_exit_code(tmp_path: Path, mode: str) -> None:
    crashes = mode != "alone"  # alone nobody is left to tell
    _write(tmp_path, crashes=crashes)
    done = run_suite(tmp_path, *MODES[mode])
    expected = {**EXPECTED, **(EXPECTED_CRASHES if crashes else {})}
    assert done.ends == expected
    assert done.attempts == sum(count for _, count in expected.values())
    assert done.counts == (COUNTS_WITH_CRASHES if crashes else COUNTS)
    assert done.code == 1


@pytest.mark.parametrize("mode", ["load", "loadscope"])
def test_a_worker_that_is_heard_after_its_death_has_its_test_tried_again(
    tmp_path: Path, mode: str
) -> None:
    """What it says through a socket before the test arrives when it is known to be dead."""
    _write(tmp_path, crashes=True)
    (tmp_path / "conftest.py").write_text(SLOW_OF_HEARING)
    done = run_suite(tmp_path, "test_zcrashes.py", *MODES[mode])
    assert done.ends == EXPECTED_CRASHES


@pytest.mark.parametrize("mode", ["alone", "load"])
def test_fail_on_flaky_ends_the_run_with_seven(tmp_path: Path, mode: str) -> None:
    _write(tmp_path, crashes=False)
    done = run_suite(
        tmp_path,
        "--fail-on-flaky",
        "-k",
        "test_infra and not al and not th or test_pass",
        *MODES[mode],
    )
    assert (done.code, done.ends) == (7, {"test_pass": ("passed", 1), "test_infra": ("passed", 2)})
