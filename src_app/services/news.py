"""News of operations: who follows one in this process hears at once that it changed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class News:
    """Wakes whoever follows an operation; what other processes do it cannot know."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._followers: dict[str, list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}

    @property
    def followers(self) -> int:
        """How many follow an operation just now."""
        with self._lock:
            return sum(map(len, self._followers.values()))

    @contextmanager
    def followed(self, operation_id: str) -> Iterator[asyncio.Event]:
        """The event that is set when the operation changes; whoever waits for it clears it."""
        follower = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._followers.setdefault(operation_id, []).append(follower)
        try:
            yield follower[1]
        finally:
            with self._lock:
                others = self._followers[operation_id]
                others.remove(follower)
                if not others:
                    del self._followers[operation_id]

    def tell(self, operation_id: str) -> None:
        """Say that the operation has changed; from any thread."""
        with self._lock:
            for loop, event in self._followers.get(operation_id, ()):
                loop.call_soon_threadsafe(event.set)
