"""The HTTPS server: what any client may send, and what faults do to its connections."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.simulator.connection import IDLE_S, MAX_BODY
from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.state import Task
from pytest_proxmox.simulator.tasks import Begun, Worker
from pytest_proxmox.simulator.wire import Request
from pytest_proxmox.simulator.world import World

FUZZ = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One server for all: whatever a client does, the next one is served."""
    sim = Simulator(World.preset("single"))
    with Server(sim) as running:
        yield running
    assert not sim.crashes


def connect(server: Server) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    raw = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    return context.wrap_socket(raw, server_hostname="127.0.0.1")


def get(server: Server, path: str = "/api2/json/version", **headers: str) -> tuple[int, str]:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    client = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=10)
    login = server.simulator.credentials
    token = {"Authorization": f"PVEAPIToken={login.token_id}={login.token_secret}"}
    try:
        client.request("GET", path, headers=token | headers)
        answer = client.getresponse()
        answer.read()
        return answer.status, answer.reason
    finally:
        client.close()


def said_to(server: Server, data: bytes) -> bytes:
    """Send a request that closes its connection and return everything that comes back."""
    with connect(server) as wire:
        wire.sendall(data)
        received = b""
        while chunk := wire.recv(65536):
            received += chunk
        return received


def is_alive(server: Server) -> bool:
    return get(server) == (200, "OK")


def test_the_certificate_can_be_verified(server: Server) -> None:
    assert is_alive(server)


def test_a_client_that_does_not_trust_the_authority_refuses(server: Server) -> None:
    context = ssl.create_default_context()
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        context.wrap_socket(raw, server_hostname="127.0.0.1")
    assert is_alive(server)


@FUZZ
@given(st.binary(max_size=2000))
def test_any_bytes_are_answered_or_cut_off(server: Server, data: bytes) -> None:
    with connect(server) as wire:
        wire.sendall(data)
    assert is_alive(server)


@FUZZ
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "BREW"]),
    path=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60),
    kind=st.sampled_from(["application/json", "application/x-www-form-urlencoded", "x/y", ""]),
    body=st.binary(max_size=300),
)
def test_any_request_gets_an_answer(
    server: Server, method: str, path: str, kind: str, body: bytes
) -> None:
    login = server.simulator.credentials
    head = (
        f"{method} /api2/json/{path} HTTP/1.1\r\nHost: pve\r\nConnection: close\r\n"
        f"Authorization: PVEAPIToken={login.token_id}={login.token_secret}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    assert said_to(server, head.encode() + body).startswith(b"HTTP/1.1 ")
    assert not server.simulator.crashes


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/api2/json/../../etc/passwd", 501),
        ("/api2/json/nodes/%2e%2e/%2e%2e/version", 501),
        ("/api2/json/nodes/pve/storage/local/content/..%2f..%2fetc%2fpasswd", 500),
        ("/api2/json/%00", 501),
        ("/api2/json//////version", 200),
        ("/", 500),
        ("/favicon.ico", 500),
    ],
)
def test_path_tricks_lead_nowhere(server: Server, path: str, wanted: int) -> None:
    status, _ = get(server, path)
    assert status == wanted
    assert is_alive(server)


