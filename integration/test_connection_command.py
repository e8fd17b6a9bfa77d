"""``python -m src_app test-connection``: whether the Proxmox of PROXMOX_* lets us in."""

from __future__ import annotations

from typing import Any

import pytest

from src_app.__main__ import main
from tests.app.conftest import proxmox_environment

pytestmark = pytest.mark.usefixtures("surroundings")


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch, proxmox_config: dict[str, Any]) -> None:
    """The variables that lead to the embedded Proxmox, and no others of the app."""
    for name, value in proxmox_environment(proxmox_config).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("APP_SECRET_KEY", "a key that only this test uses, and nothing else")


def test_connection_that_works_tells_version_and_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test-connection"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("Proxmox VE 9.")
    assert told.endswith("answers; nodes: pve\n")


@pytest.mark.parametrize(
    ("name", "value", "code", "told"),
    [
        ("PROXMOX_PASSWORD", "not the right one", 1, "refused the password of root@pam"),
        ("PROXMOX_HOST", "127.0.0.1:1", 1, "no Proxmox answers at https://127.0.0.1:1"),
        ("PROXMOX_VERIFY_SSL", "true", 1, "cannot be verified"),
        ("PROXMOX_HOST", "http://pve", 2, "is not a Proxmox address"),
        ("PROXMOX_PASSWORD", "", 2, "PROXMOX_PASSWORD"),
    ],
    ids=["password", "silence", "certificate", "address", "no-password"],
)
def test_connection_that_fails_says_why_and_keeps_the_secret(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    code: int,
    told: str,
) -> None:
    monkeypatch.setenv(name, value)
    assert main(["test-connection"]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("src_app test-connection: ")
    assert told in printed.err
    assert "not the right one" not in printed.err
