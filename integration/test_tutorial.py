"""The tutorial's third part word for word, on a served Proxmox: a token, a look round, a test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.serving import COMMAND, Served, serving

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
NAMES = ("deployer.py", "test_own_app.py", "test_real_node.py")
PYTEST = (sys.executable, "-m", "pytest")
STEP_TIMEOUT_S = 120


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The node of the tutorial."""
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture(scope="module")
def folder(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tutorial's files, and the token that ``setup`` wrote into it."""
    made = tmp_path_factory.mktemp("tutorial")
    for name in NAMES:
        shutil.copy(EXAMPLES / name, made)
    (made / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    told = _run(
        made,
        COMMAND,
        "setup",
        "--as",
        "root@pam",
        PROXMOX_HOST=served.address,
        PROXMOX_PASSWORD=served.ready["password"],
        PROXMOX_VERIFY_SSL=served.ready["ca_file"],
    )
    (made / ".env.test").write_text(told, encoding="utf-8")
    return made


def _run(folder: Path, *command: str | Path, **environ: str) -> str:
    """Return what a command prints, which knows of no Proxmox but by ``environ``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PROXMOX_")}
    done = subprocess.run(
        command,
        env=kept | {"XDG_STATE_HOME": str(folder / "state"), "PYTHONPATH": str(ROOT)} | environ,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=STEP_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_doctor_finds_all_that_tests_need(folder: Path) -> None:
    assert _run(folder, COMMAND, "doctor").endswith("Tests can run.\n")


@pytest.mark.parametrize("chosen", [("-m", "real_proxmox"), ("--proxmox", "real")], ids=" ".join)
def test_the_tests_pass_and_nothing_is_left(
    folder: Path, served: Served, chosen: tuple[str, str]
) -> None:
    told = _run(folder, *PYTEST, *chosen)
    assert "skipped" not in told
    assert ", all removed" in told
    assert served.guests() == []
    assert _run(folder, COMMAND, "leases") == "No leases of this machine.\n"


def test_without_a_host_the_test_for_a_real_node_is_skipped(folder: Path, tmp_path: Path) -> None:
    for name in NAMES:
        shutil.copy(folder / name, tmp_path)
    told = _run(tmp_path, *PYTEST, "-rs")
    assert "3 passed, 1 skipped" in told
    assert "Real Proxmox integration tests require PROXMOX_HOST env var" in told