def test_a_body_that_is_too_large_is_refused(server: Server) -> None:
    with connect(server) as wire:
        head = f"POST /api2/json/version HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY + 1}\r\n"
        wire.sendall(head.encode() + b"\r\n")
        chunk = b"x" * 65536
        # the server may hang up before it has heard everything
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            for _ in range(MAX_BODY // len(chunk) + 1):
                wire.sendall(chunk)
            assert wire.recv(12).startswith(b"HTTP/1.1 413")
    assert is_alive(server)


def test_half_open_and_silent_connections_do_not_keep_others_waiting(server: Server) -> None:
    silent = [connect(server) for _ in range(20)]
    try:
        for wire in silent[::2]:
            wire.sendall(b"GET /api2/json/version HTTP/1.1\r\nHost: x\r\n")
        assert is_alive(server)
    finally:
        for wire in silent:
            wire.close()


def test_a_connection_that_fell_silent_is_cut_when_its_time_is_up() -> None:
    clock = ManualClock()
    ask = b"GET /api2/json HTTP/1.1\r\nHost: x\r\n\r\n"
    with (
        Server(Simulator(World.preset("single")), clock=clock) as server,
        connect(server) as silent,
        connect(server) as talking,
    ):
        for wire in (silent, talking):
            wire.sendall(ask)
            assert wire.recv(10_000)
        clock.advance(IDLE_S - 1)
        talking.sendall(ask)
        assert talking.recv(10_000)
        clock.advance(2)
        assert is_alive(server)  # whoever comes makes it look for the silent ones
        with contextlib.suppress(ConnectionResetError, ssl.SSLEOFError):
            assert silent.recv(100) == b""
        talking.sendall(ask)
        assert talking.recv(10_000).startswith(b"HTTP/1.1 401")


def test_what_an_answer_did_not_wait_for_is_done_before_anybody_looks() -> None:
    sim = Simulator(World.preset("single"))
    sim.plant(vmid=100, status="running")
    sim.tasks.defers = True
    login = sim.credentials
    headers = {"authorization": f"PVEAPIToken={login.token_id}={login.token_secret}"}
    target = "/api2/json/nodes/pve/lxc/100/status/stop"
    upid = json.loads(sim.handle(Request("POST", target, headers)).body)["data"]
    assert upid not in sim.state.tasks, "nothing was put off: this test shows nothing"
    assert sim.guest(100) is not None  # takes the lock
    assert sim.state.tasks[upid].begun


def test_ctrl_c_while_something_begins_later_leaves_the_lock_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sim = Simulator(World.preset("single"))

    def interrupted() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sim.tasks, "begin_deferred", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sim.guests()
    other = threading.Thread(target=sim.guests, daemon=True)
    other.start()
    other.join(10)
    assert not other.is_alive()


def test_a_worker_that_breaks_when_it_begins_later_is_kept_as_a_crash() -> None:
    sim = Simulator(World.preset("single"))
    sim.plant(vmid=100, status="running")
    sim.tasks.defers = True

    def broken(sim: Simulator, task: Task) -> Begun:
        raise ZeroDivisionError("broken on purpose")

    sim.tasks._worker_of = lambda name: Worker(begin=broken)
    login = sim.credentials
    headers = {"authorization": f"PVEAPIToken={login.token_id}={login.token_secret}"}
    target = "/api2/json/nodes/pve/lxc/100/status/stop"
    upid = json.loads(sim.handle(Request("POST", target, headers)).body)["data"]
    sim.settle()
    assert [str(crash) for crash in sim.crashes] == ["broken on purpose"]
    assert sim.state.tasks[upid].exitstatus == "internal error: broken on purpose"


def test_a_client_that_does_not_speak_tls_is_cut_off(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"200" not in raw.recv(100)
    assert is_alive(server)


def test_duplicate_parameters_are_answered(server: Server) -> None:
    assert get(server, "/api2/json/cluster/resources?type=vm&type=node")[0] == 400


def test_many_clients_at_once_are_all_served(server: Server) -> None:
    heard: list[tuple[int, str]] = []

    def work() -> None:
        heard.extend(get(server) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert heard == [(200, "OK")] * 100


@pytest.mark.parametrize("phase", ["before", "after"])
def test_a_dropped_answer_is_a_closed_connection(server: Server, phase: str) -> None:
    name = server.simulator.faults.drop("GET", "/version", phase=phase)
    try:
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            get(server)
    finally:
        server.simulator.faults.remove(name)
    assert is_alive(server)


def test_a_hanging_answer_ends_with_the_clients_patience(server: Server) -> None:
    name = server.simulator.faults.hang("GET", "/version")
    try:
        with connect(server) as wire:
            wire.settimeout(0.3)
            login = server.simulator.credentials
            token = f"Authorization: PVEAPIToken={login.token_id}={login.token_secret}\r\n"
            wire.sendall(f"GET /api2/json/version HTTP/1.1\r\nHost: x\r\n{token}\r\n".encode())
            with pytest.raises(TimeoutError):
                wire.recv(1)
    finally:
        server.simulator.faults.remove(name)
    assert is_alive(server)


def test_requests_sent_ahead_are_answered_in_their_order(server: Server) -> None:
    login = server.simulator.credentials
    token = f"Authorization: PVEAPIToken={login.token_id}={login.token_secret}\r\n"
    asked = [f"GET /api2/json/{path} HTTP/1.1\r\nHost: x\r\n{token}" for path in ("x", "version")]
    heard = said_to(server, f"{asked[0]}\r\n{asked[1]}Connection: close\r\n\r\n".encode())
    first, _, second = heard.partition(b"HTTP/1.1 200 OK")
    assert first.startswith(b"HTTP/1.1 501 Method 'GET /x' not implemented")
    assert b'"version"' in second


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"BREW / HTTP/1.1\r\n\r\n", b"501 method 'BREW' not available", id="method"),
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", b"400 Bad Request", id="version"),
        pytest.param(b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400 Bad Request", id="header"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000, b"431 ", id="endless header"),
        pytest.param(
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"400 Bad Request",
            id="two lengths",
        ),
    ],
)
def test_what_is_no_request_is_refused(server: Server, sent: bytes, status: bytes) -> None:
    assert said_to(server, sent).startswith(b"HTTP/1.1 " + status)
    assert is_alive(server)


def test_a_client_that_asks_first_may_send_its_body(server: Server) -> None:
    login = server.simulator.credentials
    token = f"Authorization: PVEAPIToken={login.token_id}={login.token_secret}\r\n"
    head = "POST /api2/json/pools HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 12\r\n"
    with connect(server) as wire:
        wire.sendall(f"{head}{form}{token}Expect: 100-continue\r\n\r\n".encode())
        assert wire.recv(100).startswith(b"HTTP/1.1 100 Continue")
        wire.sendall(b"poolid=ahead")
        assert wire.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_a_server_stops_while_clients_are_connected() -> None:
    with contextlib.ExitStack() as clients, Server(Simulator(World.preset("single"))) as server:
        clients.enter_context(connect(server))  # says nothing
        clients.enter_context(socket.create_connection(("127.0.0.1", server.port)))  # no TLS
        assert is_alive(server)
    assert not [t for t in threading.enumerate() if t.name == f"pytest-proxmox-{server.port}"]


def test_a_reason_phrase_carries_the_whole_message(server: Server) -> None:
    missing = "Configuration file 'nodes/pve/lxc/4999.conf' does not exist"
    assert get(server, "/api2/json/nodes/pve/lxc/4999/config") == (500, missing)


def test_clients_of_every_kind_at_once_leave_a_server_that_answers() -> None:
    """A bounded soak: good ones, rude ones and silent ones, a hundred and twenty at a time."""
    sim = Simulator(World.preset("single"))
    good: list[bool] = []

    def polite(server: Server) -> None:
        good.extend(is_alive(server) for _ in range(3))

    def rude(server: Server) -> None:
        with contextlib.suppress(OSError), connect(server) as wire:
            wire.sendall(b"\x00GET ??\r\n" * 500)
            wire.recv(100)

    def hasty(server: Server) -> None:
        with connect(server) as wire:
            wire.sendall(
                b"POST /api2/json/access/ticket HTTP/1.1\r\nContent-Length: 999\r\n\r\nuser"
            )

    def mute(server: Server) -> None:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10):
            is_alive(server)

    with Server(sim) as server:
        kinds = (polite, rude, hasty, mute)
        threads = [threading.Thread(target=kinds[n % 4], args=(server,)) for n in range(120)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert is_alive(server)
    assert good == [True] * 90
    assert not sim.crashes
