"""The embedded Proxmox over HTTPS, in a thread of its own, with a CA of its own."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import socket
import ssl
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from pytest_proxmox.simulator import certificates
from pytest_proxmox.simulator.connection import Connection
from pytest_proxmox.simulator.control import Control
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.wire import Answer, Request
from pytest_proxmox.simulator.workloads import answering

_START_TIMEOUT_S: Final = 30.0
_HANDSHAKE_S: Final = 20.0  # for a client that opens a connection and does not speak TLS
_FAREWELL_S: Final = 1.0  # for a client that does not answer TLS's farewell
_BACKLOG: Final = 2048  # clients that may connect at the same moment


class _Dispatch:
    """Hands a request to the control plane or to the simulator."""

    def __init__(self, sim: Simulator, control: Control) -> None:
        self._sim = sim
        self._control = control

    def __call__(self, request: Request) -> Answer:
        owner = self._control if self._control.owns(request.target) else self._sim
        return owner.handle(request)


class Server:
    """An HTTPS server in a thread of its own; a context manager.

    ``port`` 0 picks a free one. ``ca_file`` verifies the server's certificate.
    """

    def __init__(self, sim: Simulator, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.simulator = sim
        self.control_token = secrets.token_urlsafe(24)
        self._host = host
        self._wanted_port = port
        self._folder: Path | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._failure: Exception | None = None
        self._guests = contextlib.ExitStack()
        self.port = 0

    @property
    def url(self) -> str:
        """``https://host:port``, without a path."""
        host = f"[{self._host}]" if ":" in self._host else self._host
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
        issued = certificates.issue(self._folder, host=self._host)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(issued.chain_file, issued.key_file)
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._run,
            args=(listener, context, started),
            name="pytest-proxmox",
            daemon=True,
        )
        self._thread.start()
        self._guests.enter_context(answering(self.simulator))
        if not started.wait(_START_TIMEOUT_S) or self._failure is not None:
            self.stop()
            raise RuntimeError("the embedded Proxmox did not start") from self._failure
        return self

    def _run(
        self, listener: socket.socket, context: ssl.SSLContext, started: threading.Event
    ) -> None:
        try:
            asyncio.run(self._serve(listener, context, started))
        except Exception as exc:  # noqa: BLE001 - handed to start(), which raises it
            self._failure = exc
        finally:
            started.set()
            listener.close()

    async def _serve(
        self, listener: socket.socket, context: ssl.SSLContext, started: threading.Event
    ) -> None:
        """Listen until ``stop()``."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(_quiet)
        answer = _Dispatch(self.simulator, Control(self.simulator, self.control_token))
        connections: set[Connection] = set()
        server = await self._loop.create_server(
            lambda: Connection(answer, connections),
            sock=listener,
            ssl=context,
            backlog=_BACKLOG,
            ssl_handshake_timeout=_HANDSHAKE_S,
            ssl_shutdown_timeout=_FAREWELL_S,
        )
        started.set()
        await self._stop.wait()
        server.close()
        for connection in list(connections):
            connection.abort()
        await asyncio.sleep(0)  # so that they hear of it before the loop is closed

    def stop(self) -> None:
        """Stop listening, end the thread and remove the certificates."""
        self._guests.close()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(_START_TIMEOUT_S)
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


def _quiet(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Do not report what clients do to their own connections."""
    if not isinstance(context.get("exception"), (ssl.SSLError, ConnectionError)):
        loop.default_exception_handler(context)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; without it a call takes 44 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
