"""Every command of the two plans works: as it stands, or as the docs' table says it instead.

A command that runs other tests is asked what it would run: those run by themselves already. Each
such command must find tests, and must understand its options.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.house.source import ROOT

PAGE = ROOT / "docs" / "reference" / "plan-commands.md"
ROW = re.compile(r"^\| `(?P<plan>[^`]+)` \| (?:(?P<folder>\w+) )?\| `(?P<ours>[^`]+)` \|", re.M)
# The first plan is of an app in Python, the second of one in TypeScript: all its commands differ.
PLANS = {
    "pytest test_app_clone_config.py::TestCloneApp -v",
    "pytest test_app_clone_config.py::TestUpdateAppConfig -v",
    "pytest tests/test_app_clone_config.py -v",
    'grep -r "async def" tests/ | grep -v "__pycache__"',
    "pytest tests/ -v -W error::RuntimeWarning",
    "pytest -v --tb=short > test_baseline_report.txt 2>&1",
    "pytest tests/ -v --tb=short",
    "pytest e2e_tests/test_navigation.py -v",
    "pytest e2e_tests/ -v -k navigation",
    "for i in {1..10}; do pytest e2e_tests/test_auth_flow.py -v || break; done",
    "pytest e2e_tests/test_auth_flow.py -v",
    "pytest e2e_tests/test_navigation.py::test_navigate_all_views -v",
    "pytest e2e_tests/test_full_lifecycle.py -v",
    "pytest e2e_tests/test_backup_restore.py -v",
    "pytest integration/test_proxmox_real.py -v -m real_proxmox",
    'npm test -- --testPathPattern="database" --verbose',
    'npm test -- --testPathPattern="console" --verbose',
    'npm test -- --testPathPattern="integration|generators|workspace" --verbose',
    "npm test --verbose",
    "npm run cli test-connection",
    "npm run build",
}
# Of all tests at once only the files of the folder itself are looked at.
COLLECT = ("--collect-only", "-qq", "-p", "no:cacheprovider", "-p", "no:schemathesis")
SHALLOW = ("--ignore-glob", f"{ROOT}/tests/*/*")
# What works for minutes, or needs a Proxmox, is asked what it does; tests of its own run it.
ASKED = {
    "./dev test": "./dev help",
    "python -m src_app test-connection": "python -m src_app test-connection --help",
    "python -m hatchling build": "python -m hatchling build --help",
}
LONGEST_S = 300


@dataclass(frozen=True)
class Row:
    """A row of the table: the plan's command, the folder it is typed in, and ours."""

    plan: str
    folder: str
    ours: str


@cache
def rows() -> tuple[Row, ...]:
    """Return the table of the docs."""
    text = PAGE.read_text(encoding="utf-8").replace(r"\|", "\0")  # a bar that parts no columns
    return tuple(
        Row(
            found["plan"].replace("\0", "|"),
            found["folder"] or "",
            found["ours"].replace("\0", "|"),
        )
        for found in ROW.finditer(text)
    )


def _shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line as a shell does that has this project's commands first."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PROXMOX_"))}
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ["PATH"]])
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environ, capture_output=True, text=True,
        check=False, timeout=LONGEST_S,
    )  # fmt: skip


def _is_pytest(row: Row) -> bool:
    return re.match(r"(pytest|pytest-proxmox soak) ", row.ours) is not None


def _arguments(row: Row) -> list[str]:
    """What the row's pytest is given, behind ``--`` of ``soak``, without redirections."""
    words = shlex.split(row.ours.partition(">")[0])
    return words[words.index("--") + 1 :] if "--" in words else words[1:]


@cache
def _collected(arguments: tuple[str, ...], folder: Path) -> str:
    """What a run with these would run; two rows may come to the same."""
    done = _shell(shlex.join(["pytest", *arguments, *COLLECT]), folder)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def _is_plain(row: Row) -> bool:
    """Whether it only names files: then one look at all such rows' files is enough."""
    return not row.folder and all(one == "-v" or "/" in one for one in _arguments(row))


def _paths(row: Row) -> tuple[str, ...]:
    return tuple(one for one in _arguments(row) if one != "-v")


PYTEST = [row for row in rows() if _is_pytest(row)]
OTHER = [row for row in rows() if not _is_pytest(row)]


def test_the_table_has_every_command_of_both_plans() -> None:
    assert {row.plan for row in rows()} == PLANS


@pytest.mark.parametrize("row", PYTEST, ids=lambda row: row.plan)
def test_a_command_that_runs_tests_finds_some(row: Row) -> None:
    if _is_plain(row):
        named = {path for one in PYTEST if _is_plain(one) for path in _paths(one)} - {"tests/"}
        files = sorted({path.partition("::")[0] for path in named})
        found = _collected((*files, "-v"), ROOT).splitlines()
        for path in _paths(row):
            assert [line for line in found if line.startswith(path)], path
        return
    shallow = SHALLOW if "tests/" in _arguments(row) or row.folder else ()
    told = _collected((*_arguments(row), *shallow), ROOT / row.folder)
    assert re.search(r"::(\w+::)?test_", told)


def test_a_command_of_soak_is_understood(tmp_path: Path) -> None:
    [row] = [row for row in PYTEST if row.ours.startswith("pytest-proxmox soak")]
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n")
    ours = row.ours.partition(" -- ")[0].replace("-n 10", "-n 1")
    done = _shell(f"{ours} -- -p no:cacheprovider test_it.py", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("row", OTHER, ids=lambda row: row.plan)
def test_any_other_command_works(row: Row) -> None:
    line = ASKED.get(row.ours, row.ours)
    done = _shell(line, ROOT / row.folder)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert done.stdout
