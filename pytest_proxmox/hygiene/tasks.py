"""asyncio tasks that are still pending when their test ends, or when its event loop closes."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_proxmox.hygiene.coroutines import Coroutine
from pytest_proxmox.hygiene.holders import held_by_wider_fixture
from pytest_proxmox.hygiene.offences import Offence
from pytest_proxmox.hygiene.places import is_installed, of_origin

if TYPE_CHECKING:
    from pytest_proxmox.hygiene.resources import SocketWatch

Task = asyncio.Task[Any]
Loop = asyncio.AbstractEventLoop

# Who may close a loop on a test's behalf. ``asyncio.run`` inside a test is not among them: it
# cancels what is left by contract, and nothing outlives it.
_RUNNERS = ("pytest_asyncio.plugin", "anyio._backends._asyncio", "unittest.async_case")
_HOUSEKEEPERS = ("anyio", "pytest_asyncio", "unittest")


class TaskWatch:
    """Pending tasks: of the test's own loop as it closes, of a wider loop when the test ends."""

    sets_back = False
    stirred = True

    def __init__(self, sockets: SocketWatch | None) -> None:
        self._sockets = sockets  # asked for what a loop serves as it closes
        self._given: weakref.WeakSet[Task] = weakref.WeakSet()
        self._loops: weakref.WeakSet[Loop] = weakref.WeakSet()
        self._cancelled: list[Offence] = []
        self._registers = _registers()

    def install(self) -> None:
        """Look on when a runner cancels what its loop still has to do."""
        original = self._original = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]

        def _cancel_all_tasks(loop: Loop) -> None:
            left = self._pending_on(loop) if self._has_tasks() else []
            serves = self._sockets is not None and self._sockets.is_served_by(loop)
            if (left or serves) and _closes_for_a_test():
                self._cancelled += self._described(left)
                if self._sockets is not None:
                    self._sockets.loop_closes(loop)
            original(loop)

        asyncio.runners._cancel_all_tasks = _cancel_all_tasks  # type: ignore[attr-defined]

    def uninstall(self) -> None:
        """Give the runners their function back."""
        asyncio.runners._cancel_all_tasks = self._original  # type: ignore[attr-defined]

    def begin(self, test: int) -> None:
        """Take what is pending as given."""
        if self._cancelled:
            self._cancelled = []
        if self._has_tasks() and (pending := _pending(self._all())):
            self._given.update(pending)

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Return a context in which new tasks belong to a wider fixture."""
        try:
            yield
        finally:
            self._given.update(self._all())

    def knows(self, loop: Loop) -> None:
        """Ask this loop for its tasks too, where Python has no list of all of them."""
        self._loops.add(loop)

    def runs(self, coroutine: Coroutine) -> bool:
        """Return whether a task waits to start this coroutine."""
        return any(task.get_coro() is coroutine for task in self._all())

    def suspects(self) -> bool:
        """Return whether a task of this test is pending."""
        return bool(self._cancelled) or (self._has_tasks() and bool(self._left()))

    def offences(self) -> Sequence[Offence]:
        """Return the tasks that were cancelled by the end of their loop, or are pending still."""
        cancelled, self._cancelled = self._cancelled, []
        left = [
            task
            for task in self._left()
            if not _is_library(task) and not held_by_wider_fixture(task)
        ]
        told = self._described(left)
        self._given.update(left)
        return [*cancelled, *told]

    def _left(self) -> list[Task]:
        """Pending tasks of loops that no other thread runs at this moment."""
        return [
            task
            for task in _pending(self._all())
            if task not in self._given and not task.get_loop().is_running()
        ]

    def _pending_on(self, loop: Loop) -> list[Task]:
        return [task for task in _pending(self._all()) if task.get_loop() is loop]

    def _described(self, tasks: Iterable[Task]) -> list[Offence]:
        return [
            _describe(task)
            for task in tasks
            if task not in self._given and not _is_housekeeping(task)
        ]

    def _has_tasks(self) -> bool:
        """Whether there may be any: nearly always there are none, which is quickly seen."""
        for tasks in self._registers:
            if tasks.data:
                return True
        return not self._registers

    def _all(self) -> list[Task]:
        found: list[Task] = []
        for tasks in self._registers:
            # its own iterator guards itself, which costs more than the few tasks there are
            found += [task for ref in tuple(tasks.data) if (task := ref()) is not None]
        if not self._registers:
            for loop in tuple(self._loops):
                found += asyncio.all_tasks(loop)
        return found


def _registers() -> list[Any]:
    """Python's own lists of all tasks: 3.11 has the first, 3.12 and 3.13 the second, 3.14 none."""
    names = ("_all_tasks", "_scheduled_tasks") if sys.version_info < (3, 14) else ()
    return [getattr(asyncio.tasks, name) for name in names if hasattr(asyncio.tasks, name)]


def _pending(tasks: Iterable[Task]) -> list[Task]:
    return [task for task in tasks if not task.done()]


def _closes_for_a_test() -> bool:
    """Whether a test framework, not the test, closes the runner that calls ``_cancel_all_tasks``.

    The frames are: this one, the replacement, ``Runner.close``, maybe ``Runner.__exit__``.
    """
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__") == "asyncio.runners":
        frame = frame.f_back
    return frame.f_globals.get("__name__") in _RUNNERS


def _code_file(task: Task) -> str:
    return getattr(getattr(task.get_coro(), "cr_code", None), "co_filename", "")


def _is_library(task: Task) -> bool:
    """Whether a package runs it for itself on a loop that many tests share."""
    return is_installed(_code_file(task))


def _is_housekeeping(task: Task) -> bool:
    file = _code_file(task).replace("\\", "/")
    return any(f"/{name}/" in file for name in _HOUSEKEEPERS)


def _describe(task: Task) -> Offence:
    coroutine = task.get_coro()
    name = getattr(coroutine, "__qualname__", repr(coroutine))
    return Offence(
        "task", name, f"task running {name!r}", of_origin(getattr(coroutine, "cr_origin", None))
    )
