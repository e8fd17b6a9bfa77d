"""``.env.test``: read from the root folder, weaker than the environment, warned of in git."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.plugin.conftest import Project

SHOW = """
import os

def test_shows_the_environment():
    print("node:", os.environ.get("PROXMOX_NODE"))
"""


def test_application_sees_the_files_variables(project: Project, how: tuple[str, ...]) -> None:
    project.write(".env.test", "PROXMOX_HOST=pve.lan\n")
    project.write("conftest.py", "import os\nHOST = os.environ['PROXMOX_HOST']\n")
    project.write(
        "test_it.py", "from conftest import HOST\ndef test_host(): assert HOST == 'pve.lan'"
    )
    project.run(*how).assert_outcomes(passed=1)


def test_environment_beats_the_file(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(".env.test", "PROXMOX_NODE=pve1\n")
    project.write("test_it.py", SHOW)
    monkeypatch.setenv("PROXMOX_NODE", "pve2")
    result = project.run("-s")
    result.stdout.fnmatch_lines(["proxmox: *node pve2 (PROXMOX_NODE)", "*node: pve2*"])


def test_file_beats_the_ini_file(project: Project) -> None:
    project.ini("proxmox_node = pve1")
    project.write(".env.test", "PROXMOX_NODE=pve2\n")
    result = project.run()
    result.stdout.fnmatch_lines(["proxmox: *node pve2 (.env.test)"])


def test_variables_are_gone_after_the_run(project: Project) -> None:
    project.write(".env.test", "PROXMOX_NODE=pve1\n")
    project.write("test_it.py", SHOW)
    project.run("-s").stdout.fnmatch_lines(["*node: pve1*"])
    assert "PROXMOX_NODE" not in os.environ


def test_broken_line_ends_the_run_without_showing_it(project: Project) -> None:
    project.write(".env.test", "PROXMOX_NODE=pve1\nPROXMOX_PASSWORD hush\n")
    result = project.run_apart()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the line is not KEY=VALUE (.env.test, line 2)*"])
    assert "hush" not in result.stderr.str() + result.stdout.str()
    assert "Traceback" not in result.stderr.str()


@pytest.fixture
def tracked(project: Project) -> Project:
    """A project whose file is under git's eyes."""
    project.write(".env.test", "PROXMOX_NODE=pve1\n")
    project.write("test_it.py", SHOW)
    subprocess.run(["git", "init", "-q", "."], cwd=project.path, check=True)
    subprocess.run(["git", "add", ".env.test"], cwd=project.path, check=True)
    return project


def test_tracked_file_is_warned_of_once(tracked: Project, how: tuple[str, ...]) -> None:
    result = tracked.run_apart(*how)
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*ProxmoxWarning: git tracks .env.test*git rm --cached .env.test"])


def test_warning_that_is_an_error_ends_the_run_with_one_line(tracked: Project) -> None:
    result = tracked.run_apart("-W", "error")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: git tracks .env.test*"])
    assert "Traceback" not in result.stderr.str()


def test_warning_can_be_filtered_by_its_class(tracked: Project) -> None:
    result = tracked.run_apart("-W", "ignore::pytest_proxmox.invocation.ProxmoxWarning")
    result.assert_outcomes(passed=1, warnings=0)


def test_untracked_file_is_not_warned_of(project: Project) -> None:
    project.write(".env.test", "PROXMOX_NODE=pve1\n")
    project.write("test_it.py", SHOW)
    subprocess.run(["git", "init", "-q", "."], cwd=project.path, check=True)
    project.run().assert_outcomes(passed=1, warnings=0)
