"""A Proxmox over HTTPS for commands that need one, with a folder of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the command runs in, and that its machine remembers in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def server(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A Proxmox that the environment names; root's password is there for ``--as root@pam``."""
    with Server(Simulator()) as running:
        monkeypatch.setenv("PROXMOX_HOST", f"127.0.0.1:{running.port}")
        monkeypatch.setenv("PROXMOX_VERIFY_SSL", str(running.ca_file))
        monkeypatch.setenv("PROXMOX_PASSWORD", running.simulator.credentials.password)
        yield running
