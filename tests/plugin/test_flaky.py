"""Reruns, quarantine and history in a run: what users see."""

from __future__ import annotations

import json
import sqlite3

import pytest

from pytest_proxmox.flaky.connection import Place
from pytest_proxmox.flaky.history import History
from pytest_proxmox.report.events import Attempt, Failure, RunEnd, RunFacts
from tests.plugin.conftest import Project

FIRST_TIME_BAD = """
tries = []
def test_it():
    tries.append(1)
    {}
"""


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about the history."""
    monkeypatch.delenv("FLAKY_HISTORY_URL")


def _attempts(project: Project) -> list[Attempt]:
    path = project.path / ".pytest_cache" / "d" / "proxmox" / "history.sqlite"
    with History.open(Place(path)) as history:
        [run] = history.runs(project.path.name)
        return history.attempts(run.id)


@pytest.mark.parametrize(
    "error",
    [
        "ConnectionError('cut')",
        "requests.exceptions.ReadTimeout('late')",
        "proxmoxer.core.ResourceException(595, 'No route to host', '')",
        "ApiFailure('x', call='GET x', kind='transient', code='lock-timeout')",
        "PageClosedError('gone')",
    ],
)
def test_a_failure_of_the_infrastructure_is_tried_again(project: Project, error: str) -> None:
    project.write(
        "test_it.py",
        "import proxmoxer, requests\nfrom pytest_proxmox.errors import ApiFailure\n"
        "class PageClosedError(RuntimeError): pass\n"
        + FIRST_TIME_BAD.format(f"if len(tries) < 2: raise {error}"),
    )
    result = project.run()
    assert result.parseoutcomes() == {"passed": 1, "rerun": 1}
    result.stdout.fnmatch_lines(["passed on retry: test_it.py::test_it"])
    assert [(a.outcome, a.final) for a in _attempts(project)] == [
        ("failed", False), ("passed", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "assert len(tries) > 1",
        "if len(tries) < 2: raise ValueError('ours')",
        "if len(tries) < 2: raise ApiFailure('x', call='x', kind='permanent', code='forbidden')",
        "if len(tries) < 2: raise AssertionError('wrong') from ConnectionError('cut')",
        "pytest.fail('no')",
    ],
)
def test_any_other_failure_is_not(project: Project, line: str) -> None:
    project.write(
        "test_it.py",
        "import pytest\nfrom pytest_proxmox.errors import ApiFailure\n"
        + FIRST_TIME_BAD.format(line),
    )
    assert project.run().parseoutcomes() == {"failed": 1}


def test_new_tests_are_tried_again_when_asked_for(project: Project) -> None:
    project.write("test_it.py", "def test_it(): assert 0\n")
    assert project.run("--rerun-new").parseoutcomes() == {"failed": 1, "rerun": 2}
    assert project.run("--rerun-new").parseoutcomes() == {"failed": 1}  # it is not new any more


def test_a_test_known_to_be_flaky_is_tried_again(project: Project) -> None:
    project.write("test_it.py", FIRST_TIME_BAD.format("assert len(tries) > 1"))
    name = project.path.name
    path = project.path / "h.sqlite"
    with History.open(Place(path)) as history:
        for n in range(8):
            history.begin(RunFacts(f"r{n}", name, n, "same", "", "", 0, "no", {"ci": "CI"}))
            bad = Failure("assertion", "f", "m", "call") if n % 2 else None
            history.add(
                [Attempt("test_it.py::test_it", 0, "failed" if bad else "passed", True, n, 0.1, "",
                         0, "", "", False, bad)]
            )  # fmt: skip
            history.end(RunEnd(n, 0, True, {}))
        from pytest_proxmox.flaky.verdicts import judge_failing

        judge_failing(history, name)
    result = project.run("--flaky-history", str(path))
    assert result.parseoutcomes() == {"passed": 1, "rerun": 1}


def test_an_outage_stops_all_reruns(project: Project) -> None:
    project.write("test_it.py", "".join(
        f"def test_{n}(): raise ConnectionError('down')\n" for n in range(30)
    ))  # fmt: skip
    result = project.run("-o", "rerun_budget_least=100")
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] == 30
    assert outcomes["rerun"] == 18  # the nine before the guard trips, twice each
    result.stdout.fnmatch_lines(["30 of 30 tests failed at first*this run is no evidence*"])


def test_the_budget_bounds_the_reruns_of_a_run(project: Project) -> None:
    project.write("test_it.py", "".join(
        f"def test_{n}(): raise ConnectionError('down')\n" for n in range(8)
    ))  # fmt: skip
    assert project.run().parseoutcomes() == {"failed": 8, "rerun": 5}


def test_an_attempt_has_fresh_fixtures(project: Project) -> None:
    project.write(
        "test_it.py",
        "import pytest\nmade = []\n@pytest.fixture\ndef fresh():\n    made.append(1)\n"
        "    yield len(made)\n    made.append('gone')\n"
        "def test_it(fresh):\n    if fresh == 1: raise ConnectionError('cut')\n"
        "    assert made == [1, 'gone', 1]\n",
    )
    assert project.run().parseoutcomes() == {"passed": 1, "rerun": 1}


ENTRY = """
[[test]]
id = "test_it.py::{}"
reason = "a race"
owner = "ada"
issue = "#12"
expires = {}
"""


def test_quarantine_runs_reports_and_lets_the_run_pass(
    project: Project, how: tuple[str, ...]
) -> None:
    project.write("quarantine.toml", ENTRY.format("test_*", "2999-01-31"))
    project.write(
        "test_it.py",
        "import pytest\ndef test_bad(): assert 0\n"
        "@pytest.fixture\ndef broken(): raise ValueError\ndef test_error(broken): pass\n"
        "def test_good(): pass\n",
    )
    result = project.run(*how)
    assert result.ret == 0
    assert result.parseoutcomes() == {"passed": 1, "quarantined": 2}
    result.stdout.fnmatch_lines(["failed in quarantine: test_it.py::test_bad"])
    found = {a.nodeid: (a.outcome, a.quarantined) for a in _attempts(project)}
    assert found["test_it.py::test_bad"] == ("failed", True)
    assert found["test_it.py::test_error"] == ("error", True)


def test_an_expired_entry_protects_nothing_and_is_named(project: Project) -> None:
    project.write("q.toml", ENTRY.format("test_bad", "2020-01-31"))
    project.write("test_it.py", "def test_bad(): assert 0\n")
    result = project.run("--quarantine", "q.toml")
    assert result.parseoutcomes() == {"failed": 1}
    result.stdout.fnmatch_lines(["quarantine expired: test_it.py::test_bad (q.toml, entry 1*"])


def test_an_entry_that_is_needed_no_more_is_named(project: Project, how: tuple[str, ...]) -> None:
    project.write("quarantine.toml", ENTRY.format("test_was_bad", "2999-01-31"))
    project.write("test_it.py", "def test_was_bad(): pass\ndef test_other(): pass\n")
    path = project.path / "h.sqlite"
    with History.open(Place(path)) as history:
        for n in range(12):  # broken, and repaired after the third run
            bad = Failure("assertion", "f", "m", "call") if n < 3 else None
            history.begin(RunFacts(f"r{n}", project.path.name, n, f"c{n}", "", "", 0, "no", {}))
            history.add(
                [Attempt("test_it.py::test_was_bad", 0, "failed" if bad else "passed", True, n,
                         0.1, "", 0, "", "", bad is not None, bad)]
            )  # fmt: skip
            history.end(RunEnd(n, 0, True, {}))
    result = project.run("--flaky-history", str(path), *how)
    result.stdout.fnmatch_lines(
        ["quarantine no longer needed: test_it.py::test_was_bad has passed 10 times in a row (*"]
    )
    result.stdout.no_fnmatch_line("*of no test on record*")


def test_an_entry_of_no_test_is_named(project: Project) -> None:
    project.write("quarantine.toml", ENTRY.format("test_gone", "2999-01-31"))
    project.write("test_it.py", "def test_it(): pass\n")
    result = project.run()
    result.stdout.fnmatch_lines(["quarantine of no test on record: test_it.py::test_gone (*"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[test]]\nid = 'x'\n", "*lacks reason, owner, issue, expires*"),
        ("[[test", "*the quarantine cannot be read*"),
        (ENTRY.format("x", "'soon'"), '*expires on "soon", which is no date*'),
        ("tests = []", "*keys other than*"),
    ],
    ids=["fields", "toml", "date", "keys"],
)
def test_a_quarantine_file_with_a_mistake_ends_the_run(
    project: Project, text: str, said: str
) -> None:
    project.write("quarantine.toml", text)
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])


def test_the_quarantine_mark_works_without_the_extra(project: Project) -> None:
    project.write(
        "test_it.py",
        "import pytest\n@pytest.mark.quarantine(reason='r', owner='o', issue='#1', "
        "expires='2999-01-01')\ndef test_it(): assert 0\n",
    )
    assert project.run("-p", "no:rerunfailures").parseoutcomes() == {"xfailed": 1}


def test_a_quarantine_mark_with_a_mistake_is_refused(project: Project) -> None:
    project.write("test_it.py", "import pytest\n@pytest.mark.quarantine\ndef test_it(): pass\n")
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*lacks reason, owner, issue, expires*"])


def test_without_its_extra_nothing_is_kept(project: Project) -> None:
    project.write("test_it.py", "def test_it(): pass\n")
    project.run("-p", "no:rerunfailures").assert_outcomes(passed=1)
    assert not (project.path / ".pytest_cache" / "d" / "proxmox").exists()


def test_an_empty_run_opens_no_history(project: Project) -> None:
    project.write("test_it.py", "")
    assert project.run("--flaky-history=h.sqlite").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert not (project.path / "h.sqlite").exists()


def test_a_locked_history_does_not_fail_the_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.path / "h.sqlite"
    History.open(Place(path)).close()
    monkeypatch.setattr(History.open.__func__, "__kwdefaults__", {"busy_s": 0.05})  # type: ignore[attr-defined]
    project.write("test_it.py", "def test_it(): pass\n")
    with sqlite3.connect(path) as other:
        other.execute("BEGIN IMMEDIATE")
        result = project.run(f"--flaky-history={path}")
        other.rollback()
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*database is locked. *name another history*. 1 attempts are kept in*"]
    )


def test_a_secret_does_not_get_into_the_history(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXMOX_PASSWORD", "hush-hush")
    project.write("test_it.py", "def test_it(): raise ValueError('hush-hush, password=oops1')\n")
    project.run("--flaky-history=h.sqlite")
    assert b"hush-hush" not in (project.path / "h.sqlite").read_bytes()
    with History.open(Place(project.path / "h.sqlite")) as history:
        [failure] = history.failures().values()
    assert failure.message == "ValueError: ***, password=***"


def test_a_run_writes_its_reports(project: Project) -> None:
    project.write("test_it.py", "def test_it(): pass\n")
    result = project.run("--proxmox-report=out", "--flaky-history=off")
    result.stdout.fnmatch_lines(["reports: *dashboard.html"])
    page = (project.path / "out" / "dashboard.html").read_text()
    payload = page.partition('id="data">')[2].partition("</script>")[0]
    assert [test["id"] for test in json.loads(payload)["tests"]] == ["test_it.py::test_it"]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--infra-reruns=many", '*"many" (option --infra-reruns) is no whole number*'),
        ("--flaky-history=mysql://x/y", '*"mysql" is no database that can hold the history*'),
        ("--quarantine=none.toml", "*there is no quarantine file*"),
    ],
)
def test_an_option_of_no_use_ends_the_run(project: Project, option: str, said: str) -> None:
    project.write("test_it.py", "def test_it(): pass\n")
    result = project.run(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])


def test_a_failure_is_kept_with_its_trace_its_files_and_no_secret(
    project: Project, how: tuple[str, ...]
) -> None:
    project.write(
        "test_it.py",
        "def test_it(record_property, tmp_path):\n"
        "    path = tmp_path / 'state.txt'\n    path.write_text('what was there')\n"
        "    record_property('attachment', str(path))\n"
        "    assert 'password=hush-hush' == 1  # this line\n",
    )
    project.run("--proxmox-report=out", *how)
    [attempt] = _attempts(project)
    assert attempt.failure is not None
    assert "# this line" in attempt.failure.trace
    assert "hush-hush" not in attempt.failure.trace
    assert 0 < attempt.setup_s + attempt.teardown_s <= attempt.duration_s
    [copy] = (project.path / "out" / "allure-results").glob("*-attachment-1.txt")
    assert copy.read_text() == "what was there"
