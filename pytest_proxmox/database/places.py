"""Which line of the user's code is running: for messages that name sessions."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from functools import lru_cache
from types import FrameType

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_STDLIB = sysconfig.get_path("stdlib")
_LIBRARIES = (
    "sqlalchemy",
    "greenlet",
    "pluggy",
    "_pytest",
    "pytest/",
    "pytest_asyncio",
    "polyfactory",
)


@lru_cache(maxsize=1024)
def _foreign(filename: str) -> bool:
    if filename.startswith((_OWN, "<")) or os.path.basename(filename) == "pytest":
        return True  # the last: the command in bin/
    if "site-packages" in filename:
        tail = filename.rpartition("site-packages")[2]
        return tail.lstrip("/\\").startswith(_LIBRARIES)
    return filename.startswith(_STDLIB)


def _parent(frame: FrameType | None) -> FrameType | None:
    """Return the frame that started the greenlet in which the stack ended."""
    module = sys.modules.get("greenlet")
    parent = module.getcurrent().parent if module is not None else None
    return None if parent is None else parent.gr_frame


def _frame() -> FrameType | None:
    frame: FrameType | None = sys._getframe(2)
    crossed = False
    while frame is not None and _foreign(frame.f_code.co_filename):
        frame = frame.f_back
        if frame is None and not crossed:
            frame, crossed = _parent(frame), True
    return frame


def caller() -> str:
    """Return ``file:line function`` of the innermost frame that is the user's."""
    frame = _frame()
    if frame is None:
        return "an unknown line"
    name = os.path.basename(frame.f_code.co_filename)
    return f"{name}:{frame.f_lineno} {frame.f_code.co_name}()"


def stack(limit: int = 12) -> str:
    """Return the user's frames, outermost first, for the message of an escape."""
    frame = _frame()
    lines: list[str] = []
    while frame is not None and len(lines) < limit:
        if not _foreign(frame.f_code.co_filename):
            summary = traceback.FrameSummary(
                frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
            )
            lines.append(f"  {summary.filename}:{summary.lineno} in {summary.name}: {summary.line}")
        frame = frame.f_back
    return "\n".join(reversed(lines))
