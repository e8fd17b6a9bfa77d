"""The app under test starts, is healthy, shows its log, and never outlives the run."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from pytest_proxmox.browser.appserver import AppServer, AppSpec, running
from pytest_proxmox.errors import AppNotHealthy, UserMistake

APP = """
import os, sys, sqlite3

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    names = ("DATABASE_URL", "PROXMOX_HOST", "PROXMOX_PORT", "PROXMOX_USER", "GREETING")
    body = "\\n".join(f"{name}={os.environ.get(name)}" for name in names)
    print("asked for", scope["path"], "password", os.environ.get("PROXMOX_PASSWORD", "")[:2])
    status = 404 if scope["path"] == "/missing" else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})

def create_app():
    return app
"""
PLAIN = """
import http.server, sys
server = http.server.ThreadingHTTPServer(
    ("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler
)
server.serve_forever()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with an ASGI app and a program."""
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "plain.py").write_text(PLAIN)
    return tmp_path


@pytest.mark.parametrize(
    ("target", "path"),
    [("shop:app", "/"), ("shop:create_app()", "/"), ("{python} plain.py {port}", "/shop.py")],
    ids=["app", "factory", "command"],
)
def test_app_runs_until_the_end_of_the_block(folder: Path, target: str, path: str) -> None:
    spec = AppSpec(target, folder=folder, health_path=path)
    with running(spec, log_file=folder / "app.log") as server:
        with urllib.request.urlopen(f"{server.url}{path}", timeout=10) as answer:
            assert answer.status == 200
        assert server.log_tail()
    assert _has_ended(server)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{server.url}{path}", timeout=10)


def _has_ended(server: AppServer) -> bool:
    return not server.is_running


def _start(spec: AppSpec) -> None:
    with running(spec, log_file=spec.folder / "app.log"):
        raise AssertionError("it is not up")


def test_app_that_ends_at_once_is_told_with_its_log(folder: Path) -> None:
    (folder / "broken.py").write_text("raise SystemExit('no configuration')")
    spec = AppSpec("broken:app", folder=folder)
    with pytest.raises(AppNotHealthy, match="ended before it was healthy") as caught:
        _start(spec)
    assert "no configuration" in caught.value.log_tail


def test_app_that_is_not_healthy_in_time_is_told(folder: Path) -> None:
    spec = AppSpec("shop:app", folder=folder, health_path="/missing", timeout_s=2)
    with pytest.raises(AppNotHealthy, match=r"GET /missing gave 404"):
        _start(spec)


def test_command_without_a_port_is_a_users_mistake(folder: Path) -> None:
    with pytest.raises(UserMistake, match=r"not told its port .*\{port\}"):
        AppSpec("python -m shop", folder=folder).arguments(1)


HOLDER = """
import os, sys
from pathlib import Path
from pytest_proxmox.browser.appserver import AppSpec, running
folder = Path(sys.argv[1])
with running(AppSpec("shop:app", folder=folder, health_path="/"), log_file=folder / "l") as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""


def test_app_ends_when_the_run_is_killed(folder: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    runner = int(holder.stdout.readline())
    watch = os.pidfd_open(runner)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    ended, _, _ = select.select([watch], [], [], 15)
    os.close(watch)
    assert ended


def test_an_asgi_app_keeps_a_pages_connections_longer_than_a_page_pauses() -> None:
    assert "--timeout-keep-alive=75" in AppSpec("shop:app").arguments(1)
