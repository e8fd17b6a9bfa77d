"""The reports for people who read text: completion reports, daily and weekly status, baseline."""

from __future__ import annotations

import csv
import datetime
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pytest_proxmox.flaky import statistics, verdicts
from pytest_proxmox.report import coverage as cover
from pytest_proxmox.report.coverage import Covered
from pytest_proxmox.report.events import INFRASTRUCTURE, OUTCOMES, Attempt
from pytest_proxmox.report.figures import Figures, RunFigures, TestFigures
from pytest_proxmox.report.pillars import (
    BACKEND,
    CRITICAL,
    E2E,
    INTEGRATION,
    PILLARS,
    pillar_of,
    sort,
)

WEEK_S = 7 * 24 * 3600
CLEAN_RUNS = 10  # the plan's definition of done: so many runs in a row without a failure
_LIMIT = 50  # rows of a table; the dashboard and the CSV have them all


def documents(figures: Figures, modules: Sequence[Covered] = ()) -> dict[str, str]:
    """Return each document's text by its file's name."""
    return {
        "BACKEND_TEST_COMPLETION_REPORT.md": _completion(figures, "Backend Tests", BACKEND),
        "E2E_TEST_STABILIZATION_REPORT_V2.md": _completion(figures, "E2E Tests", E2E, CRITICAL),
        "INTEGRATION_TEST_REPORT.md": _completion(figures, "Integration Tests", INTEGRATION),
        "DAILY.md": _daily(figures),
        "WEEKLY.md": _weekly(figures),
        "COVERAGE.md": _coverage(figures, modules),
        "BASELINE.md": _baseline(figures),
        "failures.csv": failures_csv(figures),
    }


def priority(attempt: Attempt, alike: int) -> str:
    """Return P0 for what blocks others or a release, P1 for core tests, P2 for the rest.

    ``alike`` is how many tests of the run failed with the same fingerprint.
    """
    marks = set(attempt.markers.split(","))
    if alike > 1 or marks & {"critical", "lifecycle", "smoke"} or attempt.outcome == "crashed":
        return "P0"
    kind = attempt.failure.kind if attempt.failure else ""
    return "P2" if attempt.quarantined or kind == INFRASTRUCTURE else "P1"


def failures_csv(figures: Figures) -> str:
    """Return the last run's failed attempts as CSV, the most urgent first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ("priority", "test", "attempt", "outcome", "kind", "phase", "fingerprint", "message")
    )
    writer.writerows(
        (level, a.nodeid, a.number + 1, a.outcome, f.kind, f.phase, f.fingerprint, _safe(f.message))
        for level, a in failing(figures)
        if (f := a.failure) is not None
    )
    return text.getvalue()


def failing(figures: Figures) -> list[tuple[str, Attempt]]:
    """Return the last run's attempts that failed, each with its priority, the urgent first."""
    bad = [attempt for attempt in figures.latest if attempt.failure is not None]
    alike = Counter(
        fingerprint
        for fingerprint, _ in {(a.failure.fingerprint, a.nodeid) for a in bad if a.failure}
    )
    rows = [(priority(a, alike[a.failure.fingerprint]), a) for a in bad if a.failure]
    return sorted(rows, key=lambda row: (row[0], row[1].nodeid, row[1].number))


def _completion(figures: Figures, title: str, *pillars: str) -> str:
    tests = [test for pillar in pillars for test in sort(figures.tests)[pillar]]
    finals = [a for a in figures.latest if a.final and pillar_of(a.nodeid, a.markers) in pillars]
    passed = sum(a.outcome in ("passed", "xpassed") for a in finals)
    judged = sum(a.outcome not in ("skipped", "xfailed") for a in finals)
    return _joined(
        f"# {title}: Completion Report",
        _about(figures),
        "## Executive Summary",
        _table(
            ("Figure", "Value"),
            [
                ("Total tests", len(finals)),
                ("Pass rate", f"{passed}/{judged} ({_percent(passed, judged)})"),
                *((f"Tests {name}", sum(a.outcome == name for a in finals)) for name in OUTCOMES),
                ("Flaky tests", sum(t.verdict.state == verdicts.FLAKY for t in tests)),
                ("Broken tests", sum(t.verdict.state == verdicts.BROKEN for t in tests)),
                ("Clean runs in a row", _clean_runs(figures.runs)),
            ],
        ),
        "## Test Results by Module",
        _modules(finals),
        "## Failures",
        _failures([row for row in failing(figures) if pillar_of(*_of(row[1])) in pillars]),
        "## Flakiness",
        _flaky(sorted(tests, key=lambda t: (-t.verdict.rate, t.nodeid))),
        "## Success Criteria",
        _criteria(figures, passed, judged, tests),
    )


