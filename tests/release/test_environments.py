"""The wheel in empty environments: alone, with each extra, with the lowest versions it admits.

These ask the package index and take minutes, so a variable calls for them:
``RELEASE_TESTS=1 pytest tests/release``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from tests.house.source import ROOT

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
FIRST = ROOT / "docs" / "examples" / "test_first.py"
INSTALL_S = 600
# What each extra brings, by the name that a test would import.
BRINGS = {
    "hypothesis": "hypothesis",
    "flaky": "pytest_rerunfailures",
    "db": "sqlalchemy",
    "app": "fastapi",
    "console": "prompt_toolkit",
    "iac": "hcl2",
    "e2e": "playwright",
    "all": "sqlalchemy",
    "docs": "sphinx",
}
# What the core's own tests need beside the wheel.
TESTED_WITH = ("hypothesis", "jsonschema-rs", "pytest-xdist", "PyYAML", "requests-toolbelt")
# What of the unit tests needs no extra.
CORE = (
    *(f"tests/unit/{room}" for room in ("cli", "gateway", "hygiene", "sandbox", "simulator")),
    *(f"tests/unit/{room}" for room in ("target", "test_config.py", "test_values.py")),
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(0),
    pytest.mark.skipif(
        "RELEASE_TESTS" not in os.environ,
        reason="RELEASE_TESTS is not set: these install packages from an index",
    ),
]


def _uv(*arguments: object) -> None:
    found = shutil.which("uv") or shutil.which("uv", path=sysconfig.get_path("scripts"))
    if found is None:
        pytest.skip("uv is not installed")
    done = subprocess.run(
        [found, *map(str, arguments)], capture_output=True, text=True, check=False,
        timeout=INSTALL_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def _environment(folder: Path, *wanted: object) -> Path:
    """Make an environment with these alone; return its Python."""
    python = folder / "venv" / "bin" / "python"
    _uv("venv", "--quiet", "--python", sys.executable, folder / "venv")
    _uv("pip", "install", "--quiet", "--python", python, *wanted)
    return python


def _lowest(folder: Path, *extra: str) -> Path:
    """Write the lowest versions that the bounds admit; of what those need, the newest."""
    path = folder / "lowest.txt"
    named = [word for name in extra for word in ("--extra", name)]
    how = ("--quiet", "--no-header", "--no-annotate", "--resolution", "lowest-direct")
    _uv("pip", "compile", *how, *named, ROOT / "pyproject.toml", "-o", path)
    return path


def _run(folder: Path, *command: object, minutes: int = 2) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PYTHON"))}
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=kept, capture_output=True, text=True, check=False,
        timeout=60 * minutes,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    return done.stdout


def _assert_first_test_passes(folder: Path, python: Path) -> None:
    shutil.copy(FIRST, folder)
    out = _run(folder, python, "-m", "pytest", "-W", "error", "test_first.py")
    assert "2 passed" in out


@pytest.mark.parametrize("extra", ["", *(name for name in EXTRAS if name != "dev")])
def test_the_first_test_passes_with_this_extra_alone(
    extra: str, wheel: Path, tmp_path: Path
) -> None:
    named = f"pytest-proxmox[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
    python = _environment(tmp_path, named)
    if extra:
        _run(tmp_path, python, "-c", f"import {BRINGS[extra]}")
    _assert_first_test_passes(tmp_path, python)
    assert _run(tmp_path, python, "-m", "pytest_proxmox", "--version").startswith("pytest-proxmox")


def test_the_sdist_installs_as_the_wheel_does(sdist: Path, tmp_path: Path) -> None:
    _assert_first_test_passes(tmp_path, _environment(tmp_path, sdist))


def test_both_distributions_pass_twine(distributions: Path, tmp_path: Path) -> None:
    python = _environment(tmp_path, "twine")
    out = _run(tmp_path, python, "-m", "twine", "check", "--strict", *distributions.iterdir())
    assert out.count("PASSED") == 2


@pytest.mark.parametrize("extra", [name for name in EXTRAS if name not in ("all", "dev")])
def test_an_extras_lowest_versions_can_be_had_together(
    extra: str, wheel: Path, tmp_path: Path
) -> None:
    python = _environment(tmp_path, "-r", _lowest(tmp_path, extra), wheel)
    _run(tmp_path, python, "-c", f"import {BRINGS[extra]}")
    _assert_first_test_passes(tmp_path, python)


def test_the_cores_unit_tests_pass_with_the_lowest_versions(wheel: Path, tmp_path: Path) -> None:
    lowest = _lowest(tmp_path)
    python = _environment(tmp_path, "-r", lowest, "-c", lowest, wheel, *TESTED_WITH)
    command = (python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CORE)
    assert " passed" in _run(ROOT, *command, minutes=20)
