"""Windows: which VMIDs in a row to hand out next."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping

from pytest_proxmox.values import Vmid, VmidRange


def best_window(
    spans: Iterable[VmidRange], count: int, taken: Collection[int], used: Mapping[int, float]
) -> tuple[Vmid, ...] | None:
    """Return ``count`` VMIDs in a row that nobody has, None where there are not so many.

    The lowest that were never used come first, then those whose last use is longest ago.
    """
    best: tuple[Vmid, ...] | None = None
    best_age: float | None = None
    for window in _windows(spans, count, taken):
        age = max((used[vmid] for vmid in window if vmid in used), default=None)
        if age is None:
            return window
        if best_age is None or age < best_age:
            best, best_age = window, age
    return best


def _windows(
    spans: Iterable[VmidRange], count: int, taken: Collection[int]
) -> Iterator[tuple[Vmid, ...]]:
    for span in spans:
        window: deque[Vmid] = deque(maxlen=count)
        for vmid in span:
            if vmid in taken:
                window.clear()
                continue
            window.append(vmid)
            if len(window) == count:
                yield tuple(window)
