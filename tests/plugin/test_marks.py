"""Marks: registered for strict runs, skipped where nobody named a real Proxmox."""

from __future__ import annotations

import pytest

from pytest_proxmox.marks import MARKERS, REAL_SKIP_REASON, TIMEOUT_MARKER
from tests.plugin.conftest import Project

REAL = """
import pytest

@pytest.mark.real_proxmox
def test_real(): pass

def test_other(): pass
"""

REFUSED = """
import pytest

@pytest.mark.vmid_range({arguments})
def test_it(): pass
"""


@pytest.mark.parametrize("name", [name.partition("(")[0] for name, _ in MARKERS])
def test_mark_is_known_to_strict_runs(project: Project, name: str) -> None:
    argument = "(size=1)" if name == "vmid_range" else ""
    body = "proxmox.version.get()" if name == "proxmox_faults" else "pass"  # it needs a call
    argument = argument or "(may_raise=Exception)" * (name == "proxmox_faults")
    if name == "quarantine":
        argument = "(reason='r', owner='o', issue='i', expires='2099-01-01')"
    fixture = "proxmox" if name == "proxmox_faults" else ""
    project.write(
        "test_it.py",
        f"import pytest\n@pytest.mark.{name}{argument}\ndef test_it({fixture}): {body}\n",
    )
    result = project.run("--strict-markers")
    assert result.ret == pytest.ExitCode.OK


def test_marks_are_listed_with_what_they_mean(project: Project) -> None:
    result = project.run("--markers")
    for name, text in MARKERS:
        result.stdout.fnmatch_lines([f"@pytest.mark.{name}: {text}"])


def test_real_tests_are_skipped_with_the_plans_reason(
    project: Project, how: tuple[str, ...]
) -> None:
    project.write("test_it.py", REAL)
    result = project.run(*how, "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines([f"SKIPPED * {REAL_SKIP_REASON}"])
    assert REAL_SKIP_REASON == "Real Proxmox integration tests require PROXMOX_HOST env var"


@pytest.mark.parametrize("source", ["environment", "env file", "option"])
def test_host_alone_lets_real_tests_run(
    project: Project, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    project.write("test_it.py", REAL)
    args: list[str] = []
    if source == "environment":
        monkeypatch.setenv("PROXMOX_HOST", "pve.lan")
    elif source == "env file":
        project.write(".env.test", "PROXMOX_HOST=pve.lan\n")
    else:
        args = ["--proxmox-host", "pve.lan"]
    result = project.run(*args)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["proxmox: simulator (default)", "proxmox: real_proxmox tests, host*"]
    )


@pytest.mark.parametrize("arguments", ["", "size=0", "size='3'", "size=True", "3, 4", "n=3"])
def test_vmid_range_without_a_size_above_0_is_refused(project: Project, arguments: str) -> None:
    project.write("test_it.py", REFUSED.format(arguments=arguments))
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["the mark vmid_range needs a size above 0*(test_it.py::test_it)*"])
    result.stdout.no_fnmatch_line("*marks.py*")


def test_refused_mark_is_a_collection_error_under_xdist_too(project: Project) -> None:
    project.write("test_it.py", REFUSED.format(arguments="size=0"))
    result = project.run("-n", "2")
    assert "INTERNALERROR" not in result.stdout.str()
    result.stdout.fnmatch_lines(["the mark vmid_range needs a size above 0*"])


def test_installed_pytest_timeout_explains_its_own_mark(project: Project) -> None:
    pytest.importorskip("pytest_timeout")
    listed = [line for line in project.run("--markers").outlines if "mark.timeout" in line]
    assert len(listed) == 1
    assert TIMEOUT_MARKER[1] not in listed[0]
