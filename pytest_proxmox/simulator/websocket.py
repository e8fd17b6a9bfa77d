"""As much of RFC 6455 as an app needs that sends every message back."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from dataclasses import dataclass
from typing import Final

import h11

_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
LARGEST: Final = 1024 * 1024
CONTINUATION, CLOSE, PING, PONG = 0x0, 0x8, 0x9, 0xA


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, unmasked."""

    opcode: int
    final: bool
    payload: bytes

    def render(self) -> bytes:
        """Return the frame as a server sends it: without a mask."""
        first, length = (0x80 if self.final else 0) | self.opcode, len(self.payload)
        if length < 126:
            return bytes([first, length]) + self.payload
        if length < 65536:
            return bytes([first, 126]) + struct.pack(">H", length) + self.payload
        return bytes([first, 127]) + struct.pack(">Q", length) + self.payload


def asked_for(request: h11.Request) -> bytes | None:
    """Return the key of a request that wants to switch to a websocket, None for another."""
    headers = {bytes(name).lower(): bytes(value) for name, value in request.headers}
    wanted = headers.get(b"upgrade", b"").lower() == b"websocket"
    return headers.get(b"sec-websocket-key") if wanted else None


def accepting(key: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers of the answer to that request."""
    # The protocol names SHA-1; nothing is secret here.
    digest = hashlib.sha1(key + _MAGIC, usedforsecurity=False).digest()
    return [
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-accept", base64.b64encode(digest)),
    ]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, early: bytes) -> None:
    """Send every frame back until the other side closes; ``early`` had arrived already."""
    source = _Source(reader, early)
    try:
        while (frame := await _read(source)).opcode != CLOSE:
            if frame.opcode == PING:
                frame = Frame(PONG, final=True, payload=frame.payload)
            if frame.opcode != PONG or frame.payload:
                writer.write(frame.render())
                await writer.drain()
        writer.write(Frame(CLOSE, final=True, payload=frame.payload[:2]).render())
        await writer.drain()
    except asyncio.IncompleteReadError:
        return  # the other side went without a word


class _Source:
    """Reads exactly so many bytes, those that came early first."""

    def __init__(self, reader: asyncio.StreamReader, early: bytes) -> None:
        self._reader, self._early = reader, early

    async def exactly(self, count: int) -> bytes:
        head, self._early = self._early[:count], self._early[count:]
        if len(head) == count:
            return head
        return head + await self._reader.readexactly(count - len(head))


async def _read(source: _Source) -> Frame:
    first, second = await source.exactly(2)
    length = second & 0x7F
    if length == 126:
        length = int(struct.unpack(">H", await source.exactly(2))[0])
    elif length == 127:
        length = int(struct.unpack(">Q", await source.exactly(8))[0])
    if length > LARGEST or not second & 0x80:
        return Frame(
            CLOSE, final=True, payload=struct.pack(">H", 1009 if length > LARGEST else 1002)
        )
    mask = await source.exactly(4)
    payload = await source.exactly(length)
    plain = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
    return Frame(first & 0x0F, bool(first & 0x80), plain)
