"""Public ports lead to their apps: every byte both ways, and only while the app runs."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from src_app.db.models import App, PortReservation, User
from src_app.db.repositories import RepositoryFactory
from src_app.services.forwarding import CHUNK, Forwarder, Target, public_ports
from src_app.services.manager import Manager

pytestmark = pytest.mark.asyncio
HERE = "127.0.0.1"
PATIENCE_S = 30.0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server((HERE, 0)) as found:
        return int(found.getsockname()[1])


@asynccontextmanager
async def app(name: bytes) -> AsyncIterator[Target]:
    """An app that says its name, and then what it was sent, once that has ended."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(name)
        writer.write(await reader.read())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, HERE, 0) as server:
        yield Target(HERE, server.sockets[0].getsockname()[1])


@asynccontextmanager
async def forwarding() -> AsyncIterator[Forwarder]:
    """A forwarder of this machine's, closed in the end."""
    forwarder = Forwarder(HERE)
    try:
        yield forwarder
    finally:
        await forwarder.close()


async def ask(port: int, sent: bytes = b"") -> bytes:
    """Return what comes back for what is sent to a port."""
    reader, writer = await asyncio.open_connection(HERE, port)
    writer.write(sent)
    writer.write_eof()
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE_S)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_every_byte_goes_both_ways_also_behind_the_senders_end() -> None:
    sent = bytes(range(256)) * (5 * CHUNK // 256 + 1)
    async with app(b"one:") as one, forwarding() as forwarder:
        await forwarder.follow({(port := free_port()): one})
        assert await ask(port, sent) == b"one:" + sent


async def test_port_follows_its_app() -> None:
    async with app(b"one") as one, app(b"two") as two, forwarding() as forwarder:
        first, second = free_port(), free_port()
        await forwarder.follow({first: one, second: one})
        await forwarder.follow({first: two, second: one})
        assert (await ask(first), await ask(second)) == (b"two", b"one")
        await forwarder.follow({second: one})
        with pytest.raises(ConnectionRefusedError):
            await ask(first)
        assert await ask(second) == b"one"


async def test_port_that_stays_is_not_opened_anew() -> None:
    async with app(b"one") as one, forwarding() as forwarder:
        port = free_port()
        await forwarder.follow({port: one})
        reader, writer = await asyncio.open_connection(HERE, port)
        await forwarder.follow({port: one})
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b"one"
        writer.close()


async def test_port_that_is_taken_is_logged_and_keeps_no_other_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with app(b"one") as one, app(b"in the way") as other, forwarding() as forwarder:
        port = free_port()
        with caplog.at_level(logging.WARNING):
            await forwarder.follow({other.port: one, port: one})
        assert f"port {other.port} cannot be opened" in caplog.text
        assert await ask(port) == b"one"
        assert await ask(other.port) == b"in the way"


async def test_connection_to_an_app_that_does_not_listen_is_closed() -> None:
    async with forwarding() as forwarder:
        await forwarder.follow({(port := free_port()): Target(HERE, free_port())})
        assert await ask(port) == b""


async def test_closed_forwarder_listens_no_more_and_ends_what_it_carries() -> None:
    async with app(b"one") as one, forwarding() as forwarder:
        await forwarder.follow({(port := free_port()): one})
        reader, writer = await asyncio.open_connection(HERE, port)
        assert await asyncio.wait_for(reader.readexactly(3), PATIENCE_S) == b"one"
        await forwarder.close()
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await ask(port)


async def test_only_apps_that_run_at_an_address_with_a_port_are_public(manager: Manager) -> None:
    def write(db: RepositoryFactory) -> None:
        db.session.add(owner := User(username="owner", password_hash="x"))
        db.session.flush()
        rows: list[tuple[str, dict[str, Any]]] = [
            ("public", {}),
            ("internal", {}),
            ("public", {"status": "stopped"}),
            ("public", {"address": None}),
            ("public", {"config": {}}),
        ]
        for number, (purpose, changes) in enumerate(rows):
            told = {"status": "running", "address": "10.0.0.7", "config": {"port": "8080"}}
            names = {"id": f"app{number}", "hostname": f"site{number}", "name": "App"}
            db.session.add(
                App(**names, catalog_id="nginx", owner_id=owner.id, **{**told, **changes})
            )
            db.session.flush()
            port = PortReservation(port=30000 + number, purpose=purpose, app_id=f"app{number}")
            db.session.add(port)

    manager.store.run(write)
    assert manager.store.read(public_ports) == {30000: Target("10.0.0.7", 8080)}
    manager.store.close()
