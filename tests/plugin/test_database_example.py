"""The example of a FastAPI app: its few ini lines, and its tests on every kind of database."""

from __future__ import annotations

import configparser
import shutil
from pathlib import Path

import pytest

from tests.plugin.conftest import Project

EXAMPLE = Path(__file__).parents[2] / "examples/fastapi-db"


def test_example_needs_at_most_ten_ini_lines() -> None:
    parser = configparser.ConfigParser()
    parser.read(EXAMPLE / "pytest.ini", encoding="utf-8")
    assert len(parser["pytest"]) <= 10
    assert not list(EXAMPLE.rglob("conftest.py"))


def test_readme_shows_the_ini_file_as_it_is() -> None:
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert (EXAMPLE / "pytest.ini").read_text(encoding="utf-8") in readme


@pytest.mark.parametrize("url", ["sqlite", "sqlite:///test.db", "postgresql"])
def test_example_passes(project: Project, how: tuple[str, ...], url: str) -> None:
    (project.path / "tox.ini").unlink()
    shutil.copytree(EXAMPLE, project.path, dirs_exist_ok=True)
    project.run_apart("-o", f"db_url={url}", *how).assert_outcomes(passed=9)
    assert not (project.path / "shop.db").exists()
