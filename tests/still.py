"""A clock for tests that wait for nothing."""

from __future__ import annotations


class StillClock:
    """A clock that moves only when somebody waits on it."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Return the reading, in seconds."""
        return self.now

    def sleep(self, duration_s: float) -> None:
        """Let the time be later."""
        self.now += duration_s

    async def pause(self, duration_s: float) -> None:
        """Let the time be later."""
        self.now += duration_s
