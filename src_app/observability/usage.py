"""What a piece of work took: time, processor, memory."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Reading:
    """The process at a moment."""

    at_s: float
    cpu_s: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """The difference of two readings; memory may have shrunk."""

    duration_s: float
    cpu_s: float
    memory_bytes: int
    memory_change_bytes: int


def memory_bytes() -> int:
    """Return the resident memory of this process; where no one tells, the most it ever had."""
    try:
        pages = int(STATM.read_text(encoding="ascii").split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * resource.getpagesize()


def reading() -> Reading:
    """Return the process as it is now."""
    return Reading(time.monotonic(), time.process_time(), memory_bytes())


def between(before: Reading, after: Reading) -> Usage:
    """Return what was used between two readings."""
    return Usage(
        after.at_s - before.at_s,
        after.cpu_s - before.cpu_s,
        after.memory_bytes,
        after.memory_bytes - before.memory_bytes,
    )
