"""The clock port: where the app takes elapsed time from and how it waits."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """A reading that never goes back and two ways to wait, all in seconds."""

    def monotonic(self) -> float:
        """Return a reading that never goes back; only differences mean anything."""

    def sleep(self, duration_s: float) -> None:
        """Return once ``duration_s`` seconds have passed, blocking this thread."""

    async def pause(self, duration_s: float) -> None:
        """Return once ``duration_s`` seconds have passed, letting the event loop go on."""


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """Return the machine's monotonic reading in seconds."""
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        """Return once ``duration_s`` seconds of real time have passed."""
        time.sleep(duration_s)

    async def pause(self, duration_s: float) -> None:
        """Return once ``duration_s`` seconds have passed, letting the event loop go on."""
        await asyncio.sleep(duration_s)
