"""What the view passes on and what it keeps: every method, body, path and header."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from pytest_proxmox.clock import SystemClock
from src_app.db.models import App
from src_app.db.repositories import RepositoryFactory
from src_app.services.manager import Manager
from src_app.web.access_log import LOGGERS, TicketsHidden, hide_tickets
from src_app.web.view import METHODS
from tests.app.conftest import VMIDS, Caller

pytestmark = [pytest.mark.vmid_range(size=VMIDS), pytest.mark.canvas]
HIDING = {
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Set-Cookie": "session=of-the-app",
    "X-Own": "kept",
}


async def tell(request: Request) -> Response:
    """Answer what arrived."""
    told = {
        "method": request.method,
        "target": request.scope["raw_path"].decode() + "?" + request.scope["query_string"].decode(),
        "headers": dict(request.headers),
        "body": (await request.body()).decode("latin-1"),
    }
    return JSONResponse(told, int(request.headers.get("x-answer", "200")), headers=HIDING)


async def lead_on(request: Request) -> Response:
    """Redirect to where the query says; "HERE" is the app's own address."""
    here = str(request.base_url).rstrip("/")
    return RedirectResponse(request.query_params["to"].replace("HERE", here))


async def talk(socket: WebSocket) -> None:
    """Say what was asked for, then repeat what is heard."""
    await socket.accept(subprotocol=(socket.scope["subprotocols"] or [None])[0])
    await socket.send_text(socket.scope["raw_path"].decode() + "?" + socket.url.query)
    while (message := await socket.receive())["type"] == "websocket.receive":
        if message.get("text") == "bye":
            await socket.close(1000)
            return
        await socket.send_bytes(message.get("bytes") or b"")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of an app that tells what it is asked."""
    app = Starlette(
        routes=[
            Route("/lead-on", lead_on),
            WebSocketRoute("/{path:path}", talk),
            Route("/{path:path}", tell, methods=METHODS),
        ]
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        clock = SystemClock()
        while not server.started and thread.is_alive():
            clock.sleep(0.01)
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


def shown(manager: Manager, owner: Caller, port: int) -> str:
    """Return the view's address of an app on this port."""

    def add(db: RepositoryFactory) -> None:
        db.session.add(
            App(
                id="echo-app", catalog_id="nginx", name="Echo", hostname="echo", status="running",
                address="127.0.0.1", config={"port": port}, owner_id=owner.user["id"],
            )
        )  # fmt: skip

    manager.store.run(add)
    return str(owner.post("/apps/echo-app/view")["url"])


@pytest.fixture
def url(manager: Manager, owner: Caller, port: int) -> str:
    """The view's address of the app."""
    return shown(manager, owner, port)


@pytest.mark.parametrize("method", METHODS)
def test_method_and_body_arrive(client: TestClient, url: str, method: str) -> None:
    content = b"what is sent" if method in ("POST", "PUT", "PATCH", "DELETE") else None
    answer = client.request(method, f"{url}some/path", content=content)
    assert answer.status_code == 200
    if method != "HEAD":
        told = answer.json()
        assert (told["method"], told["body"]) == (method, (content or b"").decode())


def test_body_of_unknown_length_arrives_whole(client: TestClient, url: str) -> None:
    chunks = [bytes([number]) * 70_000 for number in range(30)]  # more than the API would take
    told = client.post(f"{url}upload", content=iter(chunks)).json()
    assert told["body"].encode("latin-1") == b"".join(chunks)


@pytest.mark.parametrize(
    "path",
    ["", "a/b/", "a//b", "what%3Fis", "with%2Fslash", "no%23fragment", "%C3%BC", "a%20b?q=%26&q=2"],
)
def test_path_and_query_arrive_as_they_are_spelled(client: TestClient, url: str, path: str) -> None:
    told = client.get(url + path).json()
    assert told["target"] == "/" + (path if "?" in path else path + "?")


@pytest.mark.parametrize("status", [201, 206, 304, 404, 418, 500])
def test_status_comes_back(client: TestClient, url: str, status: int) -> None:
    assert client.get(url, headers={"X-Answer": str(status)}).status_code == status


