"""One client's connection: HTTP/1.1 as Proxmox speaks it, its errors in the reason phrase.

ASGI has no place for a reason phrase, and an event loop costs more than answering does
(docs/adr/0005-a-thread-a-connection.md). Parsing is httptools', TLS is Python's.
"""

from __future__ import annotations

import contextlib
import logging
import math
import re
import socket
import ssl
import threading
import time
from collections import deque
from functools import lru_cache
from typing import Final, Protocol

import httptools

from pytest_proxmox.clock import Clock
from pytest_proxmox.simulator.wire import Answer, Request


class Answering(Protocol):
    """What answers requests, and what it does once an answer is on its way."""

    def __call__(self, request: Request) -> Answer:
        """Return the answer."""

    def afterwards(self) -> None:
        """Do what the client need not wait for."""


MAX_BODY: Final = 64 * 1024 * 1024  # an upload larger than this is refused
MAX_HEAD: Final = 64 * 1024  # bytes of a request line and headers
MAX_REQUEST: Final = 2 * MAX_BODY  # of everything, so that framing and trailers end too
RECEIVED: Final = 16 * 1024  # bytes taken at once: a record of TLS has no more
HANDSHAKE_S: Final = 20.0  # for a client that opens a connection and does not speak TLS
IDLE_S: Final = 60.0  # a silent connection is closed; longer than clients pause between two polls
LINGER_S: Final = 2.0  # how long a client that sends too much may go on before it is cut off
HEADERS: Final = b"cache-control: max-age=0\r\npragma: no-cache\r\nserver: pve-api-daemon/3.0\r\n"
TOO_LARGE: Final = Answer(413, "Request Entity Too Large")
_LOG: Final = logging.getLogger(__name__)
_DAYS: Final = "Mon Tue Wed Thu Fri Sat Sun".split()
_MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}(?= )")
_PLAIN: Final = re.compile(rb"(GET|POST|PUT|DELETE) (/[\w/.~:%?&=+,@!*;-]*) HTTP/1\.1", re.ASCII)
_REMEMBERED: Final = 4  # ways to end a request: a client has one for each of its verbs
_KNOWN: Final = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE")


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    """Return the ``date`` header of a second; names are English whatever the locale."""
    t = time.gmtime(second)
    day, month = _DAYS[t.tm_wday], _MONTHS[t.tm_mon - 1]
    clock = f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"
    return f"date: {day}, {t.tm_mday:02} {month} {t.tm_year} {clock} GMT\r\n".encode()


@lru_cache(maxsize=256)
def _lowered(name: bytes) -> str:
    return name.decode("latin-1").lower()


class _Requests:
    """Turns bytes into requests; ``whole`` holds those that are complete.

    An ``Answer`` in the place of a request is for what was none: nothing is read after that.
    """

    def __init__(self) -> None:
        self.whole: deque[tuple[Request | Answer, bool]] = deque()
        self.wants_go_ahead = False
        self._parser = httptools.HttpRequestParser(self)
        self._refused = False
        self._is_over = False  # the client said that it asks no more
        self._unread = 0  # bytes of a request that is not whole yet
        # what came behind the first line of a request without a body, all of it
        self._known: dict[bytes, dict[str, str]] = {}
        self.on_message_begin()

    def feed(self, data: bytes) -> None:
        """Take what came.

        A client sends the same headers with every request that has no body: those that were
        read once are known by their bytes, and not read again.
        """
        if self._unread or self._is_over:
            self._read(data)
            return
        line, _, rest = data.partition(b"\r\n")
        plain = _PLAIN.fullmatch(line)
        if plain is None:
            self._read(data)
        elif (headers := self._known.get(rest)) is not None:
            self.whole.append((Request(plain[1].decode(), plain[2].decode(), headers), True))
        else:
            self._read(data)
            self._remember(rest)

    def _remember(self, rest: bytes) -> None:
        """Know these bytes again, if they were the headers of one request and nothing else."""
        if self._unread == 0 and len(self.whole) == 1 and self.whole[0][1] and not self._body:
            if len(self._known) == _REMEMBERED:
                self._known.clear()
            self._known[rest] = self._headers

    def _read(self, data: bytes) -> None:
        self._unread += len(data)
        try:
            # the request itself was read, and nothing here changes protocols
            with contextlib.suppress(httptools.HttpParserUpgrade):
                self._parser.feed_data(data)
        except httptools.HttpParserInvalidMethodError:
            self._refuse(_no_method(data))
        except httptools.HttpParserError:
            self._refuse(Answer(400, "Bad Request"))
        if self._unread > (MAX_REQUEST if self._in_body else MAX_HEAD):
            self._refuse(TOO_LARGE if self._in_body else Answer(431, "Headers Too Large"))

    def _refuse(self, answer: Answer) -> None:
        if not self._refused:
            self._refused = True
            self.whole.append((answer, False))

    # --- what httptools calls while it reads ------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._in_body = False

    def on_url(self, url: bytes) -> None:
        """A piece of the request's target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers[_lowered(name)] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The body begins, if there is one."""
        self._in_body = True
        if int(self._headers.get("content-length", "0")) > MAX_BODY:
            self._refuse(TOO_LARGE)
        self.wants_go_ahead = self._headers.get("expect", "").lower() == "100-continue"

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
        keep = self._parser.should_keep_alive()
        self._is_over = not keep
        self.whole.append((request, keep))
        self._unread, self._in_body, self.wants_go_ahead = 0, False, False


