"""The simulator's time. What moves it is the mode; what hangs on it are the tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pytest_proxmox.clock import Clock, SystemClock

MODES: Final = ("on-poll", "instant", "real", "manual")
GLANCE_S: Final = 1.0  # what an ordinary read moves the on-poll clock
BROADCAST_S: Final = 10.0  # how often a node tells the cluster its guests' names and states


class SimulatorClock:
    """Virtual seconds since the epoch, starting at the wall time of the start.

    ``on_move`` is called with the new time whenever it moved: the tasks that are due end there.
    """

    def __init__(self, mode: str = "on-poll", *, scale: float = 1.0, wall: Clock | None = None):
        self.mode = mode
        self.scale = scale
        self.on_move: Callable[[float], None] = lambda _: None
        self._wall = wall or SystemClock()
        self._anchor = self._wall.monotonic()
        self._epoch = self._now = float(int(self._wall.now()))
        self._advanced = 0.0

    def now(self) -> float:
        """Return the virtual time in seconds since the epoch."""
        if self.mode == "real":
            elapsed = (self._wall.monotonic() - self._anchor) * self.scale
            return self._now + elapsed
        return self._now

    def advance(self, duration_s: float) -> None:
        """Move forward by that many virtual seconds and end the tasks that are due.

        Raises:
            ValueError: ``duration_s`` is negative.
        """
        if duration_s < 0:
            raise ValueError(f"virtual time cannot go back by {-duration_s} s")
        self._advanced += duration_s
        self.move_to(self.now() + duration_s)

    def lifetime(self) -> float:
        """Return the seconds by which tickets grow old.

        What polling moves does not count: a client that reads a thousand times in a second has
        not held its ticket for a thousand seconds.
        """
        if self.mode == "real":
            return self.now()
        return self._epoch + self._advanced

    def mark(self) -> tuple[float, float]:
        """Return the present for ``set``: for snapshots."""
        return self.now(), self._advanced

    def move_to(self, moment: float) -> None:
        """Move forward to a moment; one that is past already moves nothing."""
        if moment > self.now():
            self._anchor, self._now = self._wall.monotonic(), moment
        self.on_move(self.now())

    def set(self, mark: tuple[float, float]) -> None:
        """Jump to a moment that ``mark`` gave, back as well: for restoring a snapshot."""
        self._anchor, self._now = self._wall.monotonic(), mark[0]
        self._advanced = mark[1]

    def glance(self) -> None:
        """Move as an ordinary read moves it, and end what is due."""
        if self.mode == "on-poll":
            self.move_to(self._now + GLANCE_S)
        elif self.mode == "real":
            self.on_move(self.now())

    def last_broadcast(self) -> float:
        """Return up to when the cluster has heard of changes: ten seconds late, always.

        On a node it is *up to* ten seconds; a client that copes with the worst copes with all,
        and a test must not depend on where in its ten seconds a broadcast is.
        """
        return self.now() - BROADCAST_S
