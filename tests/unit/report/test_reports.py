"""Every report says of a known run what the history says of it."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from pytest_proxmox.cli.main import main
from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.flaky.connection import Place
from pytest_proxmox.flaky.history import History
from pytest_proxmox.report import bundle, coverage, dashboard, gate, junit, markdown
from pytest_proxmox.report.events import Attempt, Failure, RunEnd, RunFacts
from pytest_proxmox.report.figures import Figures
from tests.unit.report.histories import VIEWS, fill

ASSERTION = Failure("assertion", "f1", "assert 1 == 2 | <b>", "call")
LOST = Failure("infrastructure", "f2", "=ApiFailure: 595", "call")


def one(
    name: str, outcome: str, *, number: int = 0, final: bool = True,
    failure: Failure | None = None, marks: str = "", quarantined: bool = False,
) -> Attempt:  # fmt: skip
    """An attempt of the known run."""
    return Attempt(
        f"tests/test_shop.py::{name}", number, outcome, final, 5.0, 0.5, "gw0", 0, marks, "",
        quarantined, failure,
    )  # fmt: skip


KNOWN = [
    one("test_ok", "passed", marks="smoke"),
    one("test_skip", "skipped"),
    one("test_xfail", "xfailed"),
    one("test_bad", "failed", failure=ASSERTION, marks="critical"),
    one("test_alike", "failed", failure=ASSERTION),
    one("test_setup", "error", failure=Failure("exception", "f3", "ValueError", "setup")),
    one("test_retried", "failed", final=False, failure=LOST),
    one("test_retried", "passed", number=1),
    one("test_kept_aside", "failed", failure=ASSERTION, quarantined=True),
]


@pytest.fixture
def known(tmp_path: Path) -> Figures:
    """The figures of one run that is known by heart."""
    with History.open(Place(tmp_path / "h.sqlite")) as history:
        history.begin(RunFacts("run1", "shop", 1e9, "c" * 40, "main", "3", 2, "load", {"ci": "CI"}))
        history.add(KNOWN)
        history.end(RunEnd(1e9 + 5, 1, True, {"leftovers": 2.0}))
    return bundle.read(Place(tmp_path / "h.sqlite"))


def test_figures_are_those_of_the_run(known: Figures) -> None:
    last = known.last
    assert last.totals == {"passed": 2, "skipped": 1, "xfailed": 1, "failed": 3, "error": 1}
    assert (last.judged, last.passed, last.failed) == (6, 2, 4)
    assert last.pass_rate == pytest.approx(2 / 6)


def test_markdown_prints_the_same_figures(known: Figures) -> None:
    texts = markdown.documents(known)
    backend = texts["BACKEND_TEST_COMPLETION_REPORT.md"]
    assert "| Pass rate | 2/5 (40.0%) |" in backend  # the critical one is of another pillar
    assert "| Tests error | 1 |" in backend
    assert "assert 1 == 2 \\| &lt;b>" in backend
    assert "| failed | 3 |" in texts["BASELINE.md"]
    assert "| smoke | 1 | 1 | 0 |" in texts["COVERAGE.md"]
    assert "nothing left on Proxmox (2)" in backend
    assert "`tests/test_shop.py::test_bad`" in texts["DAILY.md"].split("Blockers")[1]
    assert "| run1 |" in texts["WEEKLY.md"]


def test_csv_has_each_failed_attempt_once_the_urgent_first(known: Figures) -> None:
    rows = list(csv.DictReader(io.StringIO(markdown.failures_csv(known))))
    assert len(rows) == sum(a.failure is not None for a in KNOWN)
    assert [row["priority"] for row in rows] == ["P0", "P0", "P0", "P1", "P2"]
    lost = next(row for row in rows if row["fingerprint"] == "f2")
    assert lost["message"] == "'=ApiFailure: 595"  # no formula in a spreadsheet


def test_junit_counts_each_test_once(known: Figures) -> None:
    root = ElementTree.fromstring(junit.render(known))  # noqa: S314 - our own text
    [suite] = root
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "8", "failures": "2", "errors": "1", "skipped": "3"}
    retried = next(case for case in suite if case.get("name") == "test_retried")
    assert [child.tag for child in retried] == ["flakyFailure"]
    assert len(root.findall(".//failure")) == 2


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Figures, dict[str, int], Path]:
    """A made-up history's figures, the last run's totals straight from it, and all reports."""
    folder = tmp_path_factory.mktemp("filled")
    with History.open(Place(folder / "h.sqlite")) as history:
        fill(history, tests=700, runs=8)  # in the last run a database was down
        totals = history.totals("shop")[history.runs("shop")[-1].id]
    figures = bundle.read(Place(folder / "h.sqlite"))
    bundle.write_figures(figures, folder)
    return figures, totals, folder


def test_each_report_has_the_numbers_of_the_history(
    filled: tuple[Figures, dict[str, int], Path],
) -> None:
    figures, totals, folder = filled
    assert min(totals.get(name, 0) for name in ("passed", "failed", "error", "skipped")) > 0
    assert sum(totals.values()) == 700
    bad = totals["failed"] + totals["error"]
    judged = 700 - totals["skipped"]

    def told(name: str, pattern: str) -> list[int]:
        found = re.findall(pattern, (folder / name).read_text())
        return [int(number) for number in found]

    for name, count in totals.items():
        assert told("BASELINE.md", rf"\| {name} \| (\d+) \|") == [count]
    pillars = ("BACKEND_TEST_COMPLETION_REPORT.md", "E2E_TEST_STABILIZATION_REPORT_V2.md")
    daily = re.findall(r"Tests passing: (\d+)/(\d+)", (folder / "DAILY.md").read_text())
    assert [sum(map(int, column)) for column in zip(*daily, strict=True)] == [totals["passed"], 700]
    assert told("WEEKLY.md", r"\| (\d+) \| \d+ \| [\d.]+% \|\n\n") == [totals["passed"]]
    tests = [told(name, r"Total tests \| (\d+)")[0] for name in pillars]
    assert 0 < min(tests) <= sum(tests) < 700  # the rest are of the pillar of integration
    [suite] = ElementTree.parse(folder / "junit.xml").getroot()  # noqa: S314 - our own text
    counted = [int(suite.get(name, "")) for name in ("tests", "failures", "errors", "skipped")]
    assert counted == [700, totals["failed"], totals["error"], totals["skipped"]]
    rows = list(csv.DictReader(io.StringIO((folder / "failures.csv").read_text())))
    assert len({row["test"] for row in rows if row["outcome"] in ("failed", "error")}) >= bad
    [run] = list(_payload((folder / "dashboard.html").read_text())["runs"])[-1:]
    assert (run["judged"], run["failed"]) == (judged, bad)
    results = [json.loads(p.read_text()) for p in (folder / "allure-results").glob("*-result.json")]
    assert len(results) == len(figures.latest)
    assert len({one["historyId"] for one in results}) == 700
    findings = gate.check(gate.parse("failed=0,pass_rate=1"), figures)
    assert [one.value for one in findings] == [bad, pytest.approx(totals["passed"] / judged)]


def _payload(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    payload: dict[str, Any] = json.loads(found[1])
    return payload


def test_dashboard_holds_the_same_figures_and_nothing_from_elsewhere(known: Figures) -> None:
    page = dashboard.render(known)
    data = _payload(page)
    assert data["runs"] == [
        {"started": "2001-09-09 01:46 UTC", "rate": 0.33333, "judged": 6, "failed": 4,
         "duration": 5.0, "left": 2}
    ]  # fmt: skip
    tests = data["tests"]
    assert isinstance(tests, list)
    assert len(tests) == 8
    assert "http" not in re.sub(r"https://github.com/leeoniya|http://www.w3.org", "", page)


def test_a_failure_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    evil = Failure("assertion", "x", "</script><script>alert(1)</script>", "call")
    with History.open(Place(tmp_path / "h.sqlite")) as history:
        history.begin(RunFacts("run1", "shop", 1e9, "", "", "", 0, "no", {}))
        history.add([one("test_evil", "failed", failure=evil)])
    page = dashboard.render(bundle.read(Place(tmp_path / "h.sqlite")))
    assert "alert(1)</script>" not in page
    tests = _payload(page)["tests"]
    assert isinstance(tests, list)
    assert tests[0]["failure"] == evil.message


def test_navigation_matrix_has_each_way(tmp_path: Path) -> None:
    with History.open(Place(tmp_path / "h.sqlite")) as history:
        fill(history, tests=900, runs=1)
    matrix = dashboard.navigation(bundle.read(Place(tmp_path / "h.sqlite")).latest)
    assert matrix["views"] == list(VIEWS)
    assert len(matrix["cells"]) == 36


def test_gate_names_what_broke(known: Figures) -> None:
    bounds = gate.parse("pass_rate=0.9,flaky=0,coverage=80,leftovers=0,failed=4")
    findings = {one.name: one for one in gate.check(bounds, known)}
    broken = {name for name, one in findings.items() if not one.is_kept}
    assert broken == {"pass_rate", "coverage", "leftovers"}
    assert "test_bad" in str(findings["pass_rate"])
    assert "no coverage was given" in str(findings["coverage"])


@pytest.mark.parametrize("text", ["", "speed=3", "flaky=few", "flaky"])
def test_a_bound_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="bound"):
        gate.parse(text)


def test_coverage_is_summed_by_folder(tmp_path: Path) -> None:
    path = tmp_path / "coverage.json"
    summaries = {"a/x.py": (10, 5), "a/y.py": (10, 10), "b.py": (4, 1)}
    files = {
        name: {"summary": {"num_statements": total, "covered_lines": covered}}
        for name, (total, covered) in summaries.items()
    }
    path.write_text(json.dumps({"files": files}))
    modules = coverage.read(path)
    assert modules == [coverage.Covered(".", 4, 1), coverage.Covered("a", 20, 15)]
    assert coverage.total(modules).percent == pytest.approx(100 * 16 / 24)
    path.write_text("[]")
    with pytest.raises(InvalidValue, match="coverage json"):
        coverage.read(path)


def test_the_command_writes_every_report_and_fails_on_a_broken_bound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with History.open(Place(tmp_path / "h.sqlite")) as history:
        fill(history, tests=60, runs=12)
    args = ["report", "--history", str(tmp_path / "h.sqlite"), "--out", str(tmp_path / "out")]
    assert main(args) == 0
    assert main([*args, "--gate", "flaky=0"]) == 1
    assert "BROKEN flaky" in capsys.readouterr().out
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"dashboard.html", "junit.xml", "failures.csv", "DAILY.md", "WEEKLY.md"} <= made


def test_the_command_says_where_there_is_no_history(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--history", str(tmp_path / "none.sqlite")]) == 2
    assert "there is no history at" in capsys.readouterr().err
