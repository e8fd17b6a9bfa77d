"""The dashboard: one HTML file that needs nothing else, with charts, tables and filters."""

from __future__ import annotations

import datetime
import html
import json
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import Any

from pytest_proxmox import __version__
from pytest_proxmox.report.coverage import Covered
from pytest_proxmox.report.events import Attempt
from pytest_proxmox.report.figures import Figures, RunFigures, TestFigures

CLUSTERS = 50
CLUSTER_TESTS = 6
MESSAGE_LIMIT = 160

Lease = tuple[str, str, int]


def render(figures: Figures, modules: Sequence[Covered] = (), leases: Sequence[Lease] = ()) -> str:
    """Return the page; what it shows comes from the figures alone."""
    assets = files("pytest_proxmox.report") / "assets"

    def asset(name: str) -> str:
        return assets.joinpath(*name.split("/")).read_text(encoding="utf-8")

    return Template(asset("dashboard.html")).substitute(
        title=html.escape(f"Test report: {figures.project}"),
        styles=asset("uplot/uPlot.min.css") + asset("dashboard.css"),
        data=_embedded(payload(figures, modules, leases)),
        charts=asset("uplot/uPlot.iife.min.js"),
        script=asset("dashboard.js"),
        version=__version__,
    )


def payload(
    figures: Figures, modules: Sequence[Covered] = (), leases: Sequence[Lease] = ()
) -> dict[str, Any]:
    """Return what the page's script reads."""
    last = figures.last.run
    told = ", ".join(f"{name} {value}" for name, value in sorted(last.environment.items()))
    commit = f"commit {last.commit[:10]}, " if last.commit else ""
    branch = f"branch {last.branch}, " if last.branch else ""
    return {
        "project": figures.project,
        "about": f"Last run {_moment(last.started)}, {commit}{branch}{told}",
        "runs": [_run(run) for run in figures.runs],
        "tests": [_test(test) for test in figures.tests],
        "coverage": [[one.module, one.statements, one.percent / 100] for one in modules],
        "leases": [list(lease) for lease in leases],
        "clusters": [
            {
                "count": len(one.nodeids),
                "runs": one.runs,
                "message": one.message,
                "tests": one.nodeids[:CLUSTER_TESTS],
            }
            for one in figures.clusters[:CLUSTERS]
        ],
        "navigation": navigation(figures.latest),
    }


def navigation(latest: Sequence[Attempt]) -> dict[str, Any]:
    """Return the views and the outcome of each way between two, from tests marked navigation.

    A test speaks of a way by its parameters: ``test_navigate[apps-settings]``.
    """
    cells: dict[str, str] = {}
    views: list[str] = []
    for attempt in latest:
        if not attempt.final or "navigation" not in attempt.markers.split(","):
            continue
        parameters = attempt.nodeid.rpartition("[")[2].removesuffix("]").split("-")
        if attempt.nodeid.endswith("]") and len(parameters) >= 2:
            way = parameters[-2:]
            cells["\n".join(way)] = attempt.outcome
            views += [view for view in dict.fromkeys(way) if view not in views]
    return {"views": views, "cells": cells}


def _run(run: RunFigures) -> dict[str, Any]:
    finished = run.run.finished
    return {
        "started": _moment(run.run.started),
        "rate": round(run.pass_rate, 5),
        "judged": run.judged,
        "failed": run.failed,
        "duration": None if finished is None else round(finished - run.run.started, 3),
        "left": int(run.run.figures.get("leftovers", 0)),
    }


def _test(test: TestFigures) -> dict[str, Any]:
    verdict = test.verdict
    return {
        "id": test.nodeid,
        "state": verdict.state,
        "last": test.last,
        "recent": test.recent,
        "runs": verdict.runs,
        "failures": verdict.failures,
        "rate": round(verdict.rate, 4),
        "low": round(verdict.bounds.low, 4),
        "high": round(verdict.bounds.high, 4),
        "reruns": test.reruns,
        "duration": round(test.duration_s, 5),
        "slope": round(test.trend.slope_s, 6) if test.trend.is_real else 0,
        "markers": [name for name in test.markers.split(",") if name],
        "failure": test.failure.message[:MESSAGE_LIMIT] if test.failure else "",
    }


def _embedded(value: object) -> str:
    """The value as JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _moment(moment: float) -> str:
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
