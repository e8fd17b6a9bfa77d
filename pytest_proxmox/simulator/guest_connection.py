"""One client of one running guest: plain HTTP, answered from the guest's volumes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

import h11

from pytest_proxmox.simulator import apps, websocket

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

IDLE_S: Final = 30.0  # a connection that says nothing for that long is closed
_LOG: Final = logging.getLogger(__name__)


class GuestConnection:
    """Answers one client of one guest."""

    def __init__(
        self,
        sim: Simulator,
        vmid: int,
        workload: apps.Workload,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._sim, self._vmid, self._workload = sim, vmid, workload
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        """Answer requests until the client goes, is silent for too long, or talks nonsense."""
        try:
            while await self._exchange():
                self._http.start_next_cycle()
        except (h11.ProtocolError, ConnectionError, TimeoutError) as exc:
            _LOG.debug("guest %s: connection ended: %s", self._vmid, exc)
        finally:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()

    async def _exchange(self) -> bool:
        request = await self._next()
        if not isinstance(request, h11.Request):
            return False
        if self._workload.serves == "websocket" and (key := websocket.asked_for(request)):
            await self._echo(key)
            return False
        body = bytearray()
        while not isinstance(event := await self._next(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                return False
            body += event.data
            if len(body) > apps.MAX_FILE:
                return await self._send(apps.Page(413, b"too large\n"), close=True)
        method, target = request.method.decode(), request.target.decode("latin-1")
        page = await asyncio.to_thread(
            apps.answer, self._sim, self._vmid, self._workload, method, target, bytes(body)
        )
        return await self._send(page, close=False)

    async def _echo(self, key: bytes) -> None:
        """Send back each message, until the client closes or the guest stops."""
        while not isinstance(await self._next(), h11.EndOfMessage):
            continue
        headers = websocket.accepting(key)
        answer = h11.InformationalResponse(status_code=101, headers=headers, reason=b"Switching")
        self._writer.write(self._http.send(answer) or b"")
        await websocket.echo(self._reader, self._writer, self._http.trailing_data[0])

    async def _next(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = await asyncio.wait_for(self._reader.read(65536), IDLE_S)
            self._http.receive_data(data)
        return event

    async def _send(self, page: apps.Page, *, close: bool) -> bool:
        headers = [
            ("content-type", page.content_type),
            ("content-length", str(len(page.body))),
            ("x-app-version", self._workload.version),
        ]
        if close:
            headers.append(("connection", "close"))
        out = self._http.send(h11.Response(status_code=page.status, headers=headers))
        out = (out or b"") + (self._http.send(h11.Data(data=page.body)) or b"")
        self._writer.write(out + (self._http.send(h11.EndOfMessage()) or b""))
        await self._writer.drain()
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