class Connection:
    """Answers one client until it goes, is silent for too long, or talks nonsense."""

    def __init__(self, raw: socket.socket, answer: Answering, clock: Clock) -> None:
        self._socket = raw
        self._answer = answer
        self._clock = clock
        self._requests = _Requests()
        self._aborted = threading.Event()
        self._waits_since = math.inf  # since when the client lets us wait

    def run(self, context: ssl.SSLContext) -> None:
        """Serve the client to its end; nothing that it does makes this raise."""
        try:
            self._socket.settimeout(HANDSHAKE_S)
            self._socket = wire = context.wrap_socket(
                self._socket, server_side=True, do_handshake_on_connect=False
            )
            if not self._aborted.is_set():
                wire.do_handshake()
            # a time-out would cost two more system calls for each request; see end_if_idle
            wire.settimeout(None)
            self._waits_since = self._clock.monotonic()
            while data := wire.read(RECEIVED):
                self._waits_since = self._clock.monotonic()
                if not self._take(data):
                    self._part()
                    return
        except OSError as exc:  # of TLS as well
            _LOG.debug("connection ended: %s", exc)
        finally:
            self._socket.close()

    def end_if_idle(self) -> None:
        """Cut the connection, from any thread, where the client says or takes nothing for long."""
        if self._clock.monotonic() - self._waits_since > IDLE_S:
            self.abort()

    def abort(self) -> None:
        """Cut the connection, from any thread; ``run`` returns."""
        self._aborted.set()
        with contextlib.suppress(OSError):  # it is closed already
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _take(self, data: bytes) -> bool:
        """Answer the requests that are whole now, and return whether more may come."""
        requests = self._requests
        requests.feed(data)
        while requests.whole:
            asked, keep = requests.whole.popleft()
            if isinstance(asked, Answer):
                self._send(asked, "", keep=False)
                if asked is TOO_LARGE:
                    self._linger()
                return False
            self._waits_since = math.inf
            try:
                may_come = self._deliver(self._answer(asked), asked.method, keep=keep)
            finally:
                self._answer.afterwards()
            if not may_come:
                return False
        if requests.wants_go_ahead:
            requests.wants_go_ahead = False
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _deliver(self, answer: Answer, method: str, *, keep: bool) -> bool:
        """Send an answer, or do with it what a fault says; return whether more may come."""
        delivery = answer.delivery
        if delivery is not None:
            if delivery.hang:
                self._socket.settimeout(None)
                while self._socket.recv(RECEIVED):
                    continue
                raise ConnectionAbortedError("the client lost its patience")
            self._aborted.wait(delivery.delay_s)
            if delivery.drop or self._aborted.is_set():
                raise ConnectionAbortedError("the answer is lost")
        self._send(answer, method, keep=keep)
        return keep

    def _send(self, answer: Answer, method: str, *, keep: bool) -> None:
        """Send an answer as one piece: one TLS record, one system call."""
        head = f"HTTP/1.1 {answer.status} {answer.reason}\r\n"
        for name, value in answer.headers:
            head += f"{name}: {value}\r\n"
        head += f"content-length: {len(answer.body)}\r\n"
        if not keep:
            head += "connection: close\r\n"
        date = _date(int(self._clock.now()))
        body = b"" if method == "HEAD" else answer.body
        whole = b"".join((head.encode("utf-8", "replace"), date, HEADERS, b"\r\n", body))
        self._waits_since = self._clock.monotonic()
        self._write(whole)

    def _write(self, data: bytes) -> None:
        """Send all of it; what fits into a record goes out without ``sendall``'s detours."""
        wire = self._socket
        sent = wire.write(data) if isinstance(wire, ssl.SSLSocket) else 0
        if sent < len(data):
            wire.sendall(memoryview(data)[sent:])

    def _linger(self) -> None:
        """Hear a client out for a moment: to close at once would lose it the answer."""
        until = self._clock.monotonic() + LINGER_S
        self._socket.settimeout(LINGER_S)
        while self._clock.monotonic() < until and self._socket.recv(RECEIVED):
            continue

    def _part(self) -> None:
        """Say TLS's farewell, without waiting for the client's."""
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.settimeout(0)
            with contextlib.suppress(OSError):  # the client's farewell has not come yet
                self._socket.unwrap()


def _no_method(data: bytes) -> Answer:
    """Return what a node says of a method that HTTP does not have (as golden 02 of PATCH)."""
    word = _METHOD.match(data)
    if word is None or word[0] in _KNOWN:  # it is a later request in these bytes
        return Answer(400, "Bad Request")
    return Answer(501, f"method '{word[0].decode()}' not available")
