"""The app manager's list of 200 apps and its login, against a constant FastAPI route.

Both are asked with ``ab`` (Debian's apache2-utils), four requests at a time; what is compared
is the 95th percentile. The constant route is the least that FastAPI can do: an application of
its own, without middleware, login or database, that answers ``{"status":"ok"}``. The list is
the whole manager: its headers, its checks, a token, and 26 KB of apps. It is measured while
nothing changes, and while another process commits twenty times a second.

Also: the longest time that one callback held the event loop while an app was deployed, measured
inside the server, against the 50 ms that it may take.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests

from benchmarks import harness
from integration.serving import serving
from src_app.configuration import Configuration
from src_app.db.models import App
from src_app.db.repositories import RepositoryFactory
from src_app.db.store import Store
from src_app.security.passwords import Passwords
from src_app.services.manager import Manager

APPS = 200
LIST = "/api/v1/apps"
PAGES = {
    "GET /apps, first 50 of 200": LIST,
    "GET /apps?status=running&search=site1": f"{LIST}?status=running&search=site1",
}
LONGEST_MS = 50.0
WORLD = Path(__file__).parents[1] / "tests/app/world.json"
REQUESTS, AT_ONCE = 400, 4
KEY = "a key that only this benchmark uses, and nothing else ever does"
PASSWORD = "correct horse battery"
CONSTANT = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/constant")
def constant() -> dict[str, str]:
    return {"status": "ok"}
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop="asyncio",
    log_level="error", access_log=False)
"""
MANAGER = """
import asyncio, os, sys, time, uvicorn
from src_app.configuration import Configuration
from src_app.services.manager import Manager
from src_app.web.application import create_app
app = create_app(Manager.build(Configuration.load(os.environ), os.environ))
held, run = [], asyncio.Handle._run
def measured(handle):
    began = time.perf_counter()
    run(handle)
    held.append(time.perf_counter() - began)
def longest() -> float:
    found = max(held)
    held.clear()
    return found
if os.environ.get("APP_WATCHED"):
    asyncio.Handle._run = measured
    app.get("/held")(longest)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop="asyncio",
    log_level="error", access_log=False)
"""


def main() -> Sequence[harness.Row]:
    """Return the rows; none, with a word why, where ``ab`` is not installed."""
    if shutil.which("ab") is None:
        print("benchmarks.app: needs ab: apt-get install apache2-utils", file=sys.stderr)
        return []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = _environment(folder)
        token = _fill(environment)
        constant = stack.enter_context(_served(CONSTANT, "/constant", {}))
        app = stack.enter_context(_served(MANAGER, "/api/v1/apps/health", environment))
        peer = _p95(f"{constant}/constant")
        rows = [_list(name, f"{app}{path}", token, peer) for name, path in PAGES.items()]
        with _committing(environment):
            rows.append(_list("GET /apps, 20 commits a second", f"{app}{LIST}", token, peer))
        rows.append(_login(app, folder))
        rows.append(_loop(folder))
        return rows


def _list(name: str, url: str, token: str, peer: harness.Measure) -> harness.Row:
    """Return the row of a list of apps."""
    measure = _p95(url, "-H", f"Authorization: Bearer {token}")
    return harness.compare(
        name, measure, peer, against="constant route", bound=harness.at_most(3.0)
    )


def _login(app: str, folder: Path) -> harness.Row:
    """Return the row of logging in, most of which is one check of a password."""
    login = folder / "login.json"
    login.write_text(json.dumps({"username": "bench", "password": PASSWORD}))
    sent = ("-p", str(login), "-T", "application/json")
    argon = harness.seconds(lambda: Passwords().fits(PASSWORD, None))
    return harness.compare(
        "POST /auth/login",
        _p95(f"{app}/api/v1/auth/login", *sent, requests=60),
        lambda: argon() * 1000,  # one unit for both sides
        against="one argon2 check",
        bound=harness.at_most(12.0),
    )


