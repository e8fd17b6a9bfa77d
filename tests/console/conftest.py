"""The console's services on the embedded Proxmox, with a workspace of the test's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from src_app.db.store import Store
from src_app.proxmox.connection import Connection
from src_app.proxmox.endpoint import ConnectArguments, resolve
from src_app.workspace import ProjectWorkspace, WorkspaceConfig
from tests.app.conftest import proxmox_environment


@pytest.fixture(scope="session")
def empty_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace without anything in it, to be copied."""
    root = tmp_path_factory.mktemp("empty") / "home"
    config = WorkspaceConfig.of({"name": "home", "host": "pve.example.org"})
    ProjectWorkspace.create(root, config, secret="secret").close()
    return root


@pytest.fixture
def cluster(proxmox_simulator: EmbeddedProxmox) -> Iterator[EmbeddedProxmox]:
    """The embedded Proxmox, put back after the test, whatever guests were made."""
    before = proxmox_simulator.snapshot()
    yield proxmox_simulator
    proxmox_simulator.restore(before)


@pytest.fixture
def environment(proxmox_config: dict[str, Any]) -> dict[str, str]:
    """The variables that lead to the Proxmox of the tests."""
    return proxmox_environment(proxmox_config)


@pytest.fixture
def root(empty_workspace: Path, tmp_path: Path, proxmox_config: dict[str, Any]) -> Path:
    """A workspace for the Proxmox of the tests."""
    shutil.copytree(empty_workspace, tmp_path / "home")
    with ProjectWorkspace.load(tmp_path / "home") as workspace:
        told = {"host": proxmox_config["host"], "verify_ssl": str(proxmox_config["verify_ssl"])}
        changes = {**told, "port": int(proxmox_config["port"]), "user": proxmox_config["user"]}
        workspace.save(changes, secret=str(proxmox_config["password"]))
    return tmp_path / "home"


@pytest.fixture
def workspace(root: Path) -> Iterator[ProjectWorkspace]:
    """The same, open."""
    with ProjectWorkspace.load(root) as opened:
        yield opened


@pytest.fixture
def store(workspace: ProjectWorkspace) -> Store:
    """The workspace's database."""
    return workspace.store


@pytest.fixture
def connection(environment: dict[str, str]) -> Connection:
    """A login at the Proxmox of the tests."""
    opened = Connection(resolve(ConnectArguments(), environment))
    opened.open()
    return opened