def _daily(figures: Figures) -> str:
    parts = ["# Daily Checklist", f"Date: {_day(figures.last.run.started)}", _about(figures)]
    for number, pillar in enumerate(PILLARS, 1):
        finals = _finals(figures, pillar)
        passed = sum(a.outcome in ("passed", "xpassed") for a in finals)
        bad = sorted({a.nodeid for a in finals if a.is_bad})
        parts += [
            f"## PILLAR {number} - {pillar}",
            f"- [{'x' if finals and not bad else ' '}] Tests passing: {passed}/{len(finals)}\n"
            f"- Issues found: {', '.join(f'`{name}`' for name in bad[:10]) or 'none'}",
        ]
    urgent = [f"1. `{a.nodeid}`: {_cell(a.failure.message)}" for level, a in failing(figures)
              if level == "P0" and a.final and a.failure]  # fmt: skip
    parts += ["## Blockers for Tomorrow", "\n".join(urgent[:_LIMIT]) or "None."]
    return _joined(*parts)


def _weekly(figures: Figures) -> str:
    since = figures.last.run.started - WEEK_S
    runs = [run for run in figures.runs if run.run.started > since]
    parts = [
        "# Weekly Status Report",
        f"Week of: {_day(since)}",
        _about(figures),
        _table(
            ("Run", "Started", "Commit", "Passed", "Failed", "Pass rate"),
            [
                (r.run.uuid[:8], _moment(r.run.started), r.run.commit[:10], r.passed, r.failed,
                 f"{r.pass_rate:.1%}")
                for r in runs[-_LIMIT:]
            ],
        ),
    ]  # fmt: skip
    for number, (pillar, tests) in enumerate(sort(figures.tests).items(), 1):
        states = Counter(test.verdict.state for test in tests)
        done = states[verdicts.STEADY] + states[verdicts.FIXED]
        parts += [
            f"## PILLAR {number}: {pillar}",
            f"- Completed: {done} tests steady or fixed\n"
            f"- In Progress: {states[verdicts.FLAKY] + states[verdicts.SUSPECT]} flaky or suspect\n"
            f"- Blocked: {states[verdicts.BROKEN]} broken\n"
            f"- Progress: {_percent(done, len(tests))} complete",
        ]
    done = sum(t.verdict.state in (verdicts.STEADY, verdicts.FIXED) for t in figures.tests)
    parts.append(f"**Overall Progress: {_percent(done, len(figures.tests))}**")
    return _joined(*parts)


def _coverage(figures: Figures, modules: Sequence[Covered]) -> str:
    by_marker: dict[str, list[Attempt]] = {}
    for attempt in figures.latest:
        if attempt.final:
            for marker in filter(None, attempt.markers.split(",")):
                by_marker.setdefault(marker, []).append(attempt)
    rows = [
        (m.module, m.statements, m.covered, f"{m.percent:.1f} %")
        for m in (*modules, cover.total(list(modules)))
    ]
    return _joined(
        "# Test Coverage",
        _about(figures),
        "## By Module",
        _table(("Module", "Statements", "Covered", "Coverage"), rows)
        if modules
        else "No coverage was given: `pytest-proxmox report --coverage coverage.json`.",
        "## By Feature",
        _table(
            ("Feature", "Tests", "Passed", "Failed"),
            [
                (name, len(found), sum(a.outcome == "passed" for a in found),
                 sum(a.is_bad for a in found))
                for name, found in sorted(by_marker.items())
            ],
        ),
    )  # fmt: skip


def _baseline(figures: Figures) -> str:
    rows = failing(figures)
    kinds = Counter((a.nodeid.partition("::")[0], a.failure.kind) for _, a in rows if a.failure)
    return _joined(
        "# Test Baseline Report",
        _about(figures),
        "## Current Status",
        _totals(figures.last),
        "## Failures by File and Kind",
        _table(("File", "Kind", "Count"), [(*key, n) for key, n in sorted(kinds.items())]),
        "## Failures by Priority",
        _failures(rows),
        "## Failure Clusters",
        _table(
            ("Tests", "Runs", "Failure", "First of them"),
            [(len(c.nodeids), c.runs, c.message, f"`{c.nodeids[0]}`") for c in figures.clusters],
        ),
    )