def _loop(folder: Path) -> harness.Row:
    """Return how long the event loop was held while an app was deployed."""
    with ExitStack() as stack:
        proxmox = stack.enter_context(
            serving(folder, "--clock", "real", "--scale", "20", world=str(WORLD))
        )
        database = f"sqlite:///{folder / 'deploying.db'}"
        told = {**_environment(folder), **proxmox.environment, "APP_DATABASE_URL": database}
        told |= {"PROXMOX_HOST": proxmox.address, "APP_WATCHED": "yes"}
        token = _fill(told)
        app = stack.enter_context(_served(MANAGER, "/api/v1/apps/health", told))
        client = stack.enter_context(requests.Session())
        client.trust_env = False
        client.headers["Authorization"] = f"Bearer {token}"
        names = itertools.count()

        def held_ms() -> float:
            client.get(f"{app}/held", timeout=30).raise_for_status()
            body = {"catalog_id": "nginx", "hostname": f"fresh{next(names)}"}
            begun = client.post(f"{app}/api/v1/apps/deploy", json=body, timeout=30).json()
            number = begun["operation"]["id"]
            told = client.get(f"{app}/api/v1/operations/{number}/events", timeout=120).text
            if '"status": "succeeded"' not in told:
                raise RuntimeError(f"deploying failed: {told[-500:]}")
            return float(client.get(f"{app}/held", timeout=30).json()) * 1000

        return harness.compare(
            "deploy: longest callback", held_ms, lambda: LONGEST_MS, against="50 ms",
            bound=harness.at_most(1.0),
        )  # fmt: skip


@contextmanager
def _committing(environment: dict[str, str]) -> Iterator[None]:
    """Have another process's worth of commits inside the block, twenty a second."""
    store = Store(environment["APP_DATABASE_URL"])
    stop = threading.Event()

    def commit() -> None:
        for number in itertools.count():
            text = f"change {number}"
            store.run(lambda db: db.apps.update("nginx-site1", {"status_text": text}))  # noqa: B023
            if stop.wait(0.05):
                return

    thread = threading.Thread(target=commit)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        store.close()


def _environment(folder: Path) -> dict[str, str]:
    return {
        "APP_DATABASE_URL": f"sqlite:///{folder / 'app.db'}",
        "APP_SECRET_KEY": KEY,
        "APP_ACCESS_TOKEN_S": "36000",
        "APP_SYNC_S": "3600",
        "PROXMOX_HOST": "127.0.0.1:1",
        "PROXMOX_PASSWORD": "none",
    }


def _fill(environment: dict[str, str]) -> str:
    """Fill the database with apps, and return the owner's token."""
    manager = Manager.build(Configuration.load(environment), environment)
    manager.store.migrate()
    user = manager.users.create("bench", PASSWORD)

    def fill(db: RepositoryFactory) -> None:
        db.session.add_all(
            App(
                id=f"nginx-site{n}", catalog_id="nginx", name="Nginx", hostname=f"site{n}",
                version="2.0", status="running" if n % 3 else "stopped", node="pve",
                vmid=1000 + n, url=f"http://127.0.0.1:{30000 + n}/", address="127.0.0.1",
                config={"port": 8080, "icon": "🌐", "category": "web"}, environment={},
                owner_id=user.id,
            )
            for n in range(APPS)
        )  # fmt: skip

    manager.store.run(fill)
    login = manager.users.login("bench", PASSWORD, address="benchmark")
    manager.store.close()
    return login.access_token


@contextmanager
def _served(program: str, path: str, environment: dict[str, str]) -> Iterator[str]:
    """Yield the address of a server that answers."""
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(port)], env={**os.environ, **environment}
    )
    url = f"http://127.0.0.1:{port}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        while process.poll() is None:
            try:
                with direct.open(url + path, timeout=5):
                    break
            except OSError:
                _pause(process)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _pause(process: subprocess.Popen[bytes]) -> None:
    """Wait a moment, or less where the process ends."""
    try:
        process.wait(0.1)
    except subprocess.TimeoutExpired:
        return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _p95(url: str, *options: str, requests: int = REQUESTS) -> harness.Measure:
    """Return a measure: the 95th percentile of a page's answers, in milliseconds."""

    def measure() -> float:
        with tempfile.NamedTemporaryFile(suffix=".csv") as table:
            command = ["ab", "-q", "-n", str(requests), "-c", str(AT_ONCE), "-e", table.name]
            run = subprocess.run(
                [*command, *options, url], capture_output=True, text=True, check=True, timeout=120
            )
            failed = [line for line in run.stdout.splitlines() if "Non-2xx" in line]
            if failed:
                raise RuntimeError(f"{url}: {failed[0]}")
            lines = Path(table.name).read_text(encoding="ascii").splitlines()
        return float(next(line for line in lines if line.startswith("95,")).split(",")[1])

    return measure
