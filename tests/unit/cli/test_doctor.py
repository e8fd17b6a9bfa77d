"""``doctor`` names what would keep tests from running, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.cli.main import main
from pytest_proxmox.simulator.server import Server


def findings(capsys: pytest.CaptureFixture[str], *, status: int) -> dict[str, dict[str, Any]]:
    """Run doctor and return its findings by check."""
    assert main(["doctor", "--json"]) == status
    return {row["check"]: row for row in json.loads(capsys.readouterr().out)}


def test_without_a_proxmox_the_embedded_one_is_tried(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = findings(capsys, status=0)
    assert rows["proxmox"]["found"].startswith("the embedded one, PVE 9.")
    assert rows["ledger"]["state"] == "ok"


def test_root_is_warned_about(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    rights = findings(capsys, status=0)["rights"]
    assert rights["state"] == "warn"
    assert rights["found"].endswith("others on /")
    assert "setup" in rights["remedy"]


def test_weak_token_without_rights_fails(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = server.simulator
    assert main(["setup", "--as", "root@pam", "--storage", "local"]) == 0
    for line in capsys.readouterr().out.splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    monkeypatch.setenv("PROXMOX_STORAGE", "local")
    monkeypatch.setenv("PROXMOX_POOL", "elsewhere")
    rights = findings(capsys, status=1)["rights"]
    assert rights["state"] == "fail"
    assert "VM.Allocate on /pool/elsewhere" in rights["found"]
    assert root.guests() == []


def test_nothing_listening_is_a_finding(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXMOX_HOST", "127.0.0.1:1")
    monkeypatch.setenv("PROXMOX_PASSWORD", "x")
    row = findings(capsys, status=1)["proxmox"]
    assert row["found"] == "nothing listens at https://127.0.0.1:1"
    assert "PROXMOX_PORT" in row["remedy"]


def test_full_range_fails(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.simulator.plant(vmid=9001, type="lxc", node="pve", config={})
    monkeypatch.setenv("PROXMOX_VMID_RANGE", "9001-9001")
    assert findings(capsys, status=1)["range"]["found"] == "no VMID of 9001-9001 is free"


def test_reaper_that_does_not_start_fails(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    row = findings(capsys, status=1)["reaper"]
    assert "no reaper" in row["found"]


def test_people_get_a_table_with_what_to_do(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("check ")
    assert "\nTo do:\n" in out
    assert out.endswith("Tests can run.\n")
    assert server.simulator.credentials.password not in out
