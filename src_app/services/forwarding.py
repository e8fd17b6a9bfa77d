"""Public ports: what arrives at an app's port goes to its container, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from src_app.db.repositories import RepositoryFactory

LOG = logging.getLogger(__name__)
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """Where an app listens."""

    address: str
    port: int


def public_ports(db: RepositoryFactory) -> dict[int, Target]:
    """Return the public ports of the apps that run, and where they lead."""
    ports = db.ports.find_many(where={"purpose": "public"}, limit=1000).data
    found: dict[int, Target] = {}
    for row in ports:
        app = db.apps.get(row.app_id)
        if app.status == "running" and app.address and app.config.get("port"):
            found[row.port] = Target(app.address, int(app.config["port"]))
    return found


class Forwarder:
    """Listens on public ports."""

    def __init__(self, host: str | None = None) -> None:
        self._host = host
        self._servers: dict[int, tuple[Target, asyncio.Server]] = {}
        self._carried: set[asyncio.Task[None]] = set()

    async def follow(self, wanted: Mapping[int, Target]) -> None:
        """Listen on these ports and on no others; one that is taken is logged."""
        for port, (target, server) in list(self._servers.items()):
            if wanted.get(port) != target:
                server.close()
                del self._servers[port]
        for port, target in wanted.items():
            if port not in self._servers:
                await self._open(port, target)

    async def _open(self, port: int, target: Target) -> None:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(_carry(reader, writer, target))
            self._carried.add(task)
            task.add_done_callback(self._carried.discard)

        try:
            server = await asyncio.start_server(accept, self._host, port)
        except OSError as exc:
            LOG.warning("port %s cannot be opened: %s", port, exc)
            return
        self._servers[port] = (target, server)

    async def close(self) -> None:
        """Listen no more, and end the connections that are carried."""
        for _, server in self._servers.values():
            server.close()
        self._servers.clear()
        carried = list(self._carried)
        for task in carried:
            task.cancel()
        await asyncio.gather(*carried, return_exceptions=True)


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Target
) -> None:
    """Carry bytes both ways until both sides have said all."""
    with contextlib.closing(writer):
        try:
            inner_reader, inner_writer = await asyncio.open_connection(target.address, target.port)
        except OSError:
            return
        try:
            await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        finally:
            for side in (writer, inner_writer):
                side.close()
                with contextlib.suppress(OSError):  # the other end may have gone first
                    await side.wait_closed()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # a side that goes away ends the carrying
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
