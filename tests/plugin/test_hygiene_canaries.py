"""Each canary is judged right, whichever way the suite is run: the offender fails, and only it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.hygiene_canaries import APP, COROUTINES, FIXTURES, Canary
from tests.plugin.hygiene_leak_canaries import LEAKS

CANARIES = (*COROUTINES, *FIXTURES, *LEAKS)

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


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """Return a project with every canary as a module of its own."""
    pytester.makeini(
        "[pytest]\nreset_singletons = app:Registry.instance\n    app:state\n"
        "hygiene_singletons = error\npythonpath = .\n"
        "markers = anyio\nfilterwarnings =\n    ignore:coroutine .* was never awaited\n"
    )
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(app=APP)
    for canary in CANARIES:
        pytester.path.joinpath(f"test_{canary.name}.py").write_text(canary.text)
    return pytester


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


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_every_canary_is_judged_right(project: pytest.Pytester, options: list[str]) -> None:
    result = project.runpytest_subprocess("-p", "no:cacheprovider", *options)
    reports = json.loads(Path(project.path, "reports.json").read_text())

    assert mistakes(reports) == [], result.stdout.str()


def test_the_canaries_are_many_and_half_are_innocent() -> None:
    innocent = [canary for canary in CANARIES if canary.outcome == "passed"]

    assert len(CANARIES) >= 60
    assert len(innocent) * 2 >= len(CANARIES) - 10
    assert len({canary.name for canary in CANARIES}) == len(CANARIES)


def canary_ids(canaries: tuple[Canary, ...]) -> list[str]:
    """Return the names, for parametrisation."""
    return [canary.name for canary in canaries]
