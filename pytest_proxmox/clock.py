"""The clock port: where the plugin's own code takes time from and waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Wall time, a monotonic reading and a way to wait, all in seconds."""

    def now(self) -> float:
        """Return the wall time as seconds since the epoch."""

    def monotonic(self) -> float:
        """Return a reading that never goes back; only differences mean anything."""

    def sleep(self, duration_s: float) -> None:
        """Return once ``duration_s`` seconds have passed."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return the wall time as seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return the machine's monotonic reading in seconds."""
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        """Return once ``duration_s`` seconds of real time have passed."""
        time.sleep(duration_s)


def reading(clock: Clock) -> Callable[[], float]:
    """Return what gives ``clock.now()``, for a place that is run at each action.

    The machine's own clock is read without a function of Python's in between.
    """
    return time.time if type(clock) is SystemClock else clock.now


class ManualClock:
    """A clock that moves only when told to, or when somebody sleeps on it."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        """Return the wall time that was set, as seconds since the epoch."""
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        """Return the same reading as ``now``: it never goes back."""
        return self.now()

    def sleep(self, duration_s: float) -> None:
        """Move the clock by ``duration_s`` at once: nobody waits."""
        self.advance(duration_s)

    def advance(self, duration_s: float) -> None:
        """Move the clock forward.

        Raises:
            ValueError: ``duration_s`` is negative.
        """
        if duration_s < 0:
            raise ValueError(f"a clock cannot go back by {-duration_s} s")
        with self._lock:
            self._now += duration_s
