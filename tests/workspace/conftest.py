"""Workspaces to work on: made once, copied for each test."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from src_app.db import file as database
from src_app.security.cipher import Cipher
from src_app.workspace import ProjectWorkspace, WorkspaceConfig
from src_app.workspace.config import DATABASES, VERSION, encode
from src_app.workspace.parts import CONFIG, DATABASE, FOLDER, KEY, SECRET

SECRET_TEXT = "the value of a token"
CONFIG_VALUES = {"name": "home", "host": "pve.example.org", "token_name": "ci", "node": "pve"}
WHEN = "2026-01-02 03:04:05.000000"
OLD: dict[int, dict[str, object]] = {
    1: {
        "version": "1.0.0",
        "name": "home",
        "created": "2026-01-02T03:04:05+00:00",
        "host": "pve.example.org",
        "port": 8006,
        "username": "root@pam",
        "tokenId": "root@pam!ci",
        "tokenSecret": SECRET_TEXT,
        "node": "pve",
        "rejectUnauthorized": True,
    },
    2: {
        "version": 2,
        "name": "home",
        "created": "2026-01-02T03:04:05+00:00",
        "host": "pve.example.org",
        "port": 8006,
        "user": "root@pam",
        "token_name": "ci",
        "node": "pve",
        "verify_ssl": True,
    },
}


def add_node(path: Path, name: str = "pve") -> None:
    """Write a node into a workspace's database, as any version of it takes one."""
    values = (name, "online", 4, 0.5, 1024, 512, 99, WHEN, WHEN)
    columns = (
        "id, status, cpu_count, cpu_usage, memory_bytes, memory_used_bytes, uptime_s, "
        "created_at, updated_at"
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"INSERT INTO nodes ({columns}) VALUES (?,?,?,?,?,?,?,?,?)", values)  # noqa: S608


def nodes(workspace: ProjectWorkspace) -> list[str]:
    """Return the nodes in a workspace's database."""
    return workspace.store.read(lambda db: [row.id for row in db.nodes.find_many().data])


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a secret, a node in its database and a backup, to be copied."""
    root = tmp_path_factory.mktemp("workspace") / "home"
    config = WorkspaceConfig.of(CONFIG_VALUES)
    with ProjectWorkspace.create(root, config, secret=SECRET_TEXT) as workspace:
        add_node(workspace.parts.path(DATABASE))
        workspace.keep_good()
        workspace.back_up()
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    """A workspace of this test's own."""
    shutil.copytree(template, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Gives the workspace that an older version made, to be copied."""
    made: dict[int, Path] = {}

    def old_workspace(version: int) -> Path:
        if version not in made:
            made[version] = tmp_path_factory.mktemp(f"v{version}") / "home"
            _make_old(made[version] / FOLDER, version)
        return made[version]

    return old_workspace


def _make_old(folder: Path, version: int) -> None:
    assert 1 <= version < VERSION
    folder.mkdir(parents=True)
    (folder / CONFIG).write_bytes(encode(OLD[version]))
    database.migrate(folder / DATABASE, DATABASES[version])
    add_node(folder / DATABASE)
    if version > 1:
        (folder / KEY).write_text("a key that nobody else has")
        (folder / SECRET).write_bytes(Cipher("a key that nobody else has").seal(SECRET_TEXT))
