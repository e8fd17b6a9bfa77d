"""A target that cannot be used: one message, no traceback, exit code 4, no test after it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator
from tests.plugin.conftest import Project

USES = """
import pytest

@pytest.mark.parametrize("n", range(4))
def test_uses(n, proxmox): pass
"""


@pytest.fixture
def server() -> Iterator[Server]:
    """A running Proxmox that nobody told the project about."""
    with Server(Simulator()) as running:
        yield running


@pytest.fixture
def logged_in(project: Project, server: Server, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose environment has all that a login at the server needs."""
    login = server.simulator.credentials
    monkeypatch.setenv("XDG_STATE_HOME", str(project.path / "state"))
    monkeypatch.setenv("PROXMOX_TARGET", server.url)
    monkeypatch.setenv("PROXMOX_USER", login.user)
    monkeypatch.setenv("PROXMOX_PASSWORD", login.password)
    monkeypatch.setenv("PROXMOX_VERIFY_SSL", str(server.ca_file))
    return project


def assert_told_once(result: pytest.RunResult, message: str) -> None:
    """The run ended with exit code 4 and the message; nothing of our code is shown."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines([f"ERROR: {message}"])
    output = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in output
    assert "pytest_proxmox/" not in output
    assert "INTERNALERROR" not in output


def test_nothing_listens(
    project: Project, how: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("PROXMOX_PASSWORD", "hush")
    monkeypatch.setenv("XDG_STATE_HOME", str(project.path / "state"))
    project.write("test_it.py", USES)
    result = project.run(*how, "--proxmox", f"https://127.0.0.1:{port}")
    assert_told_once(result, f"nothing listens at https://127.0.0.1:{port}. Check *")
    assert result.parseoutcomes().get("passed") is None
    assert "hush" not in result.stdout.str()


def test_first_mistake_ends_the_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXMOX_PASSWORD", "hush")
    project.write("test_it.py", USES + "def test_other(): pass\n")
    result = project.run("--proxmox", "https://127.0.0.1:1")
    result.assert_outcomes(errors=1)


def test_wrong_password(logged_in: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXMOX_PASSWORD", "hush")
    logged_in.write("test_it.py", USES)
    result = logged_in.run()
    assert_told_once(result, "https://127.0.0.1:* refused the password or user of root@pam*")
    assert "hush" not in result.stdout.str()


def test_wrong_token(logged_in: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXMOX_TOKEN_ID", "root@pam!nobody")
    monkeypatch.setenv("PROXMOX_TOKEN_SECRET", "hush")
    logged_in.write("test_it.py", USES)
    result = logged_in.run()
    assert_told_once(result, "https://127.0.0.1:* refused the token of root@pam!nobody*")
    assert "hush" not in result.stdout.str()


def test_no_credentials(logged_in: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROXMOX_PASSWORD")
    logged_in.write("test_it.py", USES)
    assert_told_once(logged_in.run(), "no password and no token for root@pam at *Set PROXMOX_PASS*")


def test_unknown_certificate(logged_in: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROXMOX_VERIFY_SSL")
    logged_in.write("test_it.py", USES)
    assert_told_once(logged_in.run(), "the certificate of https://127.0.0.1:* cannot be verified*")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("PROXMOX_NODE", '* has no node "nowhere", it has pve*PROXMOX_NODE'),
        ("PROXMOX_STORAGE", '*no enabled storage "nowhere", it has *PROXMOX_STORAGE'),
    ],
)
def test_what_the_target_does_not_have(
    logged_in: Project, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setenv(name, "nowhere")
    logged_in.write("test_it.py", USES)
    assert_told_once(logged_in.run(), message)


def test_world_file_with_a_mistake_names_the_field(project: Project, how: tuple[str, ...]) -> None:
    world = {"nodes": {"pve1": {"maxcpu": "two"}}}
    path = project.write("lab.json", json.dumps(world))
    project.write("test_it.py", USES)
    result = project.run(*how, "--proxmox-world", str(path))
    assert_told_once(result, f"world: nodes.pve1.maxcpu: *({path})*")


def test_unused_target_is_not_even_looked_at(project: Project) -> None:
    project.write("test_it.py", "def test_it(): pass\n")
    result = project.run("--proxmox", "https://127.0.0.1:1")
    result.assert_outcomes(passed=1)
