"""The console's services on the embedded Proxmox, with a workspace of the test's own."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from src_app.console.commands import make_registry
from src_app.console.session import ConsoleSession
from src_app.console.ui import Ui
from src_app.db.store import Store
from src_app.proxmox.connection import Connection
from src_app.proxmox.endpoint import ConnectArguments, resolve
from src_app.workspace import ProjectWorkspace, WorkspaceConfig
from tests.app.conftest import proxmox_environment
from tests.still import StillClock
from tests.workspace.dying import DyingFiles


@pytest.fixture(scope="session")
def empty_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace without anything in it, to be copied."""
    root = tmp_path_factory.mktemp("empty") / "home"
    config = WorkspaceConfig.of({"name": "home", "host": "pve.example.org"})
    ProjectWorkspace.create(root, config, secret="secret").close()
    return root


@pytest.fixture
def cluster(proxmox_simulator: EmbeddedProxmox) -> Iterator[EmbeddedProxmox]:
    """The embedded Proxmox as new, put back after the test, whatever guests were made."""
    before = proxmox_simulator.snapshot()
    proxmox_simulator.reset()  # other tests' warm containers stay until the run ends
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
    with ProjectWorkspace.load(tmp_path / "home", files=DyingFiles()) as workspace:  # no fsync
        told = {"host": proxmox_config["host"], "verify_ssl": str(proxmox_config["verify_ssl"])}
        changes = {**told, "port": int(proxmox_config["port"]), "user": proxmox_config["user"]}
        workspace.save(changes, secret=str(proxmox_config["password"]))
    return tmp_path / "home"


@pytest.fixture
def workspace(root: Path) -> Iterator[ProjectWorkspace]:
    """The same, open."""
    with ProjectWorkspace.load(root) as opened:
        yield opened


@dataclass
class Sitting:
    """A session whose output is kept, with the answers that its user will give."""

    session: ConsoleSession
    out: io.StringIO
    err: io.StringIO
    answers: list[str]

    def run(self, line: str, expect: int = 0) -> str:
        """Return what a line printed, both streams; it must end with this exit code."""
        self.out.truncate(self.out.seek(0))
        self.err.truncate(self.err.seek(0))
        code = self.session.execute(line)
        printed = self.out.getvalue() + self.err.getvalue()
        assert code == expect, (line, code, printed)
        return printed

    def json(self, line: str, expect: int = 0) -> Any:
        """Return the JSON that a line printed."""
        self.run(f"{line} --json", expect)
        return json.loads(self.out.getvalue())


Sit = Callable[..., Sitting]


@pytest.fixture
def sit(environment: dict[str, str], tmp_path: Path) -> Iterator[Sit]:
    """Opens sessions in folders; ``answers`` makes them interactive."""
    opened: list[ConsoleSession] = []

    def sitting(folder: Path, *, answers: list[str] | None = None, **given: Any) -> Sitting:
        out, err = io.StringIO(), io.StringIO()
        left = answers if answers is not None else []
        ask = (lambda question, secret: left.pop(0)) if answers is not None else None
        ui = Ui(Console(file=out, width=150), Console(file=err, width=150), ask=ask)
        told = {**environment, "APP_CONSOLE_HOME": str(tmp_path / "console-home")}
        given = {"clock": StillClock(), **given}
        session = ConsoleSession(make_registry(), ui, cwd=folder, environ=told, **given)
        opened.append(session)
        session.detect()
        return Sitting(session, out, err, left)

    yield sitting
    for session in opened:
        session.close()


@pytest.fixture
def sitting(sit: Sit, root: Path) -> Sitting:
    """A script's session in a workspace of the embedded Proxmox."""
    return sit(root)


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
