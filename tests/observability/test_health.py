"""Health: each part is tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from src_app.db.store import Store
from src_app.observability.health import FAILED, OK, WARNING, Patient, examine
from src_app.proxmox.errors import ProxmoxError


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A workspace's database."""
    (tmp_path / ".proxmox").mkdir()
    store = Store(f"sqlite:///{tmp_path / '.proxmox' / 'state.db'}")
    store.migrate()
    yield store
    store.close()


def statuses(patient: Patient) -> dict[str, str]:
    """Return each check's status."""
    return {check.name: check.status for check in examine(patient).checks}


def test_a_workspace_that_works_is_well(tmp_path: Path, store: Store) -> None:
    health = examine(Patient(tmp_path, store, lambda: {"version": "9.0.3"}, tools=()))
    assert health.status == OK
    assert {check.name: check.detail for check in health.checks}["database"] == (
        "0 nodes, 0 vms, 0 containers, 0 storages"
    )
    assert all(check["duration_s"] >= 0 for check in health.as_json()["checks"])


def test_what_is_not_there_is_a_warning() -> None:
    told = statuses(Patient(tools=()))
    assert (told["workspace"], told["database"], told["proxmox"]) == (WARNING,) * 3


def test_a_proxmox_that_does_not_answer_fails_its_check_alone(tmp_path: Path, store: Store) -> None:
    def unreachable() -> Any:
        raise ProxmoxError("nothing answers")

    health = examine(Patient(tmp_path, store, unreachable, tools=()))
    failed = [(c.name, c.detail) for c in health.checks if c.status == FAILED]
    assert [name for name, _ in failed] == ["proxmox"]
    assert "nothing answers" in failed[0][1]
    assert health.status == FAILED


def test_a_damaged_database_fails_its_check(tmp_path: Path, store: Store) -> None:
    store.close()
    path = tmp_path / ".proxmox" / "state.db"
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 4] = b"\xff" * 8192
    path.write_bytes(content)
    assert statuses(Patient(tmp_path, store, tools=()))["database"] == FAILED


def test_a_database_without_its_tables_fails_its_check(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'empty.db'}")
    with store.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE other (id INTEGER)")
    assert statuses(Patient(None, store, tools=()))["database"] == FAILED
    store.close()


def test_a_workspace_that_is_gone_fails_its_check(tmp_path: Path) -> None:
    assert statuses(Patient(tmp_path, tools=()))["workspace"] == FAILED  # no .proxmox in it


def test_a_tool_is_run_not_only_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\necho broken\nexit 1\n", encoding="ascii")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    told = statuses(Patient(tools=("git", "terraform")))
    assert (told["tool_git"], told["tool_terraform"]) == (FAILED, WARNING)