def test_what_is_the_managers_own_is_not_told_to_the_app(
    client: TestClient, url: str, owner: Caller
) -> None:
    sent = {
        "Authorization": f"Bearer {owner.token}",
        "Cookie": "manager=secret",
        "Referer": "http://testserver/apps",
        "Range": "bytes=0-5",
    }
    headers = client.get(url, headers=sent).json()["headers"]
    assert headers.keys().isdisjoint({"authorization", "cookie", "referer"})
    assert headers["range"] == "bytes=0-5"
    assert headers["x-forwarded-prefix"] == url.rstrip("/")
    assert headers["host"].startswith("127.0.0.1:")


def test_headers_against_framing_and_cookies_stay_behind(client: TestClient, url: str) -> None:
    answer = client.get(url)
    assert answer.headers["x-own"] == "kept"
    assert answer.headers.keys().isdisjoint(
        {"x-frame-options", "set-cookie", "cross-origin-opener-policy"}
    )
    assert answer.headers["content-security-policy"].startswith("sandbox ")
    assert "frame-ancestors" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("to", "leads"),
    [
        ("/login", "{view}login"),
        ("HERE/login?next=1", "{view}login?next=1"),
        ("login", "login"),
        ("//evil.example/", "{view}/evil.example/"),
        ("https://elsewhere.example/", "https://elsewhere.example/"),
    ],
)
def test_redirection_within_the_app_stays_in_the_view(
    client: TestClient, url: str, to: str, leads: str
) -> None:
    answer = client.get(f"{url}lead-on", params={"to": to}, follow_redirects=False)
    assert answer.status_code == 307
    assert answer.headers["location"] == leads.replace("{view}", url)


def test_app_that_does_not_answer_is_a_502(
    manager: Manager, owner: Caller, client: TestClient
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, and nobody listens
        answer = client.get(shown(manager, owner, nobody.getsockname()[1]))
    assert (answer.status_code, answer.json()["code"]) == (502, "app_away")


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (
            ('%s - "%s %s HTTP/%s" %d', "x", "GET", "{url}page?a=1", "1.1", 200),
            "~***/page?a=1 HTTP",
        ),
        (('%s - "WebSocket %s" [accepted]', "x", "{url}"), "/apps/echo-app/view/~***/"),
    ],
    ids=["request", "websocket"],
)
def test_servers_log_shows_no_ticket(url: str, told: tuple[object, ...], kept: str) -> None:
    message, *given = told
    args = tuple(item.replace("{url}", url) if isinstance(item, str) else item for item in given)
    record = logging.LogRecord("uvicorn", logging.INFO, "", 0, message, args, None)
    assert url.partition("~")[2].rstrip("/") in record.getMessage()
    assert TicketsHidden().filter(record)
    assert url.partition("~")[2].rstrip("/") not in record.getMessage()
    assert kept in record.getMessage()


def test_both_logs_of_the_server_hide_them() -> None:
    hide_tickets()
    for name in LOGGERS:
        filters = logging.getLogger(name).filters
        assert any(isinstance(one, TicketsHidden) for one in filters)
        for one in [one for one in filters if isinstance(one, TicketsHidden)]:
            logging.getLogger(name).removeFilter(one)


def test_websocket_has_its_path_protocol_and_end(client: TestClient, url: str) -> None:
    opened: Any = client.websocket_connect(f"{url}live%2Ffeed?room=1", subprotocols=["mqtt"])
    with opened as socket:
        assert socket.accepted_subprotocol == "mqtt"
        assert socket.receive_text() == "/live%2Ffeed?room=1"
        socket.send_bytes(bytes(100_000))
        assert socket.receive_bytes() == bytes(100_000)
        socket.send_text("bye")
        assert socket.receive()["type"] == "websocket.close"


def test_websocket_of_an_app_that_is_away_is_closed(
    manager: Manager, owner: Caller, client: TestClient
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = shown(manager, owner, nobody.getsockname()[1])
        with pytest.raises(WebSocketDisconnect) as failure:
            client.websocket_connect(url).__enter__()
    assert failure.value.code == 1014
