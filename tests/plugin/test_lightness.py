"""Installed and unused, the plugin opens nothing and imports nothing heavy."""

from __future__ import annotations

import json

import pytest

from tests.plugin.conftest import Project

HEAVY = (
    "playwright", "sqlalchemy", "proxmoxer", "requests", "allure", "uvicorn", "cryptography",
    "tenacity", "sqlite3", "pytest_proxmox.simulator", "pytest_proxmox.target",
    "pytest_proxmox.sandbox",
)  # fmt: skip

LOADED = """
import json, sys
from pathlib import Path

def test_loaded():
    Path(__file__).with_name("loaded.json").write_text(json.dumps(sorted(sys.modules)))
"""


def test_unused_plugin_imports_nothing_heavy(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only ours and pytest-asyncio: other installed plugins import what they like.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    project.write("test_it.py", LOADED)
    result = project.run_apart("-p", "pytest_asyncio.plugin", "-p", "pytest_proxmox.plugin")
    result.assert_outcomes(passed=1)
    loaded = set(json.loads((project.path / "loaded.json").read_text()))
    assert "pytest_proxmox.fixtures.proxmox" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_unused_plugin_starts_no_thread_and_no_autouse_fixture(project: Project) -> None:
    project.write(
        "test_it.py",
        "import threading\n"
        "def test_it(request):\n"
        "    assert threading.active_count() == 1\n"
        "    assert [name for name in request.fixturenames if 'proxmox' in name] == []\n",
    )
    # pytest-rerunfailures starts a thread of its own where xdist is installed too.
    project.run_apart("-p", "no:rerunfailures").assert_outcomes(passed=1)


def test_plugin_can_be_left_out(project: Project) -> None:
    project.write("test_it.py", "def test_it(pytestconfig):\n    pass\n")
    project.run_apart("-p", "no:proxmox").assert_outcomes(passed=1)


def test_plugin_works_when_only_a_conftest_names_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    project.write("conftest.py", "pytest_plugins = ['pytest_asyncio', 'pytest_proxmox.plugin']\n")
    project.write(".env.test", "PROXMOX_NODE=pve7\n")
    project.write("test_it.py", "def test_it(): pass\n")
    result = project.pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["proxmox: simulator (default), node pve7 (.env.test)"])
