"""Apps inside the manager's page: ``/apps/{id}/view/~{ticket}/…`` is the app's own ``/…``.

What comes back is sandboxed: an app's scripts run, and cannot reach the manager's page or the
token in its storage, although both have one origin.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx2
import websockets
from fastapi import APIRouter, Request, WebSocket
from fastapi.responses import Response, StreamingResponse
from starlette.types import Scope
from starlette.websockets import WebSocketDisconnect

from src_app.db.models import App
from src_app.services.appclient import app_client
from src_app.services.manager import Manager
from src_app.web.problems import problem

router = APIRouter(include_in_schema=False)
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
TIMEOUT_S = 60.0
PARTS_BEFORE = 5  # slashes of /apps/{id}/view/~{ticket}/ before what is the app's own
LARGEST_MESSAGE = 16 * 1024 * 1024
HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding"
    " upgrade host content-length".split()
)
NOT_FORWARDED = HOP_BY_HOP | {"authorization", "cookie", "referer", "accept-encoding"}
# What would keep the page out of the canvas, or out of its sandbox.
FRAMING = frozenset(
    "x-frame-options content-security-policy content-security-policy-report-only"
    " cross-origin-opener-policy cross-origin-embedder-policy set-cookie".split()
)
SANDBOX = "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads"


@router.api_route("/apps/{app_id}/view/~{ticket}/{path:path}", methods=METHODS)
async def view(app_id: str, ticket: str, request: Request) -> Response:
    """Pass a request on to the app, and its answer back without what forbids framing."""
    manager: Manager = request.app.state.manager
    app = await _app(manager, app_id, ticket)
    if app is None:
        return problem(403, "The ticket is not good for this app; open it anew", code="not_allowed")
    if app.address is None or app.status != "running":
        return problem(503, f"The app does not run: it is {app.status}", code="not_running")
    client = app_client(TIMEOUT_S)
    prefix = f"/apps/{app_id}/view/~{ticket}"
    try:
        answer = await client.send(_passed_on(client, app, prefix, request), stream=True)
    except httpx2.HTTPError as exc:
        await client.aclose()
        return problem(502, f"The app does not answer: {type(exc).__name__}", code="app_away")
    return StreamingResponse(
        _body(client, answer), answer.status_code, headers=_headers(answer, prefix, _host(app))
    )


def _passed_on(
    client: httpx2.AsyncClient, app: App, prefix: str, request: Request
) -> httpx2.Request:
    headers = [
        (name, value) for name, value in request.headers.items() if name not in NOT_FORWARDED
    ]
    headers += [("x-forwarded-prefix", prefix), ("x-forwarded-proto", request.url.scheme)]
    url = f"http://{_host(app)}{_target(request.scope)}"
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    if "content-length" in request.headers:
        headers.append(("content-length", request.headers["content-length"]))
    content = request.stream() if has_body else None
    return client.build_request(request.method, url, headers=headers, content=content)


def _target(scope: Scope) -> str:
    """Return what the browser asked the app for, spelled as it did: ``%2F`` is no ``/``."""
    query = scope["query_string"]
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
    rest = raw.partition(b"?")[0].split(b"/", PARTS_BEFORE)[PARTS_BEFORE]
    return "/" + (rest + (b"?" + query if query else b"")).decode("latin-1")


def _host(app: App) -> str:
    address = f"[{app.address}]" if ":" in str(app.address) else app.address
    return f"{address}:{app.config['port']}"


def _headers(answer: httpx2.Response, prefix: str, host: str) -> dict[str, str]:
    found = {
        name: value
        for name, value in answer.headers.items()
        if name.lower() not in HOP_BY_HOP | FRAMING
    }
    where = found.get("location", "").removeprefix(f"http://{host}")
    if where.startswith("/"):
        found["location"] = prefix + where
    return {**found, "content-security-policy": SANDBOX, "x-content-type-options": "nosniff"}


async def _body(client: httpx2.AsyncClient, answer: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()
        await client.aclose()


async def _app(manager: Manager, app_id: str, ticket: str) -> App | None:
    if not manager.tickets.allows(ticket, app_id):
        return None
    return await manager.store.aread(lambda db: db.apps.find_by_id(app_id))


@router.websocket("/apps/{app_id}/view/~{ticket}/{path:path}")
async def view_socket(socket: WebSocket, app_id: str, ticket: str) -> None:
    """Carry a websocket's messages both ways."""
    manager: Manager = socket.app.state.manager
    app = await _app(manager, app_id, ticket)
    if app is None or app.address is None:
        await socket.close(1008)
        return
    url = f"ws://{_host(app)}{_target(socket.scope)}"
    protocols = [websockets.Subprotocol(name) for name in socket.scope.get("subprotocols", [])]
    try:
        async with websockets.connect(
            url, subprotocols=protocols or None, proxy=None, max_size=LARGEST_MESSAGE
        ) as inner:
            await socket.accept(inner.subprotocol)
            await _carry(socket, inner)
    except (OSError, websockets.WebSocketException):
        with contextlib.suppress(RuntimeError):  # the browser may have gone first
            await socket.close(1014)


async def _carry(socket: WebSocket, inner: Any) -> None:
    """Carry messages until one side closes, then close the other."""
    ways = [asyncio.create_task(_out(socket, inner)), asyncio.create_task(_in(socket, inner))]
    _, pending = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in pending:
        way.cancel()
    await asyncio.gather(*ways, return_exceptions=True)


async def _out(socket: WebSocket, inner: Any) -> None:
    with contextlib.suppress(WebSocketDisconnect, websockets.ConnectionClosed):
        while (message := await socket.receive())["type"] == "websocket.receive":
            text = message.get("text")
            await inner.send(text if text is not None else message["bytes"])
    await inner.close()


async def _in(socket: WebSocket, inner: Any) -> None:
    with contextlib.suppress(websockets.ConnectionClosed, RuntimeError):
        async for message in inner:
            await (socket.send_text if isinstance(message, str) else socket.send_bytes)(message)
    with contextlib.suppress(RuntimeError):  # it is closed already
        await socket.close()