def _criteria(figures: Figures, passed: int, judged: int, tests: Sequence[TestFigures]) -> str:
    clean = _clean_runs(figures.runs)
    flaky = sum(test.verdict.state == verdicts.FLAKY for test in tests)
    leftovers = int(figures.last.run.figures.get("leftovers", 0))
    rows = (
        (judged > 0 and passed == judged, f"100 % pass rate ({passed}/{judged})"),
        (flaky == 0, f"no flaky tests ({flaky})"),
        (clean >= CLEAN_RUNS, f"{CLEAN_RUNS} clean runs in a row ({clean}; {_bound(clean)})"),
        (leftovers == 0, f"nothing left on Proxmox ({leftovers})"),
    )
    return "\n".join(f"- [{'x' if met else ' '}] {text}" for met, text in rows)


def _bound(clean: int) -> str:
    if clean == 0:
        return "the last run failed"
    return f"so a run fails in at most {statistics.clean_bound(clean):.1%}, with 95 % confidence"


def _about(figures: Figures) -> str:
    run = figures.last.run
    told = ", ".join(f"{name} {value}" for name, value in sorted(run.environment.items()))
    return (
        f"Project `{figures.project}`, run `{run.uuid[:8]}` of {_moment(run.started)}, commit "
        f"`{run.commit[:10] or 'unknown'}`, branch `{run.branch or 'unknown'}` ({told}). "
        f"{'1 run is' if len(figures.runs) == 1 else f'{len(figures.runs)} runs are'} on record."
    )


def _totals(run: RunFigures) -> str:
    return _table(("Outcome", "Tests"), [(name, run.totals.get(name, 0)) for name in OUTCOMES])


def _modules(finals: Sequence[Attempt]) -> str:
    by_module: dict[str, list[Attempt]] = {}
    for attempt in finals:
        by_module.setdefault(attempt.nodeid.partition("::")[0], []).append(attempt)
    return _table(
        ("Module", "Tests", "Passed", "Failed", "Seconds"),
        [
            (name, len(found), sum(a.outcome == "passed" for a in found),
             sum(a.is_bad for a in found), f"{sum(a.duration_s for a in found):.2f}")
            for name, found in sorted(by_module.items())
        ],
    )  # fmt: skip


def _failures(rows: Sequence[tuple[str, Attempt]]) -> str:
    return _table(
        ("Priority", "Test", "Attempt", "Kind", "Failure"),
        [
            (level, f"`{a.nodeid}`", a.number + 1, a.failure.kind, a.failure.message)
            for level, a in rows[:_LIMIT]
            if a.failure
        ],
        more=len(rows) - _LIMIT,
    )


def _flaky(tests: Sequence[TestFigures]) -> str:
    return _table(
        ("Test", "State", "Failures", "Rate", "95 % interval", "Flip rate"),
        [
            (f"`{t.nodeid}`", t.verdict.state, f"{t.verdict.failures}/{t.verdict.runs}",
             f"{t.verdict.rate:.1%}", f"{t.verdict.bounds.low:.1%} to {t.verdict.bounds.high:.1%}",
             f"{t.verdict.flip_rate:.2f}")
            for t in tests
            if t.verdict.state not in (verdicts.STEADY,)
        ][:_LIMIT],
    )  # fmt: skip


def _finals(figures: Figures, pillar: str) -> list[Attempt]:
    return [a for a in figures.latest if a.final and pillar_of(*_of(a)) == pillar]


def _of(attempt: Attempt) -> tuple[str, str]:
    return attempt.nodeid, attempt.markers


def _clean_runs(runs: Sequence[RunFigures]) -> int:
    count = 0
    for run in reversed(runs):
        if run.failed or not run.judged:
            break
        count += 1
    return count


def _table(
    head: Sequence[str], rows: Iterable[Sequence[object]] | Mapping[str, object], more: int = 0
) -> str:
    lines = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    if not lines:
        return "None."
    ruler = "|" + " --- |" * len(head)
    tail = [f"\n{more} more are in failures.csv."] if more > 0 else []
    return "\n".join(["| " + " | ".join(head) + " |", ruler, *lines, *tail])


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _safe(text: str) -> str:
    """The text as no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in "=+-@" else text


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _day(moment: float) -> str:
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).date().isoformat()


def _moment(moment: float) -> str:
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _joined(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"
