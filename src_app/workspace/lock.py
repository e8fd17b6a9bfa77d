"""Who may change a workspace: one process at a time, and it is known which.

Two files: ``lock`` is held for as long as a command changes something, ``use`` is shared by all
that have the workspace open and held alone by whoever puts another database in its place.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src_app.clock import Clock, SystemClock
from src_app.workspace.errors import NoWorkspace, WorkspaceLocked

LOCK_WAIT_S = 5.0  # a save takes milliseconds; a sync or an apply is worth telling the user of
PAUSE_S = 0.05


@contextmanager
def folder_alone(path: Path) -> Iterator[None]:
    """Hold the lock of a folder for the block: of two that make a workspace there, one waits."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Lock:
    """The lock of one file. The system gives it back at any death of the process."""

    def __init__(
        self, path: Path, *, wait_s: float = LOCK_WAIT_S, clock: Clock | None = None
    ) -> None:
        self._path = path
        self._wait_s = wait_s
        self._clock = clock or SystemClock()
        self._handle: int | None = None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock for the block.

        Raises:
            WorkspaceLocked: another process still has it after the wait; names it.
            NoWorkspace: the workspace was deleted meanwhile.
        """
        self.take(fcntl.LOCK_EX)
        try:
            yield
        finally:
            self.release()

    def take(self, kind: int, *, wait_s: float | None = None) -> None:
        """Take the lock, alone (``LOCK_EX``) or with others (``LOCK_SH``); raises as ``alone``."""
        if self._handle is None:
            self._handle = self._open()
        try:
            self._wait(self._handle, kind, self._wait_s if wait_s is None else wait_s)
            if not self._path.exists() or os.fstat(self._handle).st_ino != self._path.stat().st_ino:
                raise self._gone()
        except BaseException:
            self.release()
            raise
        if kind == fcntl.LOCK_EX:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, f"process {os.getpid()}".encode(), 0)

    def try_alone(self) -> bool:
        """Whether nobody else has the lock, which is then ours alone; else it is shared."""
        try:
            self.take(fcntl.LOCK_EX, wait_s=0)
        except WorkspaceLocked:
            self.take(fcntl.LOCK_SH)
            return False
        return True

    def share(self) -> None:
        """Let others share what was held alone."""
        self.take(fcntl.LOCK_SH)

    def release(self) -> None:
        """Give the lock back; one that is not held is no error."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError as exc:
            raise self._gone() from exc

    def _wait(self, handle: int, kind: int, wait_s: float) -> None:
        end = self._clock.monotonic() + wait_s
        while True:
            try:
                return fcntl.flock(handle, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._clock.monotonic() >= end:
                    holder = os.pread(handle, 64, 0).decode(errors="replace")
                    raise WorkspaceLocked.by(holder, self._path.parent.parent) from None
                self._clock.sleep(PAUSE_S)

    def _gone(self) -> NoWorkspace:
        return NoWorkspace.at(self._path.parent.parent)
