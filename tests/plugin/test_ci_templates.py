"""The CI templates parse, and each line that their jobs run works in a small project.

What fetches packages from elsewhere (pip, npx, playwright) is a stand-in that notes its call; the
rest are the real commands.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.house.source import ROOT
from tests.plugin.conftest import FEW_PLUGINS

TEMPLATES = ROOT / "docs" / "ci"
STARTERS = ROOT / "pytest_proxmox" / "cli" / "starters"  # what `pytest-proxmox init` writes
FILES = (*sorted(TEMPLATES.iterdir()), *sorted(STARTERS.glob("*.yml")))
FETCHERS = ("pip", "npx", "playwright")
SUITE = """
import pytest
def test_unit(): pass
@pytest.mark.e2e
def test_e2e(): pass
@pytest.mark.real_proxmox
def test_real(): pass
"""


def _jobs(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Each job's commands with the folder that they run in."""
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    if "jobs" in document:
        return {
            job: [
                (step["run"], step.get("working-directory", "."))
                for step in of["steps"]
                if "run" in step
            ]
            for job, of in document["jobs"].items()
        }
    return {
        job: [(line, ".") for line in (*of["script"], *of.get("after_script", ()))]
        for job, of in document.items()
        if isinstance(of, dict) and "script" in of
    }


def _commands() -> list[tuple[str, str]]:
    """Each different command of the templates once, in the order of their jobs."""
    jobs = [job for path in FILES for job in _jobs(path).values()]
    return list(dict.fromkeys(command for job in jobs for command in job))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment with the real commands of this one, and stand-ins for what fetches."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in FETCHERS:
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $@" >>"{tmp_path}/fetched"\n')
        (tools / name).chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PROXMOX_"))}
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), kept["PATH"]])
    own = {**kept, **FEW_PLUGINS, "PATH": path, "FLAKY_HISTORY_URL": "history/history.sqlite"}
    return {**own, "PYTEST_ADDOPTS": f"{own['PYTEST_ADDOPTS']} -p pytest_cov"}


def test_every_line_of_the_templates_runs(tmp_path: Path, environ: dict[str, str]) -> None:
    project = tmp_path / "shop"
    project.mkdir()
    (project / "test_shop.py").write_text(SUITE)
    (project / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    for command, folder in _commands():
        short = command.replace("soak -n 10", "soak -n 1")
        done = subprocess.run(
            ["sh", "-ec", short], cwd=project / folder, env=environ, capture_output=True,
            text=True, check=False, timeout=100,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert "pytest-proxmox[flaky]" in (tmp_path / "fetched").read_text()


def test_the_own_workflow_runs_the_tests_on_push() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())
    assert "push" in workflow[True]  # YAML 1.1 reads the key "on" as a truth value
    [command] = [s["run"] for s in workflow["jobs"]["tests"]["steps"] if "run" in s]
    assert os.access(ROOT / command, os.X_OK)
