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
    """One link in the chains of replaced ``Session`` methods.

    ``merge_environment_settings`` looks for proxies and certificates in the environment, which
    takes longer than a call does; there is neither on the way to this host.
    """

    def __init__(self, host: str, adapter: _CallAdapter) -> None:
        self._host = host
        self._prefix = f"https://{host}"
        self._adapter = adapter
        self._closed = False
        self.previous: dict[str, Any] = {}

    def install(self) -> None:
        """Become the methods that sessions call."""
        patch, previous = self, self.previous

        def get_adapter(session: requests.Session, url: str) -> Any:
            if patch._owns(url):
                return patch._adapter
            return previous["get_adapter"](session, url)

        def merge_environment_settings(
            session: requests.Session, url: str, proxies: Any, stream: Any, verify: Any, cert: Any
        ) -> Any:
            if patch._owns(url):
                stream = session.stream if stream is None else stream
                return {"proxies": {}, "stream": stream, "verify": None, "cert": None}
            merge = previous["merge_environment_settings"]
            return merge(session, url, proxies, stream, verify, cert)

        with _chain:
            methods: tuple[Any, ...] = (get_adapter, merge_environment_settings)
            for method in methods:
                method.patch = self  # how remove() knows the chain
                previous[method.__name__] = getattr(requests.Session, method.__name__)
                setattr(requests.Session, method.__name__, method)

    def _owns(self, url: str) -> bool:
        if self._closed or not url.lower().startswith(self._prefix):
            return False
        return urlsplit(url).hostname == self._host

    def remove(self) -> None:
        """Stop answering, and take every closed link off the end of the chains."""
        with _chain:
            self._closed = True
            for name in self.previous:
                current: Any = getattr(requests.Session, name)
                while (link := getattr(current, "patch", None)) is not None and link._closed:
                    current = link.previous[name]
                setattr(requests.Session, name, current)


class _CallAdapter(HTTPAdapter):
    """Turns a prepared request into a call, and what comes back into a response."""

    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self._handler = handler

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the handler's answer as a response, its reason phrase unchanged."""
        headers = {
            name.lower(): value if type(value) is str else _text(value)
            for name, value in request.headers.items()
        }
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
