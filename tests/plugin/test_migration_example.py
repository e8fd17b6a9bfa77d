"""The example of a migration: a conftest becomes ten ini lines at most, and both suites pass."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.plugin.conftest import Project

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/moved-conftest"
PAGE = ROOT / "docs/how-to/migrate-from-a-conftest.md"
INI_LINES = 10


@pytest.fixture
def example(project: Project) -> Project:
    """The example, copied."""
    (project.path / "tox.ini").unlink()
    shutil.copytree(EXAMPLE, project.path, dirs_exist_ok=True)
    return project


def test_the_new_suite_has_ten_ini_lines_at_most_and_no_conftest() -> None:
    ini = (EXAMPLE / "pytest.ini").read_text(encoding="utf-8")
    assert len(ini.splitlines()) <= INI_LINES
    assert ini in (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert [path.parent.name for path in EXAMPLE.rglob("conftest.py")] == ["before"]


def test_the_page_has_a_row_for_each_fixture_of_the_old_conftest() -> None:
    old = (EXAMPLE / "before/conftest.py").read_text(encoding="utf-8")
    fixtures = re.findall(r"^@pytest\.fixture.*\ndef (\w+)", old, re.MULTILINE)
    assert len(fixtures) == 5
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in fixtures if f"`{name}`" not in page] == []


def test_the_suite_passes_as_it_was(example: Project) -> None:
    example.run_apart("before").assert_outcomes(passed=3)


def test_the_suite_passes_as_it_is(example: Project) -> None:
    example.run_apart().assert_outcomes(passed=6)
    assert not (example.path / "manager.db").exists()
