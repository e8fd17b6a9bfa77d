"""Allure's own generators, 3 and 2, show our retries, flaky marks, environment and history."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from integration.clients import environments
from pytest_proxmox.flaky.connection import Place
from pytest_proxmox.flaky.history import History
from pytest_proxmox.report import bundle
from pytest_proxmox.report.events import Attempt, Failure, RunEnd, RunFacts

pytestmark = pytest.mark.slow

WRONG = Failure("assertion", "f1", "AssertionError: assert 1 == 2", "call", "def test(): ...\nE 1")
LOST = Failure("infrastructure", "f2", "ApiFailure: 595 no route", "setup")
STARTED = float(int(time.time()))
GENERATE_TIMEOUT_S = 120.0


@pytest.fixture(scope="session")
def modules() -> Path:
    """A folder with both generators."""
    try:
        return environments.node_modules_with("allure", "allure@^3", "allure-commandline@^2")
    except environments.Unavailable as exc:
        pytest.skip(str(exc))


def _attempt(name: str, outcome: str, **more: Any) -> Attempt:
    given = Attempt(
        f"tests/test_shop.py::{name}", 0, outcome, True, STARTED + 1, 0.5, "gw0", 0, "", "", False,
        None, 0.2, 0.1,
    )  # fmt: skip
    return given._replace(**more)


def _run(place: Place, folder: Path, number: int) -> None:
    """Store one run and write its reports."""
    picture = folder / "page-1.png"
    picture.write_bytes(b"\x89PNG")
    attempts = [
        _attempt("test_good", "passed", markers="smoke,auth"),
        _attempt("test_wrong", "failed", failure=WRONG, attachments=str(picture)),
        _attempt("test_lost", "error", final=False, failure=LOST),
        _attempt("test_lost", "passed", number=1, started=STARTED + 3),
        _attempt("test_aside", "failed", failure=WRONG, quarantined=True),
        _attempt("test_skipped", "skipped"),
    ]
    with History.open(place) as history:
        history.begin(
            RunFacts(f"run{number}", "shop", STARTED + number, "c" * 40, "main", "7", 2, "load",
                     {"python": "3.13"})
        )  # fmt: skip
        history.add(attempts)
        history.end(RunEnd(STARTED + number + 9, 1, True, {}))
    bundle.write(place, "shop", folder)


def _generate(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False,
        timeout=GENERATE_TIMEOUT_S, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def _read(folder: Path, pattern: str) -> list[Any]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob(pattern))]


def test_allure_3_shows_retries_flaky_marks_and_history(modules: Path, tmp_path: Path) -> None:
    place = Place(tmp_path / "h.sqlite")
    command = [str(modules / ".bin" / "allure"), "generate", bundle.ALLURE]
    for number in (1, 2):
        _run(place, tmp_path, number)
        shutil.rmtree(tmp_path / bundle.ALLURE_REPORT, ignore_errors=True)
        _generate(command, tmp_path)
    report = tmp_path / bundle.ALLURE_REPORT
    shown = {one["name"]: one for one in _read(report, "data/test-results/*.json")
             if not one.get("isRetry")}  # fmt: skip
    assert {name: one["status"] for name, one in shown.items()} == {
        "test_good": "passed", "test_wrong": "failed", "test_lost": "passed",
        "test_aside": "skipped", "test_skipped": "skipped",
    }  # fmt: skip
    lost = shown["test_lost"]
    assert (lost["flaky"], lost["retriesCount"]) == (True, 1)
    assert len(shown["test_wrong"]["history"]) == 1
    steps = [step for step in shown["test_wrong"]["steps"] if step["type"] == "step"]
    assert [(step["name"], step["status"]) for step in steps] == [
        ("setup", "passed"), ("call", "failed"), ("teardown", "passed"),
    ]  # fmt: skip
    assert [one["link"]["name"] for one in shown["test_wrong"]["attachments"]] == ["page-1.png"]
    assert "E 1" in shown["test_wrong"]["error"]["trace"]
    [statistic] = _read(report, "widgets/statistic.json")
    assert (statistic["total"], statistic["flaky"], statistic["retries"]) == (5, 1, 1)
    [environment] = _read(report, "widgets/allure_environment.json")
    assert {one["name"]: one["values"] for one in environment}["python"] == ["3.13"]
    [categories] = _read(report, "widgets/categories.json")
    named = {node["name"] for node in categories["nodes"].values()}
    assert {"Product defects", "In quarantine"} <= named


def test_allure_2_shows_retries_flaky_marks_and_history(modules: Path, tmp_path: Path) -> None:
    if shutil.which("java") is None:
        pytest.skip("Allure 2 needs Java, which is not installed")
    place = Place(tmp_path / "h.sqlite")
    program = modules / "allure-commandline" / "bin" / "allure"
    command = ["node", str(program), "generate", bundle.ALLURE, "--clean", "-o", "allure-report"]
    for number in (1, 2):
        _run(place, tmp_path, number)
        _generate(command, tmp_path)
    report = tmp_path / bundle.ALLURE_REPORT
    shown = {one["name"]: one for one in _read(report, "data/test-cases/*.json")
             if not one["hidden"]}  # fmt: skip
    lost, wrong = shown["test_lost"], shown["test_wrong"]
    assert (lost["flaky"], lost["retriesCount"], lost["extra"]["severity"]) == (True, 1, "normal")
    assert shown["test_good"]["extra"]["severity"] == "critical"
    assert wrong["extra"]["history"]["statistic"]["failed"] == 2  # this run and the one before
    assert wrong["testStage"]["attachments"][0]["name"] == "page-1.png"
    [environment] = _read(report, "widgets/environment.json")
    assert {one["name"]: one["values"] for one in environment}["python"] == ["3.13"]
    [categories] = _read(report, "widgets/categories.json")
    assert {one["name"] for one in categories["items"]} == {"Product defects", "In quarantine"}
    [executors] = _read(report, "widgets/executors.json")
    assert executors[0]["buildName"] == "shop #2"
