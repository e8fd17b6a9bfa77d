"""``python -m src_app``, and its settings from environment and file."""

from __future__ import annotations

import io
import os
import socket
import sqlite3
import stat
from contextlib import closing
from dataclasses import fields
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
        ("APP_PORT", "zero", "1 to 65535"),
        ("APP_PORT", "65536", "1 to 65535"),
        ("APP_DATABASE_URL", "nonsense", "postgresql://USER:PASSWORD@HOST/NAME"),
        ("APP_DATABASE_URL", "mysql://root:geheim@db/apps", 'of kind "mysql"'),
        ("APP_DATABASE_URL", "sqlite:////no/such/folder/app.db", "unable to open database file"),
        ("APP_DATABASE_URL", "postgres://u:geheim@127.0.0.1:1/x", "Connection refused"),
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
    assert error.startswith("src_app migrate: ")
    assert error.count("\n") == 1
    assert "geheim" not in error


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


def test_file_that_is_no_database_is_told(
    settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (settings / "app.db").write_text("a letter to a friend, no database at all\n" * 40)
    assert command.main(["migrate"]) == 2
    assert "file is not a database" in capsys.readouterr().err


def test_schema_of_a_newer_manager_is_left_alone(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["migrate"]) == 0
    with closing(sqlite3.connect(settings / "app.db")) as newer, newer:
        newer.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
    assert command.main(["migrate"]) == 2
    assert "from-the-future" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "PROXMOX_HOST"),
        ({"HOST": "http://pve"}, "not a Proxmox address"),
        ({"HOST": "pve:99999"}, "is not a port"),
        ({"HOST": "pve", "PORT": "no"}, "is not a port"),
        ({"HOST": "pve", "TOKEN_NAME": "half"}, "PROXMOX_TOKEN_VALUE"),
        ({"HOST": "pve", "PASSWORD": "x", "VERIFY_SSL": "/no/ca.pem"}, "cannot be read"),
    ],
    ids=["nothing", "scheme", "port in host", "port", "half a token", "certificate"],
)
def test_connection_that_was_described_wrongly(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    told: str,
) -> None:
    for name in [name for name in os.environ if name.startswith("PROXMOX_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(f"PROXMOX_{name}", value)
    assert command.main(["test-connection"]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_nobody_answers_a_connection(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROXMOX_HOST", "127.0.0.1:1")
    monkeypatch.setenv("PROXMOX_PASSWORD", "x")
    assert command.main(["test-connection"]) == 1
    assert "no Proxmox answers at https://127.0.0.1:1" in capsys.readouterr().err


def test_password_that_nobody_can_be_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", nobody)
    assert command.main(["create-admin", "boss"]) == 2
    assert "--password-stdin" in capsys.readouterr().err


def test_port_that_is_taken_is_told_before_anything_begins(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert command.main(["serve", "--port", port]) == 2
    assert "Address already in use" in capsys.readouterr().err
    assert not (settings / "app.db").exists()


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_port_that_is_none(capsys: pytest.CaptureFixture[str], port: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["serve", f"--port={port}"])
    assert "--port" in capsys.readouterr().err


def test_every_setting_and_command_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/app-manager.md").read_text("utf-8")
    for setting in fields(Configuration):
        assert f"`APP_{setting.name.upper()}`" in page
    for name in ("serve", "migrate", "create-admin", "test-connection", "world"):
        assert f"`python -m src_app {name}" in page
