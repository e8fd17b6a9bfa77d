"""The last run as Allure results: retries linked and marked flaky, with environment, categories,
executor, and what Allure 2 and 3 need to show a history.

Written from the event stream, in the format that both read; allure-pytest is not needed.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_proxmox.flaky import verdicts
from pytest_proxmox.report.events import CRASHED, ERROR, FAILED, PASSED, SKIPPED, XPASSED, Attempt
from pytest_proxmox.report.figures import Figures

_STATUS = {PASSED: "passed", XPASSED: "passed", FAILED: "failed", ERROR: "broken",
           CRASHED: "broken", SKIPPED: "skipped"}  # fmt: skip
_SEVERITIES = (
    ("blocker", {"critical", "lifecycle"}),
    ("critical", {"smoke", "auth", "backup"}),
    ("minor", {"slow", "config", "settings"}),
)
CATEGORIES: list[dict[str, Any]] = [
    {"name": "Infrastructure", "messageRegex": r"\[(infrastructure|timeout|crash)\].*",
     "matchedStatuses": ["broken", "failed"]},
    {"name": "In quarantine", "messageRegex": r"\[quarantine\].*",
     "matchedStatuses": ["skipped"]},
    {"name": "Product defects", "messageRegex": r"\[assertion\].*", "matchedStatuses": ["failed"]},
    {"name": "Test defects", "matchedStatuses": ["broken", "failed"]},
]  # fmt: skip
CONFIG = "allurerc.json"  # what Allure 3 reads where it is started
_PREFIX = "pytest-proxmox-"
HISTORY_FOLDER = "history"  # what Allure 2 leaves in a report, to be copied into the results


def write(figures: Figures, folder: Path, *, environ: Mapping[str, str] = os.environ) -> None:
    """Write the results to ``folder``; only files that an earlier call made are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("result.json", "attachment*"):
        for old in folder.glob(f"{_PREFIX}*-{kind}"):
            old.unlink()
    flaky = {test.nodeid for test in figures.tests if test.verdict.state == verdicts.FLAKY}
    retried = {one.nodeid for one in figures.latest if not one.final}
    passed = {one.nodeid for one in figures.latest if one.final and one.outcome == PASSED}
    run = figures.last.run
    for attempt in figures.latest:
        is_flaky = attempt.nodeid in flaky or attempt.nodeid in retried & passed
        result = _result(
            attempt, f"{run.uuid}:{attempt.nodeid}:{attempt.number}", is_flaky=is_flaky
        )
        result["attachments"] = _attach(attempt, folder, result["uuid"])
        path = folder / f"{_PREFIX}{result['uuid']}-result.json"
        path.write_text(json.dumps(result), encoding="utf-8")
    _write_surroundings(figures, folder, environ)


