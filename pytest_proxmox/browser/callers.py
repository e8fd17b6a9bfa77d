"""Who called: the line of the user's code behind a call of Playwright's."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import NamedTuple

_OWN = str(Path(__file__).parent)
_BETWEEN = ("playwright", "greenlet", "asyncio", "contextlib.py", "concurrent")
_RUNNERS = ("_pytest", "pluggy", "pytest_asyncio", "anyio")
_FIXTURES = ("pytest_playwright", "pytest_playwright_asyncio")


class Caller(NamedTuple):
    """A place in the user's code; ``fixture`` means that a fixture's end did it."""

    file: str
    line: int
    function: str
    fixture: bool = False

    def __str__(self) -> str:
        at = f"{self.file}:{self.line} in {self.function}"
        return f"the end of a fixture, {at}" if self.fixture else at


def calling() -> Caller | None:
    """Return the user's line behind this call; else the line of pytest-playwright's fixture."""
    frame: FrameType | None = sys._getframe(1)
    fixture: Caller | None = None
    while frame is not None:
        name = frame.f_code.co_filename
        if _is_in(name, _RUNNERS):
            return fixture
        if _is_in(name, _FIXTURES):
            fixture = fixture or _caller(frame, fixture=True)
        elif not (name.startswith(("<", _OWN)) or _is_in(name, _BETWEEN)):
            return _caller(frame, fixture=False)
        frame = frame.f_back
    return fixture


def _is_in(file: str, packages: tuple[str, ...]) -> bool:
    return any(part in packages for part in Path(file).parts)


def _caller(frame: FrameType, *, fixture: bool) -> Caller:
    path = Path(frame.f_code.co_filename)
    return Caller("/".join(path.parts[-2:]), frame.f_lineno, frame.f_code.co_name, fixture)
