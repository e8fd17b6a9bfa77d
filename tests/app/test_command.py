"""``python -m src_app``, and its settings from environment and file."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest

from src_app import __main__ as command
from src_app.configuration import Configuration, Span
from src_app.db.store import Store
from src_app.domain.errors import ConfigurationError
from tests.app.conftest import KEY


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A database of its own; only checks and environment, nothing is opened."""
    monkeypatch.setenv("APP_DATABASE_URL", f"sqlite:///{tmp_path / 'app.db'}")
    monkeypatch.setenv("APP_SECRET_KEY", KEY)
    return tmp_path


def test_migrate_then_create_admin(
    settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["migrate"]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("long enough\n"))
    assert command.main(["create-admin", "Boss", "--password-stdin"]) == 0
    assert "boss is an admin" in capsys.readouterr().out
    store = Store(f"sqlite:///{settings / 'app.db'}")
    users = store.read(lambda db: [(u.username, u.role) for u in db.users.find_many().data])
    store.close()
    assert users == [("boss", "admin")]


def test_short_password_is_a_mistake_of_the_user(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert command.main(["create-admin", "boss", "--password-stdin"]) == 2
    assert capsys.readouterr().err.startswith("src_app create-admin: Password must have")


def test_connection_is_tested(
    proxmox_config: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("host", "port", "user", "password", "verify_ssl"):
        monkeypatch.setenv(f"PROXMOX_{name.upper()}", str(proxmox_config[name]))
    assert command.main(["test-connection"]) == 0
    assert "nodes: pve" in capsys.readouterr().out
    monkeypatch.setenv("PROXMOX_PASSWORD", "wrong password")
    assert command.main(["test-connection"]) == 1
    error = capsys.readouterr().err
    assert "refused the password" in error
    assert "wrong password" not in error


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("APP_PORT", "zero", "APP_PORT"),
        ("APP_PARALLEL", "0", "must be above 0"),
        ("APP_VMIDS", "200-100", "FIRST-LAST"),
        ("APP_REGISTRATION", "perhaps", "true or false"),
        ("APP_SECRET_KEY", "short", "32 characters"),
        ("APP_CONFIG", "none.toml", "cannot be read"),
    ],
)
def test_bad_setting_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    told: str,
) -> None:
    monkeypatch.setenv(name, value)
    assert command.main(["migrate"]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


def test_environment_wins_over_the_file(settings: Path) -> None:
    file = settings / "app.toml"
    file.write_text('port = 9000\nvmids = "500-599"\ncors_origins = ["https://a.example"]\n')
    told = {"APP_CONFIG": str(file), "APP_PORT": "9100", "APP_SECRET_KEY": KEY}
    config = Configuration.load(told)
    assert (config.port, config.vmids) == (9100, Span(500, 599))
    assert config.cors_origins == ("https://a.example",)
    assert KEY not in repr(config)
    file.write_text("colour = 1\n")
    with pytest.raises(ConfigurationError, match="colour"):
        Configuration.load(told)


def test_key_is_made_once_and_for_the_owner_only(settings: Path) -> None:
    told = {"APP_DATABASE_URL": f"sqlite:///{settings / 'own.db'}"}
    first, second = Configuration.load(told), Configuration.load(told)
    assert first.secret_key == second.secret_key
    assert len(first.secret_key) >= 32
    assert stat.S_IMODE(os.stat(settings / "own.key").st_mode) == 0o600
    with pytest.raises(ConfigurationError, match="APP_SECRET_KEY is missing"):
        Configuration.load({"APP_DATABASE_URL": "postgresql://db/app"})