def write_config(figures: Figures, folder: Path) -> None:
    """Write Allure 3's configuration: categories, and one file of history over all reports."""
    config = {
        "name": figures.project,
        "output": "allure-report",
        "historyPath": "allure-history.jsonl",
        "categories": CATEGORIES,
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")


def keep_history(report: Path, results: Path) -> bool:
    """Copy Allure 2's history from the last report into new results; whether there was one."""
    source = report / HISTORY_FOLDER
    if not source.is_dir():
        return False
    shutil.copytree(source, results / HISTORY_FOLDER, dirs_exist_ok=True)
    return True


def severity(markers: str) -> str:
    """Return the severity that a test's marks stand for."""
    given = set(markers.split(","))
    return next((name for name, marks in _SEVERITIES if given & marks), "normal")


def _result(attempt: Attempt, key: str, *, is_flaky: bool) -> dict[str, Any]:
    module, _, name = attempt.nodeid.partition("::")
    plain, _, parameters = name.partition("[")
    start = round(attempt.started * 1000)
    result = {
        "uuid": _digest(key),
        "historyId": _digest(attempt.nodeid),
        "testCaseId": _digest(f"{module}::{plain}"),
        "fullName": attempt.nodeid,
        "name": name.rpartition("::")[2] if not parameters else f"{plain}[{parameters}",
        "status": "skipped" if attempt.quarantined else _STATUS.get(attempt.outcome, "skipped"),
        "statusDetails": _details(attempt, is_flaky=is_flaky),
        "stage": "finished",
        "start": start,
        "stop": start + round(attempt.duration_s * 1000),
        "labels": _labels(attempt, module),
        "steps": _steps(attempt, start),
        "parameters": _parameters(parameters),
    }
    return result


def _details(attempt: Attempt, *, is_flaky: bool) -> dict[str, Any]:
    details: dict[str, Any] = {"flaky": is_flaky, "known": attempt.quarantined}
    failure = attempt.failure
    if failure is not None:
        kind = "quarantine" if attempt.quarantined else failure.kind
        details["message"] = f"[{kind}] {failure.message}"
        told = f"in {failure.phase}, fingerprint {failure.fingerprint}"
        details["trace"] = f"{failure.trace}\n\n{told}" if failure.trace else told
    return details


def _labels(attempt: Attempt, module: str) -> list[dict[str, str]]:
    folder, _, file = module.rpartition("/")
    marks = [mark for mark in attempt.markers.split(",") if mark]
    pairs = [
        ("parentSuite", folder.replace("/", ".") or "tests"),
        ("suite", file.removesuffix(".py")),
        ("severity", severity(attempt.markers)),
        ("thread", attempt.worker or "main"),
        ("framework", "pytest"),
        ("language", "python"),
        *(("tag", mark) for mark in marks),
        *(("feature", mark) for mark in marks[:1]),
    ]
    return [{"name": name, "value": value} for name, value in pairs]


def _steps(attempt: Attempt, start: int) -> list[dict[str, Any]]:
    """The phases of the test, so that it shows where in its life it failed or took long."""
    failure = attempt.failure
    call_s = max(0.0, attempt.duration_s - attempt.setup_s - attempt.teardown_s)
    steps = []
    for name, length_s in (
        ("setup", attempt.setup_s), ("call", call_s), ("teardown", attempt.teardown_s)
    ):  # fmt: skip
        failed = failure is not None and failure.phase == name
        stop = start + round(length_s * 1000)
        status = _STATUS.get(attempt.outcome, "skipped") if failed else "passed"
        steps.append({"name": name, "status": status, "stage": "finished", "start": start,
                      "stop": stop})  # fmt: skip
        start = stop
        if failed and name == "setup":
            break  # there was no call
    return steps


def _attach(attempt: Attempt, folder: Path, uuid: str) -> list[dict[str, str]]:
    """Copy what the attempt left to be shown; what a later run has overwritten is not its own."""
    attached = []
    for number, line in enumerate(attempt.attachments.splitlines(), 1):
        source = Path(line)
        if not source.is_file() or source.stat().st_mtime < attempt.started - 1:
            continue
        copy = folder / f"{_PREFIX}{uuid}-attachment-{number}{source.suffix}"
        shutil.copyfile(source, copy)
        kind = mimetypes.guess_type(source.name)[0] or "text/plain"
        attached.append({"name": source.name, "source": copy.name, "type": kind})
    return attached


def _parameters(text: str) -> list[dict[str, str]]:
    return [{"name": "parameters", "value": text.removesuffix("]")}] if text else []


def _write_surroundings(figures: Figures, folder: Path, environ: Mapping[str, str]) -> None:
    run = figures.last.run
    facts = {**run.environment, "commit": run.commit, "branch": run.branch, "seed": run.seed}
    lines = "".join(f"{_key(name)}={_escaped(value)}\n" for name, value in sorted(facts.items()))
    (folder / "environment.properties").write_text(lines, encoding="utf-8")
    (folder / "categories.json").write_text(json.dumps(CATEGORIES, indent=2), encoding="utf-8")
    executor = {
        "name": run.environment.get("ci", "pytest-proxmox"),
        "type": "github" if environ.get("GITHUB_ACTIONS") else "gitlab"
        if environ.get("GITLAB_CI") else "local",
        "buildOrder": len(figures.runs),
        "buildName": f"{figures.project} #{len(figures.runs)}",
        "buildUrl": _build_url(environ),
    }  # fmt: skip
    (folder / "executor.json").write_text(json.dumps(executor, indent=2), encoding="utf-8")


def _build_url(environ: Mapping[str, str]) -> str:
    if environ.get("GITHUB_RUN_ID"):
        server = environ.get("GITHUB_SERVER_URL", "https://github.com")
        repository = environ.get("GITHUB_REPOSITORY", "")
        return f"{server}/{repository}/actions/runs/{environ['GITHUB_RUN_ID']}"
    return environ.get("CI_JOB_URL", "")


def _key(name: str) -> str:
    return name.replace(" ", "_").replace("=", "_").replace(":", "_")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", " ")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
