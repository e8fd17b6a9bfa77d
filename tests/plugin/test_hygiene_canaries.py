"""Each canary is judged right, whichever way the suite is run: the offender fails, and only it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

from tests.plugin.conftest import FEW_PLUGINS
from tests.plugin.hygiene_canaries import APP, COROUTINES, Canary
from tests.plugin.hygiene_fixture_canaries import FIXTURES
from tests.plugin.hygiene_leak_canaries import LEAKS

CANARIES = (*COROUTINES, *FIXTURES, *LEAKS)
AT_ONCE = 4
FEW = {**FEW_PLUGINS, "PYTEST_ADDOPTS": f"{FEW_PLUGINS['PYTEST_ADDOPTS']} -p anyio"}

Judged: TypeAlias = tuple[dict[str, Any], str]  # the reports by node id, and what was printed

CONFTEST = """
import json, random
import pytest

REPORTS = {}


def pytest_addoption(parser):
    parser.addoption("--shuffle", type=int, default=None)


def pytest_configure(config):
    config.phases = pytest.StashKey()


def pytest_collection_modifyitems(config, items):
    if config.option.shuffle is not None:
        modules = {}
        for item in items:
            modules.setdefault(item.nodeid.split("::")[0], []).append(item)
        groups = list(modules.values())
        random.Random(config.option.shuffle).shuffle(groups)
        items[:] = [item for group in groups for item in group]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = yield
    item.stash.setdefault(item.config.phases, {})[report.when] = report
    return report


def pytest_runtest_logreport(report):
    outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
    REPORTS.setdefault(report.nodeid, []).append([report.when, outcome, report.longreprtext])


def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        (session.config.rootpath / "reports.json").write_text(json.dumps(REPORTS))
"""

INI = """
[pytest]
reset_singletons =
    app:Registry.instance
    app:state
hygiene_singletons = error
pythonpath = .
markers = anyio
filterwarnings =
    ignore:coroutine .* was never awaited
"""

RUNS = {
    "alone": [],
    "two-workers": ["-n2"],
    "shuffled": ["--shuffle=1"],
    "shuffled-workers": ["--shuffle=2", "-n2"],
    "asyncio-auto": ["--asyncio-mode=auto"],
    "runtime-warnings-are-errors": ["-Werror::RuntimeWarning"],
    "warnings-are-errors": ["-Werror"],
    "warnings-are-ignored": ["-Wignore"],
}


def _run(project: Path, options: list[str]) -> Judged:
    """Run a project with every canary as a module of its own."""
    project.mkdir()
    files = {
        "pytest.ini": INI,
        "conftest.py": CONFTEST,
        "app.py": APP,
        **{f"test_{canary.name}.py": canary.text for canary in CANARIES},
    }
    for name, text in files.items():
        (project / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    done = subprocess.run(
        command, cwd=project, env={**os.environ, **FEW}, capture_output=True, text=True, check=False
    )
    reports = project / "reports.json"
    return (json.loads(reports.read_text()) if reports.exists() else {}), done.stdout + done.stderr


def phases_of(reports: dict[str, list[list[str]]]) -> Iterator[tuple[str, str, list[list[str]]]]:
    """Yield the module, the test and the three reports of each test."""
    for nodeid, phases in reports.items():
        module, _, test = nodeid.partition("::")
        yield module, test.rpartition("::")[2].partition("[")[0], phases


def outcome(phases: list[list[str]]) -> str:
    """Return the one word for what pytest would count."""
    called = [result for when, result, _ in phases if when == "call"]
    failed = [when for when, result, _ in phases if result == "failed"]
    if len(failed) > 1:
        return " and ".join(failed)
    if failed:
        return "failed" if failed == ["call"] else failed[0]
    return called[0] if called else "skipped"


def mistakes(reports: dict[str, Any]) -> list[str]:
    """Return what was judged wrong: a line each."""
    expected = {f"test_{canary.name}.py": canary for canary in CANARIES}
    wrong, seen = [], set()
    for module, test, phases in phases_of(reports):
        canary = expected[module]
        wanted = canary.outcome if test == "test_it" else "passed"
        seen.add(module)
        text = "\n".join(longrepr for _, _, longrepr in phases)
        if outcome(phases) != wanted:
            wrong.append(f"{module}::{test}: {outcome(phases)}, should be {wanted}: {text}")
        elif test == "test_it" and canary.line and f"{module}:{canary.line} in" not in text:
            wrong.append(f"{module}::{test}: line {canary.line} is not named: {text}")
    return wrong + [f"{module}: was not run" for module in expected.keys() - seen]


def test_every_canary_is_judged_right_in_every_run(tmp_path: Path) -> None:
    # one test for all runs, side by side: canaries mostly wait
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = pool.map(lambda name: _run(tmp_path / name, RUNS[name]), RUNS)
    judged = dict(zip(RUNS, ended, strict=True))

    wrong = {name: found for name, (reports, _) in judged.items() if (found := mistakes(reports))}
    assert wrong == {}, "\n".join(judged[name][1] for name in wrong)


def test_the_canaries_are_many_and_half_are_innocent() -> None:
    innocent = [canary for canary in CANARIES if canary.outcome == "passed"]

    assert len(CANARIES) >= 60
    assert len(innocent) * 2 >= len(CANARIES) - 10
    assert len({canary.name for canary in CANARIES}) == len(CANARIES)


def canary_ids(canaries: tuple[Canary, ...]) -> list[str]:
    """Return the names, for parametrisation."""
    return [canary.name for canary in canaries]
