"""Whole worlds for the plugin's tests: a project in a folder of its own, run by pytest."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import proxmoxer.backends.https
import pytest

import pytest_proxmox.fixtures.place
import pytest_proxmox.simulator.server

# pytester forgets what a run in this process imports, and cryptography's compiled part does not
# bear a second import: what a run needs is imported before the first.
LOADED = (proxmoxer, pytest_proxmox)

# schemathesis wraps collection in the old way, which turns an error of ours into a warning of its.
ALONE = ("-p", "no:randomly", "-p", "no:schemathesis")
WITHOUT_BROWSER = ("-p", "no:playwright", "-p", "no:allure_pytest")

# The environment of a run in a process of its own that loads what the extra `flaky` and xdist
# bring, under the names they are installed by; all that is installed here takes seconds to load.
FEW_PLUGINS = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_ADDOPTS": "-p xdist -p asyncio -p rerunfailures -p proxmox",
}

INI = """\
[pytest]
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
"""


@dataclass(frozen=True)
class Project:
    """A project that has the plugin installed and nothing else set up."""

    pytester: pytest.Pytester

    @property
    def path(self) -> Path:
        """Its root folder."""
        return self.pytester.path

    def write(self, name: str, text: str) -> Path:
        """Write a file, its indentation kept as it is."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def ini(self, *lines: str) -> None:
        """Set these lines in the ini file, below those that quieten pytest-asyncio."""
        self.write("tox.ini", INI + "".join(f"{line}\n" for line in lines))

    def run(self, *args: str) -> pytest.RunResult:
        """Run pytest in this process, without the plugins that do not bear a second run in one."""
        return self.pytester.runpytest_inprocess(*ALONE, *WITHOUT_BROWSER, *args)

    def run_apart(self, *args: str) -> pytest.RunResult:
        """Run pytest in a process of its own, without the plugins that import much."""
        return self.pytester.runpytest_subprocess(*ALONE, *args)

    def run_browser(self, *args: str) -> pytest.RunResult:
        """Run pytest in a process of its own, with pytest-playwright where it is installed."""
        return self.pytester.runpytest_subprocess(*ALONE, "-p", "playwright", *args)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project, with none of the machine's own Proxmox settings."""
    for name in os.environ:
        if name.startswith("PROXMOX_"):
            monkeypatch.delenv(name)
    made = Project(pytester)
    made.ini()
    return made


@pytest.fixture(params=[(), ("-n", "2")], ids=["alone", "xdist"])
def how(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The arguments for a run in one process, and for one with two workers."""
    arguments: tuple[str, ...] = request.param
    return arguments
