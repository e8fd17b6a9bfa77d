"""Several server processes on one PostgreSQL: they share the work, and finish for one another."""

from __future__ import annotations

import concurrent.futures
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import Engine, create_engine, text

from pytest_proxmox.clock import SystemClock
from pytest_proxmox.database.server import TemporaryPostgres
from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from src_app.db import queue
from src_app.db.repositories import RepositoryFactory
from src_app.db.store import Store
from src_app.web.application import API
from tests.app.conftest import KEY, PASSWORD, VMIDS

pytestmark = [
    pytest.mark.vmid_range(size=VMIDS),
    pytest.mark.slow,
]
DATABASE = "several_test"
ROOT = Path(__file__).parents[2]
SERVERS = 2
APPS = 6
LONG_S = 60.0


@pytest.fixture(scope="module")
def postgres() -> Iterator[Engine]:
    """A temporary server of this module: the suite's own ``db_url`` names one database for all."""
    server = TemporaryPostgres().start()
    engine = create_engine(server.url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()
    server.stop()


@pytest.fixture
def url(postgres: Engine) -> Iterator[str]:
    """An empty database."""
    with postgres.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {DATABASE}"))
        yield postgres.url.set(database=DATABASE).render_as_string(hide_password=False)
        connection.execute(text(f"DROP DATABASE {DATABASE} WITH (FORCE)"))


@dataclass
class Running:
    """A server process, and a client of it."""

    process: subprocess.Popen[bytes]
    url: str
    session: requests.Session = field(default_factory=requests.Session)

    def call(self, method: str, path: str, **given: Any) -> Any:
        """Return the answer's JSON."""
        answer = self.session.request(method, f"{self.url}{API}{path}", timeout=LONG_S, **given)
        assert answer.ok, answer.text
        return answer.json()

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(LONG_S)


@pytest.fixture
def serve(
    url: str, environment: Mapping[str, str], vmid: int, tmp_path: Path
) -> Iterator[Callable[[], Running]]:
    """Starts a server process on the database; many may start at once."""
    told = {
        **environment,
        "APP_DATABASE_URL": url,
        "APP_SECRET_KEY": KEY,
        "APP_VMIDS": f"{vmid}-{int(vmid) + VMIDS - 1}",
        "APP_HEALTH_TIMEOUT_S": "10",
        "APP_RETRY_PAUSE_S": "0.1",
        "APP_PARALLEL": "2",
        "PATH": "",
        "PYTHONPATH": str(ROOT),
    }
    with ExitStack() as stack:

        def start() -> Running:
            port = _free_port()
            command = [sys.executable, "-m", "src_app", "serve", "--port", str(port)]
            log = stack.enter_context((tmp_path / f"{port}.log").open("wb"))
            process = subprocess.Popen(command, env=told, cwd=tmp_path, stdout=log, stderr=log)
            stack.callback(process.wait, LONG_S)
            stack.callback(process.terminate)
            running = Running(process, f"http://127.0.0.1:{port}")
            running.session.trust_env = False
            _await(running, tmp_path / f"{port}.log")
            return running

        yield start


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(running: Running, log: Path) -> None:
    clock = SystemClock()
    until = clock.monotonic() + LONG_S
    while clock.monotonic() < until:
        assert running.process.poll() is None, log.read_text(encoding="utf-8")
        try:
            running.call("GET", "/apps/health")
        except requests.ConnectionError:
            clock.sleep(0.05)
        else:
            return
    raise TimeoutError(log.read_text(encoding="utf-8"))


@pytest.fixture
def servers(serve: Callable[[], Running]) -> list[Running]:
    """Two servers that started at the same moment, and one admin who uses them all."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        started = [future.result() for future in [pool.submit(serve) for _ in range(SERVERS)]]
    body = {"username": "boss", "password": PASSWORD}
    login = started[0].call("POST", "/auth/register", json=body)
    for running in started:
        running.session.headers["Authorization"] = f"Bearer {login['access_token']}"
    return started


def _deploy(servers: list[Running]) -> list[str]:
    """Return the operations that deploy apps, asked of one server after the other."""
    bodies = [{"catalog_id": "nginx", "hostname": f"site{number}"} for number in range(APPS)]
    return [
        servers[number % len(servers)].call("POST", "/apps/deploy", json=body)["operation"]["id"]
        for number, body in enumerate(bodies)
    ]


def _ended(running: Running, numbers: list[str]) -> list[dict[str, Any]]:
    """Return the operations, each when its stream has ended."""
    for number in numbers:
        stream = running.session.get(f"{running.url}{API}/operations/{number}/events", timeout=120)
        assert "event: end" in stream.text
    return [running.call("GET", f"/operations/{number}") for number in numbers]


def _creations(proxmox: EmbeddedProxmox) -> int:
    return sum(
        call.method == "POST" and call.path.endswith("/lxc") and call.status == 200
        for call in proxmox.calls
    )


def test_servers_share_operations_and_each_is_done_once(
    servers: list[Running], proxmox_simulator: EmbeddedProxmox, url: str
) -> None:
    before = _creations(proxmox_simulator)
    ended = _ended(servers[1], _deploy(servers))
    assert [row["status"] for row in ended] == ["succeeded"] * APPS
    assert _creations(proxmox_simulator) - before == APPS
    lists = [running.call("GET", "/apps")["apps"] for running in servers]
    assert len({app["vmid"] for app in lists[0]}) == APPS
    assert lists[0] == lists[1]
    store = Store(url)
    attempts = store.read(lambda db: [row.attempts for row in db.operations.find_many().data])
    store.close()
    assert attempts == [1] * APPS


def test_operations_of_a_killed_server_are_finished_by_the_others(
    servers: list[Running],
    serve: Callable[[], Running],
    proxmox_simulator: EmbeddedProxmox,
) -> None:
    before = set(proxmox_simulator.vmids())
    numbers = _deploy(servers)
    servers[0].kill()
    fresh = serve()  # as a service manager does; it looks for what its own machine's dead had
    fresh.session.headers.update(servers[1].session.headers)
    ended = _ended(fresh, numbers)
    assert [row["status"] for row in ended] == ["succeeded"] * APPS
    vmids = {app["vmid"] for app in fresh.call("GET", "/apps")["apps"]}
    assert vmids == set(proxmox_simulator.vmids()) - before
    assert len(vmids) == APPS


def test_users_role_and_lists_are_the_same_on_each_server(servers: list[Running]) -> None:
    first, second = servers
    body = {"username": "anna", "password": PASSWORD}
    anna = first.call("POST", "/auth/register", json=body)
    header = {"Authorization": f"Bearer {anna['access_token']}"}
    path = f"/users/{anna['user']['id']}"
    answers = []
    for role in ("admin", "user", "admin", "user"):
        first.call("PATCH", path, json={"role": role})
        told = requests.get(f"{second.url}{API}/audit", headers=header, timeout=LONG_S)
        answers.append(told.status_code)
    assert answers == [200, 403, 200, 403]
    for number in range(3):
        assert second.call("GET", "/apps")["total"] == number
        body = {"catalog_id": "nginx", "hostname": f"site{number}"}
        first.call("POST", "/apps/deploy", json=body)
        assert second.call("GET", "/apps")["total"] == number + 1


@pytest.fixture
def stores(url: str) -> Iterator[tuple[Store, Store]]:
    """The database, as two processes see it."""
    both = Store(url), Store(url)
    both[0].migrate()
    yield both
    for store in both:
        store.close()


def test_mark_stays_while_nobody_commits(stores: tuple[Store, Store]) -> None:
    one, other = stores
    mark = one.changes.mark()
    other.read(lambda db: db.users.count())
    assert one.changes.mark() == mark
    other.run(lambda db: db.settings.create({"key": "colour", "value": "red"}))
    after = one.changes.mark()
    assert after != mark
    one.run(lambda db: db.settings.create({"key": "size", "value": "small"}))
    assert one.changes.mark() not in (mark, after)


def test_mark_differs_when_what_was_open_is_committed(stores: tuple[Store, Store]) -> None:
    one, other = stores

    def write(db: RepositoryFactory) -> Hashable:
        db.settings.create({"key": "colour", "value": "red"})
        return one.changes.mark()

    while_open = other.run(write)
    assert one.changes.mark() != while_open


def test_operation_that_another_takes_just_now_is_passed_over(
    stores: tuple[Store, Store],
) -> None:
    one, other = stores
    values = {"kind": "deploy", "subject": "nginx"}
    one.run(lambda db: queue.submit(db, values | {"id": "first"}, subjects=["first"]))
    one.run(lambda db: queue.submit(db, values | {"id": "second"}, subjects=["second"]))

    def take(db: RepositoryFactory) -> str | None:
        row = queue.take(db, "worker", lease_s=60)
        return None if row is None else row.id

    def both(db: RepositoryFactory) -> tuple[str | None, str | None, str | None]:
        mine = take(db)  # not committed yet: the row is locked
        return mine, other.run(take), other.run(take)

    assert one.run(both) == ("first", "second", None)
