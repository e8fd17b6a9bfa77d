"""Where something was made: the line of the tests' or the project's own code that led to it."""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from types import CodeType, FrameType
from typing import NamedTuple

# How many frames Python keeps for each coroutine: a mock's two or three, a wrapper or two, the
# test's own line. A frame costs about 0.08 us for each coroutine made.
ORIGIN_DEPTH = 8
ORIGIN_LEAST = 1  # where no test's own code makes any: enough to know that it is seen
_TRAIL_DEPTH = 60  # frames looked at for a thread, a socket, a process; the first ones decide
_TRAIL_KEPT = 3

Frame = tuple[str, int, str]  # file, line, function: as Python's own origin of a coroutine

_SITE = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_IMPORTING = "<frozen importlib._bootstrap>"


class Place(NamedTuple):
    """The line that made something, and the lines that called it, innermost first.

    ``inner`` names the functions of Python and of packages between that line and the creation.
    ``library`` says that an installed package made it for itself, ``importing`` that the
    import of a module did.
    """

    file: str
    line: int
    function: str
    callers: tuple[Frame, ...] = ()
    inner: tuple[str, ...] = ()
    library: bool = False
    importing: bool = False

    def render(self, root: str) -> str:
        """Return the place as lines of text, files relative to ``root`` where they are in it."""
        code = linecache.getline(self.file, self.line).strip()
        lines = [_line(self.file, self.line, self.function, root=root)]
        if code:
            lines.append(f"    {code}")
        lines += [f"  called from {_line(*frame, root=root)}" for frame in self.callers]
        return "\n".join(lines)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The line itself, then its callers."""
        return ((self.file, self.line, self.function), *self.callers)


def of_origin(origin: Sequence[Frame] | None) -> Place | None:
    """Return the place that Python noted for a coroutine; None when it noted none."""
    return _choose(origin) if origin else None


class Trail:
    """The calls that led to a creation, noted quickly; the place is chosen when it is asked for."""

    __slots__ = ("_calls", "_place")

    def __init__(self, *, skip: int) -> None:
        """Note the running calls, without the innermost ``skip``, up to the harness."""
        frame: FrameType | None = sys._getframe(skip + 1)
        calls: list[tuple[CodeType, int]] = []
        while frame is not None and len(calls) < _TRAIL_DEPTH:
            code = frame.f_code
            calls.append((code, frame.f_lasti))  # a line's number costs much more
            if code.co_filename == _IMPORTING or is_harness(code.co_filename):
                break
            frame = frame.f_back
        self._calls = calls
        self._place: Place | None = None

    @property
    def place(self) -> Place:
        """The line of the tests' or the project's own code."""
        if self._place is None:
            self._place = _choose([_frame_of(*call) for call in self._calls])
        return self._place

    @property
    def is_anybodys(self) -> bool:
        """Whether an import or an installed package made it, which is no test's doing."""
        return self.place.library or self.place.importing


def _frame_of(code: CodeType, instruction: int) -> Frame:
    lines = (line for start, end, line in code.co_lines() if start <= instruction < end and line)
    return code.co_filename, next(lines, code.co_firstlineno), code.co_name


def _choose(frames: Sequence[Frame]) -> Place:
    """The innermost line that is neither Python's nor an installed package's."""
    frames = [frame for frame in frames if not frame[0].startswith(_OWN_FOLDER)] or frames
    outside = [frame for frame in frames if not is_standard(frame[0])]
    own = [frame for frame in outside if not is_installed(frame[0])]
    kept = (own or outside or list(frames))[: _TRAIL_KEPT + 1]
    return Place(
        *kept[0],
        callers=tuple(kept[1:]),
        inner=tuple(name for _, _, name in frames[: frames.index(kept[0])]),
        library=bool(outside) and is_installed(outside[0][0]),
        importing=any(frame[0] == _IMPORTING for frame in frames),
    )


@cache
def is_standard(file: str) -> bool:
    """Return whether the file belongs to Python itself (or is no file)."""
    if file.startswith("<frozen"):
        return True
    return file.startswith(_standard_folders()) and not any(part in file for part in _SITE)


@cache
def is_installed(file: str) -> bool:
    """Return whether the file belongs to an installed package."""
    return any(part in file for part in _SITE)


@cache
def is_harness(file: str) -> bool:
    """Return whether the file is pytest's, or of what runs its hooks."""
    return any(f"{os.sep}{name}{os.sep}" in file for name in ("_pytest", "pluggy"))


@cache
def _standard_folders() -> tuple[str, ...]:
    import sysconfig

    paths = sysconfig.get_paths()
    return tuple({paths["stdlib"] + os.sep, paths["platstdlib"] + os.sep})


def first_own(frames: Iterable[Frame], functions: frozenset[str]) -> str | None:
    """Return the first function of ``functions`` that the frames went through."""
    return next((name for _, _, name in frames if name in functions), None)


def _line(file: str, line: int, function: str, *, root: str) -> str:
    inside = file.startswith(root + os.sep)
    return f"{os.path.relpath(file, root) if inside else file}:{line} in {function}"


_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
