"""One client's connection: HTTP/1.1 as Proxmox speaks it, its errors in the reason phrase.

ASGI has no place for a reason phrase, and its tasks and events cost more than answering does
(docs/adr/0005-a-protocol-of-its-own.md). Parsing is httptools', TLS and the loop are asyncio's.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, cast

import httptools

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.simulator.wire import Answer, Request

Answering = Callable[[Request], Answer]

MAX_BODY: Final = 64 * 1024 * 1024  # an upload larger than this is refused
MAX_HEAD: Final = 64 * 1024  # bytes of a request line and headers
MAX_REQUEST: Final = 2 * MAX_BODY  # of everything, so that framing and trailers end too
TOO_LARGE: Final = Answer(413, "Request Entity Too Large")
MAX_WAITING: Final = 16  # requests that a client may send ahead of the answers
IDLE_S: Final = 60.0  # a silent connection is closed; longer than clients pause between two polls
LINGER_S: Final = 5.0  # how long a refused client may go on sending before it is cut off
HEADERS: Final = b"cache-control: max-age=0\r\npragma: no-cache\r\nserver: pve-api-daemon/3.0\r\n"
_DAYS: Final = "Mon Tue Wed Thu Fri Sat Sun".split()
_MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}(?= )")
_KNOWN: Final = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE")


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    """Return the ``date`` header of a second; names are English whatever the locale."""
    t = time.gmtime(second)
    day, month = _DAYS[t.tm_wday], _MONTHS[t.tm_mon - 1]
    clock = f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"
    return f"date: {day}, {t.tm_mday:02} {month} {t.tm_year} {clock} GMT\r\n".encode()


class Connection(asyncio.Protocol):
    """Reads requests, answers them in their order, and survives whatever else is sent.

    ``connections`` holds the open ones: this one comes and goes by itself.
    """

    def __init__(
        self, answer: Answering, connections: set[Connection], *, clock: Clock | None = None
    ) -> None:
        self._answer = answer
        self._connections = connections
        self._now = (clock or SystemClock()).now
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._waiting: deque[tuple[Request | Answer, bool]] = deque()
        self._busy = False  # an answer is held back: late, or never coming
        self._choked = False  # the client does not take what was written
        self._deaf = False  # reading is paused
        self._refused = False  # what comes now is thrown away
        self._heard = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.on_message_begin()

    # --- asyncio ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to listen to a client."""
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        self._heard = self._loop.time()
        self._timer = self._loop.call_later(IDLE_S, self._look_for_silence)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client and what it still wanted."""
        self._connections.discard(self)
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what came, and answer the requests that are whole now."""
        self._heard = self._loop.time()
        if self._refused:
            return
        self._unread += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the request itself was read; nothing here changes protocols
        except httptools.HttpParserInvalidMethodError:
            self._refuse(_no_method(data))
        except httptools.HttpParserError:
            self._refuse(Answer(400, "Bad Request"))
        if self._unread > (MAX_REQUEST if self._in_body else MAX_HEAD):
            self._refuse(TOO_LARGE if self._in_body else Answer(431, "Headers Too Large"))
        self._go_on()

    def pause_writing(self) -> None:
        """Answer nothing more until the client has read."""
        self._choked = True
        self._regulate()

    def resume_writing(self) -> None:
        """Go on answering."""
        self._choked = False
        self._go_on()

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    def _look_for_silence(self) -> None:
        """Close a connection that has said nothing for long, unless it waits for an answer."""
        left = self._heard + IDLE_S - self._loop.time()
        if left <= 0 and not self._busy:
            self._transport.close()
            return
        self._timer = self._loop.call_later(max(left, 1.0), self._look_for_silence)

    # --- what httptools calls while it reads ------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._unread = 0
        self._in_body = False

    def on_url(self, url: bytes) -> None:
        """A piece of the request's target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The body begins, if there is one."""
        self._in_body = True
        if int(self._headers.get("content-length", "0")) > MAX_BODY:
            self._refuse(TOO_LARGE)
        elif self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if len(self._body) + len(body) > MAX_BODY:
            self._refuse(TOO_LARGE)
        elif not self._refused:
            self._body += body

    def on_message_complete(self) -> None:
        """A request is whole."""
        if self._refused:
            return
        method = self._parser.get_method().decode("latin-1")
        target = self._target.decode("latin-1")
        request = Request(method, target, self._headers, bytes(self._body))
        self._waiting.append((request, self._parser.should_keep_alive()))
        self._unread, self._in_body = 0, False

    # --- answers ----------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Answer what waits, as far as the client takes it and nothing is held back."""
        while self._waiting and not (self._busy or self._choked or self._transport.is_closing()):
            asked, keep = self._waiting.popleft()
            if isinstance(asked, Answer):
                self._turn_away(asked)
            else:
                self._deliver(self._answer(asked), asked.method, keep=keep)
        self._regulate()

    def _turn_away(self, answer: Answer) -> None:
        """Send an answer to what was no request, and close."""
        self._write(answer, "", keep=False)
        if answer is TOO_LARGE:
            # much is still to come: to close now would reset the connection, the answer with it
            self._loop.call_later(LINGER_S, self._transport.abort)
        else:
            self._transport.close()

    def _regulate(self) -> None:
        """Stop reading where the client is too far ahead of the answers, or go on with it."""
        deaf = self._choked or len(self._waiting) > MAX_WAITING
        if deaf != self._deaf and not self._transport.is_closing():
            self._deaf = deaf
            (self._transport.pause_reading if deaf else self._transport.resume_reading)()

    def _deliver(self, answer: Answer, method: str, *, keep: bool) -> None:
        """Send an answer, or do with it what a fault says."""
        delivery = answer.delivery
        if delivery is None:
            self._send(answer, method, keep=keep)
            return
        self._busy = True
        if not delivery.hang:
            deliver = self._cut if delivery.drop else self._send_late
            self._loop.call_later(delivery.delay_s, deliver, answer, method, keep)

    def _cut(self, *answer: Any) -> None:
        self._transport.abort()

    def _send_late(self, answer: Answer, method: str, keep: bool) -> None:  # noqa: FBT001 - a callback
        self._busy = False
        if not self._transport.is_closing():
            self._send(answer, method, keep=keep)
            self._go_on()

    def _refuse(self, answer: Answer) -> None:
        """Answer something that is no request when its turn comes, and hear nothing more."""
        if not self._refused:
            self._refused = True
            self._waiting.append((answer, False))

    def _send(self, answer: Answer, method: str, *, keep: bool) -> None:
        self._write(answer, method, keep=keep)
        if not keep:
            self._transport.close()

    def _write(self, answer: Answer, method: str, *, keep: bool) -> None:
        """Write an answer as one piece: one TLS record, one system call."""
        head = f"HTTP/1.1 {answer.status} {answer.reason}\r\n"
        for name, value in answer.headers:
            head += f"{name}: {value}\r\n"
        head += f"content-length: {len(answer.body)}\r\n"
        if not keep:
            head += "connection: close\r\n"
        body = b"" if method == "HEAD" else answer.body
        date = _date(int(self._now()))
        self._transport.write(
            b"".join((head.encode("utf-8", "replace"), date, HEADERS, b"\r\n", body))
        )


def _no_method(data: bytes) -> Answer:
    """Return what a node says of a method that HTTP does not have (as golden 02 of PATCH)."""
    word = _METHOD.match(data)
    if word is None or word[0] in _KNOWN:  # it is a later request in these bytes
        return Answer(400, "Bad Request")
    return Answer(501, f"method '{word[0].decode()}' not available")
