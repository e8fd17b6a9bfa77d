"""A transport for ``requests`` that calls a function instead of opening a socket.

proxmoxer logs in, and renews its ticket, with the module-level ``requests.post``: an adapter
that is mounted on one session misses both. ``requests.Session.get_adapter`` is where every
session asks, so it is the hook, for exactly one reserved host (``*.invalid`` never resolves).
"""

from __future__ import annotations

import io
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

Headers = Mapping[str, str] | Iterable[tuple[str, str]]
Handler = Callable[[str, str, dict[str, str], bytes], tuple[int, str, Headers, bytes]]
"""``(method, target, headers, body) -> (status, reason, headers, body)``.

``target`` is path and query as in a request line, header names are in lower case. A handler
that raises ``ConnectionError`` cuts the line, one that raises ``TimeoutError`` never answers.
"""

PORT = 8006
_chain = threading.Lock()  # get_adapter is one for the whole process, so is its lock


class InProcess:
    """A reserved host that answers without sockets while the ``with`` block lasts.

    ``host`` and ``port`` go into an ``Endpoint`` or into ``proxmoxer.ProxmoxAPI``. Several may
    be open at once, each with a handler of its own, and may be closed in any order.
    """

    def __init__(self, handler: Handler, *, host: str | None = None) -> None:
        self.host = host or f"pve-{secrets.token_hex(6)}.invalid"
        self.port = PORT
        self._adapter = _CallAdapter(handler)
        self._patch: _Patch | None = None

    @property
    def url(self) -> str:
        """The address that this transport answers, e.g. ``https://pve-1f….invalid:8006``."""
        return f"https://{self.host}:{self.port}"

    def __enter__(self) -> Self:
        self._patch = _Patch(self.host, self._adapter)
        self._patch.install()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._patch is not None:
            self._patch.remove()
            self._patch = None


class _Patch:
    """One link in the chain of replaced ``get_adapter`` methods."""

    def __init__(self, host: str, adapter: _CallAdapter) -> None:
        self._host = host
        self._adapter = adapter
        self._closed = False
        self.previous: Any = None

    def install(self) -> None:
        """Become the method that sessions call."""
        patch = self

        def get_adapter(session: requests.Session, url: str) -> Any:
            if not patch._closed and urlsplit(url).hostname == patch._host:
                return patch._adapter
            return patch.previous(session, url)

        get_adapter.patch = self  # type: ignore[attr-defined]  # how remove() knows the chain
        with _chain:
            self.previous = requests.Session.get_adapter
            requests.Session.get_adapter = get_adapter  # type: ignore[method-assign,assignment]

    def remove(self) -> None:
        """Stop answering, and take every closed link off the end of the chain."""
        with _chain:
            self._closed = True
            current: Any = requests.Session.get_adapter
            while (link := getattr(current, "patch", None)) is not None and link._closed:
                current = link.previous
            requests.Session.get_adapter = current  # type: ignore[method-assign]


class _CallAdapter(HTTPAdapter):
    """Turns a prepared request into a call, and what comes back into a response."""

    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self._handler = handler

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the handler's answer as a response, its reason phrase unchanged."""
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        call = (request.method or "GET", request.path_url, headers, _read(request.body))
        try:
            status, reason, answer_headers, body = self._handler(*call)
        except TimeoutError as exc:
            raise requests.exceptions.ReadTimeout(f"no answer: {exc}", request=request) from exc
        except ConnectionError as exc:
            raise requests.exceptions.ConnectionError(
                f"connection broken: {exc}", request=request
            ) from exc
        return self._response(request, status, reason, CaseInsensitiveDict(answer_headers), body)

    def _response(
        self,
        request: requests.PreparedRequest,
        status: int,
        reason: str,
        headers: CaseInsensitiveDict[str],
        body: bytes,
    ) -> requests.Response:
        """Return a response that is read already: urllib3's machinery would cost more than all."""
        response = requests.Response()
        response.status_code, response.reason = status, reason
        response.headers = headers
        response.encoding = get_encoding_from_headers(headers)
        response.url = request.url or ""
        response.request = request
        response.raw = io.BytesIO(body)
        response._content = body
        response._content_consumed = True  # type: ignore[attr-defined]
        response.connection = self
        return response


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _read(body: Any) -> bytes:
    """Return the whole body, whatever requests made of it: text, bytes, a stream, parts."""
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if hasattr(body, "read"):
        return bytes(body.read())
    return b"".join(body)
