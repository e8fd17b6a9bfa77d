"""``pytest-proxmox serve``: a ready file that is whole, a clean end, mistakes in one line."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from pytest_proxmox.cli.main import BAD_INPUT, main

KEYS = [
    "url", "user", "password", "token_id", "token_secret", "node", "storage", "backup_storage",
    "template", "bridge", "ca_file", "control_url", "control_token",
]  # fmt: skip
PATIENCE_S = 60


@contextmanager
def serving(*args: str, ready_file: Path) -> Iterator[subprocess.Popen[str]]:
    """A server in a process of its own, with its ready file written; ended afterwards."""
    command = [sys.executable, "-m", "pytest_proxmox", "serve", "--port", "0"]
    with subprocess.Popen(
        [*command, "--ready-file", str(ready_file), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            _read_banner(process)
            yield process
        finally:
            process.kill()


def _read_banner(process: subprocess.Popen[str]) -> list[str]:
    """The banner comes after the ready file, so its last line says that the file is there."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            return lines
    raise AssertionError(f"no banner: {lines}, {process.stderr and process.stderr.read()}")


def get(ready: dict[str, Any], path: str) -> Any:
    """Return the ``data`` of a GET with the ready file's token, its certificate verified."""
    answer = requests.get(
        f"{ready['url']}/api2/json/{path}",
        headers={"Authorization": f"PVEAPIToken={ready['token_id']}={ready['token_secret']}"},
        verify=ready["ca_file"],
        timeout=PATIENCE_S,
    )
    answer.raise_for_status()
    return answer.json()["data"]


def test_ready_file_has_the_contracts_keys_and_works(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    with serving(ready_file=ready_file):
        ready = json.loads(ready_file.read_text())
        assert list(ready) == KEYS
        assert (ready["node"], ready["storage"], ready["backup_storage"]) == (
            "pve",
            "local-lvm",
            "local",
        )
        assert get(ready, "version")["version"].startswith("9.")
        assert get(ready, f"nodes/{ready['node']}/status")


def test_ready_file_is_for_its_owner_only(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    with serving(ready_file=ready_file):
        assert stat.S_IMODE(ready_file.stat().st_mode) == 0o600
        assert [path.name for path in tmp_path.iterdir()] == ["ready.json"]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signal_ends_it_cleanly(tmp_path: Path, name: str) -> None:
    ready_file = tmp_path / "ready.json"
    with serving(ready_file=ready_file) as process:
        ca_file = Path(json.loads(ready_file.read_text())["ca_file"])
        process.send_signal(getattr(signal, name))
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out, err) == (0, "Stopped.\n", "")
    assert not ready_file.exists()
    assert not ca_file.parent.exists()


def test_cluster_preset_is_served(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    with serving("--world", "cluster", "--clock", "instant", ready_file=ready_file):
        assert len(get(json.loads(ready_file.read_text()), "nodes")) == 3


def test_stale_ready_file_is_taken_away_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ready_file = tmp_path / "ready.json"
    ready_file.write_text("{}")
    assert main(["serve", "--world", "no.json", "--ready-file", str(ready_file)]) == BAD_INPUT
    assert not ready_file.exists()


@pytest.mark.parametrize(
    ("world", "message"),
    [
        (None, 'world file "{path}" cannot be read: No such file or directory'),
        ("{", 'world file "{path}" is not JSON'),
        ('{"nodes": {"pve1": {"maxcpu": "two"}}}', "world: nodes.pve1.maxcpu: "),
    ],
    ids=["missing", "no JSON", "wrong field"],
)
def test_bad_world_names_the_place(
    world: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lab.json"
    if world is not None:
        path.write_text(world)
    assert main(["serve", "--world", str(path)]) == BAD_INPUT
    err = capsys.readouterr().err
    assert err.startswith("pytest-proxmox serve: " + message.format(path=path))
    assert err.count("\n") == 1


def test_port_in_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == BAD_INPUT
    assert f"cannot listen on 127.0.0.1 port {port}: " in capsys.readouterr().err


def test_ready_file_in_a_missing_folder_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "no" / "ready.json"
    assert main(["serve", "--port", "0", "--ready-file", str(missing)]) == BAD_INPUT
    assert "(option --ready-file)" in capsys.readouterr().err
