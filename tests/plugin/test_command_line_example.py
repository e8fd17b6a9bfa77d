"""The example of a command line tool on proxmoxer: its tests pass on the embedded Proxmox."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.plugin.conftest import Project

EXAMPLE = Path(__file__).parents[2] / "examples/proxmoxer-cli"


def test_example_has_no_conftest_and_no_mock() -> None:
    texts = [path.read_text(encoding="utf-8") for path in EXAMPLE.rglob("*.py")]
    assert len(texts) == 4
    assert not any("mock" in text.replace("no mock", "") for text in texts)
    assert not list(EXAMPLE.rglob("conftest.py"))


def test_example_passes(project: Project) -> None:
    (project.path / "tox.ini").unlink()
    shutil.copytree(EXAMPLE, project.path, dirs_exist_ok=True)
    project.run_apart().assert_outcomes(passed=7)
