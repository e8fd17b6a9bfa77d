"""The embedded Proxmox over HTTPS, in a thread of its own, with a CA of its own."""

from __future__ import annotations

import contextlib
import logging
import secrets
import select
import selectors
import shutil
import socket
import ssl
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.simulator import certificates
from pytest_proxmox.simulator.connection import Connection
from pytest_proxmox.simulator.control import Control
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.wire import Answer, Request
from pytest_proxmox.simulator.workloads import answering

BACKLOG: Final = 2048  # clients that may connect at the same moment
WATCH_S: Final = 15.0  # how often somebody looks for connections that fell silent
STOP_S: Final = 10.0  # for the threads to end; what is left after that ends with the process
ANY_ADDRESS: Final = ("", "0.0.0.0", "::")  # noqa: S104 - nobody can call these
RETRY_S: Final = 0.1  # after a connection that could not be taken
_LOG: Final = logging.getLogger(__name__)


class _Dispatch:
    """Hands a request to the control plane or to the simulator.

    It defers what an answer need not wait for, when only this server looks at the simulator.
    """

    def __init__(self, sim: Simulator, control: Control) -> None:
        self._sim = sim
        self._control = control

    def __call__(self, request: Request) -> Answer:
        if self._control.owns(request.target):
            self.afterwards()
            return self._control.handle(request)
        return self._sim.handle(request)

    def afterwards(self) -> None:
        """Make up for what the last answer did not wait for."""
        if self._sim.tasks.defers:
            self._sim.settle()


class Server:
    """An HTTPS server in threads of its own, one for each connection; a context manager.

    ``port`` 0 picks a free one. ``ca_file`` verifies the server's certificate. At a ``host`` of
    all addresses, such as 0.0.0.0, it goes by this machine's name, which others can call.
    """

    def __init__(
        self,
        sim: Simulator,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.simulator = sim
        self.control_token = secrets.token_urlsafe(24)
        self._host = host
        self._name = socket.gethostname() if host in ANY_ADDRESS else host
        self._wanted_port = port
        self._clock = clock or SystemClock()
        self._folder: Path | None = None
        self._listener: _Listener | None = None
        self._guests = contextlib.ExitStack()
        self.port = 0

    @property
    def url(self) -> str:
        """``https://host:port``, without a path."""
        host = f"[{self._name}]" if ":" in self._name else self._name
        return f"https://{host}:{self.port}"

    @property
    def control_url(self) -> str:
        """Where the control plane is."""
        return self.url + Control.PREFIX

    @property
    def ca_file(self) -> Path:
        """The PEM file of the authority that signed the server's certificate."""
        if self._folder is None:
            raise RuntimeError("the server is not running")
        return self._folder / "ca.pem"

    def start(self) -> Self:
        """Listen, and return once requests are answered.

        Raises:
            OSError: the address cannot be bound.
        """
        listener = _listen(self._host, self._wanted_port)
        self.port = listener.getsockname()[1]
        self._folder = Path(tempfile.mkdtemp(prefix="pytest-proxmox-"))
        issued = certificates.issue(self._folder, host=self._name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(issued.chain_file, issued.key_file)
        answer = _Dispatch(self.simulator, Control(self.simulator, self.control_token))
        self._guests.enter_context(answering(self.simulator))
        self._listener = _Listener(listener, context, answer, self._clock)
        self._listener.start()
        return self

    def stop(self) -> None:
        """Stop listening, end the threads and remove the certificates."""
        self._guests.close()
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
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


class _Listener:
    """Takes connections, each into a thread of its own, until it is told to stop."""

    def __init__(
        self, listener: socket.socket, context: ssl.SSLContext, answer: _Dispatch, clock: Clock
    ) -> None:
        self._socket = listener
        self._context = context
        self._answer = answer
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[Connection, threading.Thread] = {}
        self._stopping = False
        self._bell, self._ear = socket.socketpair()  # a byte in it ends the thread
        name = f"pytest-proxmox-{listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Take connections from now on."""
        self._socket.listen(BACKLOG)
        self._socket.setblocking(False)
        self._thread.start()

    def stop(self) -> None:
        """Take no more, cut those that are open, and wait for their threads."""
        self._bell.send(b".")
        self._thread.join(STOP_S)
        with self._lock:
            self._stopping = True
            left = list(self._open.items())
        for connection, _ in left:
            connection.abort()
        for _, thread in left:
            thread.join(STOP_S)

    def _run(self) -> None:
        with self._bell, self._ear, self._socket, selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._ear, selectors.EVENT_READ)
            while True:
                heard = {key.fileobj for key, _ in selector.select(WATCH_S)}
                if self._ear in heard:
                    return
                if heard:
                    self._accept()
                self._end_idle()

    def _end_idle(self) -> None:
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            connection.end_if_idle()

    def _accept(self) -> None:
        try:
            raw, _ = self._socket.accept()
        except OSError as exc:  # the client has gone again, or there are too many open files
            _LOG.warning("a connection could not be taken: %s", exc)
            select.select([self._ear], [], [], RETRY_S)
            return
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(raw, self._answer, self._clock)
        thread = threading.Thread(
            target=self._serve, args=(connection,), name=self._thread.name, daemon=True
        )
        with self._lock:
            self._open[connection] = thread
        thread.start()

    def _serve(self, connection: Connection) -> None:
        try:
            connection.run(self._context)
        finally:
            with self._lock:
                self._open.pop(connection, None)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
