"""Ids that no other test, worker or run of this process has given out."""

from __future__ import annotations

import itertools
import threading

SPAN = 1000  # workers that can count side by side without meeting
FIRST = 100  # as PVE's VMIDs begin


class UniqueIds:
    """Counters that only go up, each worker on its own residue class."""

    def __init__(self, worker: str = "gw0") -> None:
        digits = "".join(c for c in worker if c.isdigit())
        self.worker = worker
        self._index = int(digits or 0) % SPAN
        self._lock = threading.Lock()
        self._counters: dict[str, itertools.count[int]] = {}

    def number(self, kind: str = "") -> int:
        """Return the next number of ``kind``: at least 100, never twice, on no worker."""
        with self._lock:
            counter = self._counters.setdefault(kind, itertools.count())
            return FIRST + next(counter) * SPAN + self._index

    def name(self, kind: str) -> str:
        """Return the next name of ``kind``, e.g. ``storage-gw0-1``: letters, digits, dashes."""
        return f"{kind}-{self.worker}-{(self.number('name ' + kind) - FIRST) // SPAN + 1}"
