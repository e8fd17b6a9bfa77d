"""The embedded Proxmox over HTTPS: uvicorn, with PVE's reason phrases and its own CA."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pytest_proxmox.simulator import certificates
from pytest_proxmox.simulator.control import Control
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.wire import Answer, Request
from pytest_proxmox.simulator.workloads import answering

MAX_BODY: Final = 64 * 1024 * 1024  # an upload larger than this is cut off
HEADERS: Final = (
    (b"cache-control", b"max-age=0"),
    (b"pragma", b"no-cache"),
    (b"server", b"pve-api-daemon/3.0"),
)
_REASON: Final = b"x-reason-phrase"
_CUT: Final = b"x-cut"
_START_TIMEOUT_S: Final = 30.0
KEEP_ALIVE_S: Final = 60  # longer than clients pause between the polls of a task


class _ReasonConnection(h11.Connection):
    """Puts the reason phrase of an answer where it belongs: ASGI has no place for one.

    An answer that a fault loses on the way is not sent at all: ``cut`` ends the connection.
    """

    def __init__(self) -> None:
        super().__init__(h11.SERVER)
        self.cut: Callable[[], None] = lambda: None
        self._is_cut = False

    def send(self, event: Any) -> Any:
        if isinstance(event, h11.Response) and any(name == _CUT for name, _ in event.headers):
            self._is_cut = True
            self.cut()
        if self._is_cut:
            return b""
        if isinstance(event, h11.Response):
            reason, rest = b"", []
            for name, value in event.headers:
                if name == _REASON:
                    reason = value
                else:
                    rest.append((name, value))
            if len(rest) != len(event.headers):
                event = h11.Response(status_code=event.status_code, headers=rest, reason=reason)
        return super().send(event)


class _Joined(asyncio.Transport):
    """A transport that sends what is written in one turn of the loop as one piece.

    uvicorn writes head, body and end apart; each would be a TLS record and a system call.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []

    def write(self, data: Any) -> None:
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(bytes(data))

    def _flush(self) -> None:
        data, self._waiting = b"".join(self._waiting), []
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)


class _Protocol(H11Protocol):
    """uvicorn's protocol on a connection that keeps reason phrases."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn: _ReasonConnection = _ReasonConnection()

    def connection_made(self, transport: Any) -> None:
        self.conn.cut = transport.abort
        super().connection_made(_Joined(transport, self.loop))


class Application:
    """The ASGI application: reads a request, asks the simulator or the control plane."""

    def __init__(self, sim: Simulator, control: Control) -> None:
        self._sim = sim
        self._control = control

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"no such protocol here: {scope['type']}")
        body = await _body(receive)
        if body is None:
            await _send(send, Answer(413, "Request Entity Too Large"))
            return
        target = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        request = Request(scope["method"], target, headers, body)
        handle = self._control.handle if self._control.owns(target) else self._sim.handle
        await self._deliver(handle(request), receive, send)

    async def _deliver(self, answer: Answer, receive: Any, send: Any) -> None:
        delivery = answer.delivery
        if delivery is not None:
            if delivery.hang:
                await _until_gone(receive)
                return
            await asyncio.sleep(delivery.delay_s)
            if delivery.drop:
                headers = [(_CUT, b"1")]
                await send({"type": "http.response.start", "status": 500, "headers": headers})
                await send({"type": "http.response.body", "body": b""})
                return
        await _send(send, answer)


async def _body(receive: Any) -> bytes | None:
    """Return the whole body, or None where it is larger than the limit."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(chunks)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY:
            return None
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _until_gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _send(send: Any, answer: Answer) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers]
    headers.append((_REASON, answer.reason.encode()))
    headers.append((b"content-length", str(len(answer.body)).encode()))
    headers.extend(HEADERS)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


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
        self._uvicorn: uvicorn.Server | None = None
        self._failure: BaseException | None = None
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
        started = threading.Event()
        config = uvicorn.Config(
            Application(self.simulator, Control(self.simulator, self.control_token)),
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=1,
            ssl_certfile=str(issued.chain_file),
            ssl_keyfile=str(issued.key_file),
        )
        self._uvicorn = _Uvicorn(config, started.set)
        self._thread = threading.Thread(
            target=self._run, args=(listener,), name="pytest-proxmox", daemon=True
        )
        self._thread.start()
        self._guests.enter_context(answering(self.simulator))
        if not started.wait(_START_TIMEOUT_S) or self._failure is not None:
            self.stop()
            raise RuntimeError("the embedded Proxmox did not start") from self._failure
        return self

    def _run(self, listener: socket.socket) -> None:
        if self._uvicorn is None:
            raise RuntimeError("start() was not called")
        try:
            asyncio.run(self._uvicorn.serve(sockets=[listener]))
        except Exception as exc:  # noqa: BLE001 - handed to start(), which raises it
            self._failure = exc
        finally:
            listener.close()

    def stop(self) -> None:
        """Stop listening, end the thread and remove the certificates."""
        self._guests.close()
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True
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


class _Uvicorn(uvicorn.Server):
    """uvicorn without its signal handlers, which tells when it listens."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        asyncio.get_running_loop().set_exception_handler(_quiet)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Clients keep idle connections, and TLS would wait a second for each one's farewell.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)


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
