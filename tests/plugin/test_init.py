"""``pytest-proxmox init`` in an empty project: what it wrote is what pytest runs with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT
from tests.plugin.conftest import FEW_PLUGINS

FIRST = ROOT / "docs" / "examples" / "test_first.py"


def _run(folder: Path, *command: str) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PROXMOX_"))}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env={**kept, **FEW_PLUGINS},
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("has", ["", "pyproject.toml"], ids=["empty", "pyproject"])
def test_pytest_runs_with_what_init_wrote(tmp_path: Path, has: str) -> None:
    if has:
        (tmp_path / has).write_text('[project]\nname = "shop"\nversion = "1"\n')
    _run(tmp_path, "pytest_proxmox", "init")
    shutil.copy(FIRST, tmp_path)
    out = _run(tmp_path, "pytest", "-W", "error", "--strict-config")
    assert f"configfile: {has or 'pytest.ini'}" in out
    assert f"proxmox: simulator ({has or 'pytest.ini'})" in out
    assert " passed in " in out
