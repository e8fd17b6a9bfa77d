"""Around every request: a limit on its body, and headers that keep browsers careful."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from src_app.web.problems import problem

CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'self'; object-src 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": CONTENT_POLICY,
}
UNSHIELDED = ("/apps/",)  # what an app shows is the app's own; its frame is sandboxed


class TooLarge(HTTPException):
    """More arrived than a request may have; FastAPI lets this through while it reads a body."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"A request may have {limit} bytes at most")


class Shield:
    """ASGI middleware: refuses large bodies, adds the headers."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._limit = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or scope["path"].startswith(UNSHIELDED):
            await self._app(scope, receive, send)
            return

        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(MutableHeaders(scope=message), scope["path"])
            await send(message)

        if "\x00" in scope["path"]:  # no id has one, and PostgreSQL refuses to look for it
            answer = problem(404, "There is no such thing", code="not_found")
            await answer(scope, receive, shielded)
            return
        if self._is_too_long(Headers(scope=scope)):
            answer = problem(413, TooLarge(self._limit).detail, code="too_large")
            await answer(scope, receive, shielded)
            return
        await self._app(scope, self._counted(receive), shielded)

    def _is_too_long(self, headers: Headers) -> bool:
        length = headers.get("content-length", "0")
        return length.isdigit() and int(length) > self._limit

    def _counted(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise TooLarge(self._limit)
            return message

        return counted


def _add(headers: MutableHeaders, path: str) -> None:
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    if path.startswith("/api/"):
        headers.setdefault("Cache-Control", "no-store")
