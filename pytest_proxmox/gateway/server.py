"""The gateway over HTTPS, for apps in other processes and in any language.

A thread for each connection: a call waits for the Proxmox behind it, and an app has few at a
time. The standard library's server writes the reason phrases that PVE's errors are in.
"""

from __future__ import annotations

import logging
import shutil
import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.simulator import certificates
from pytest_proxmox.simulator.wire import Answer, Request

Handle = Callable[[Request], Answer]
HANDSHAKE_S: Final = 20.0
IDLE_S: Final = 120.0  # longer than clients pause between the polls of a task
MAX_BODY: Final = 1024 * 1024 * 1024  # an upload larger than this is refused
STOP_S: Final = 10.0
POLL_S: Final = 0.1  # how often the listener looks whether it shall stop

_LOG: Final = logging.getLogger(__name__)


class Server:
    """An HTTPS server in a thread of its own; a context manager.

    ``port`` 0 picks a free one. ``ca_file`` verifies the server's certificate.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.host = host
        self._handle = handle
        self._wanted_port = port
        self._clock = clock if clock is not None else SystemClock()
        self._folder: Path | None = None
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._listener is None:
            raise RuntimeError("the gateway is not running")
        return int(self._listener.server_address[1])

    @property
    def url(self) -> str:
        """``https://host:port``, without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The PEM file of the authority that signed the certificate."""
        if self._folder is None:
            raise RuntimeError("the gateway is not running")
        return self._folder / "ca.pem"

    def start(self) -> Self:
        """Listen, and return once requests are answered.

        Raises:
            OSError: the address cannot be bound.
        """
        folder = Path(tempfile.mkdtemp(prefix="pytest-proxmox-"))
        try:
            issued = certificates.issue(folder, host=self.host)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(issued.chain_file, issued.key_file)
            address = (self.host, self._wanted_port)
            self._listener = _Listener(address, context, self._handle, self._clock)
        except BaseException:
            shutil.rmtree(folder)
            raise
        self._folder = folder
        self._thread = threading.Thread(
            target=self._listener.serve_forever,
            args=(POLL_S,),
            name="pytest-proxmox gateway",
            daemon=True,
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening, cut the connections and remove the certificates."""
        if self._listener is not None:
            self._listener.shutdown()
            self._listener.server_close()
            self._listener.cut()
            self._listener = None
        if self._thread is not None:
            self._thread.join(STOP_S)
            self._thread = None
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Listener(ThreadingHTTPServer):
    """Accepts; the TLS handshake happens in the connection's own thread."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], context: ssl.SSLContext, handle: Handle, clock: Clock
    ) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.answer = handle
        self.clock = clock
        self._context = context
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Connection)

    def server_bind(self) -> None:
        # HTTPServer's own asks the name service for this machine's name, which can take seconds.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(HANDSHAKE_S)
        with self._context.wrap_socket(request, server_side=True) as line:
            with self._lock:
                self._open.add(line)
            try:
                _Connection(line, client_address, self)
            finally:
                with self._lock:
                    self._open.discard(line)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log our own mistakes; what clients do to their connections is not ours to report."""
        if not isinstance(sys.exc_info()[1], OSError):  # a broken TLS line is one too
            _LOG.exception("a call to the gateway was not answered")

    def cut(self) -> None:
        """End every connection that is open."""
        with self._lock:
            lines = list(self._open)
        for line in lines:
            _shut(line)


class _Connection(BaseHTTPRequestHandler):
    """Reads requests and writes answers, the reason phrase as it is."""

    protocol_version = "HTTP/1.1"
    server_version = "pve-api-daemon/3.0"
    sys_version = ""
    timeout = IDLE_S
    wbufsize = -1  # head and body in one piece
    disable_nagle_algorithm = True
    server: _Listener

    def _take(self) -> None:
        length = self.headers.get("content-length", "0")
        if "transfer-encoding" in self.headers or not length.isdigit():
            self._write(Answer(411, "Length Required"), last=True)
            return
        if int(length) > MAX_BODY:
            self._write(Answer(413, "Request Entity Too Large"), last=True)
            return
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._deliver(self.server.answer(Request(self.command, self.path, headers, body)))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _take

    def _deliver(self, answer: Answer) -> None:
        delivery = answer.delivery
        if delivery is not None:
            if delivery.hang:
                self.connection.settimeout(None)
                self.rfile.read(1)  # until the client has gone
            if delivery.hang or delivery.drop:
                self.close_connection = True
                _shut(self.connection)
                return
            self.server.clock.sleep(delivery.delay_s)
        self._write(answer)

    def _write(self, answer: Answer, *, last: bool = False) -> None:
        self.send_response(answer.status, answer.reason)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        if last:
            self.send_header("connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the recorder has it."""


def _shut(line: socket.socket) -> None:
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is shut already
