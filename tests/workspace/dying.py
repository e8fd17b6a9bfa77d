"""A disk whose process dies just before, or in the middle of, a chosen operation."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from src_app.workspace.files import Files

NEVER = -1


class Died(BaseException):
    """The process is dead: nothing that catches errors catches this."""


def raise_died() -> None:
    """Die, as far as one process can for its own test."""
    raise Died


def kill_process() -> None:
    """Die for good."""
    os.kill(os.getpid(), signal.SIGKILL)


class DyingFiles(Files):
    """Counts moments; dies at the chosen one. Once dead, it does nothing any more."""

    def __init__(self, last: int = NEVER, die: Callable[[], None] = raise_died) -> None:
        self._last = last
        self._die = die
        self.seen = 0
        self.names: list[str] = []
        self.is_dead = False

    def _moment(self, name: str, path: Path) -> None:
        if self.is_dead:
            raise Died
        self.seen += 1
        self.names.append(f"{name} {path.name}")
        if self.seen - 1 == self._last:
            self.is_dead = True
            self._die()

    def sync(self, handle: int) -> None:
        """Do nothing: a process that dies loses nothing that the kernel was told."""

    def make_folder(self, path: Path) -> None:
        self._moment("make", path)
        super().make_folder(path)

    def write(self, path: Path, data: bytes, *, private: bool = False) -> None:
        self._moment("write", path)
        super().write(path, data[: len(data) // 2], private=private)
        self._moment("write the second half of", path)
        super().write(path, data, private=private)

    def replace(self, source: Path, target: Path) -> None:
        self._moment("replace", target)
        super().replace(source, target)

    def remove(self, path: Path) -> None:
        self._moment("remove", path)
        super().remove(path)

    def remove_folder(self, path: Path) -> None:
        self._moment("remove", path)
        super().remove_folder(path)

    def copy_database(self, source: Path, target: Path) -> None:
        self._moment("copy", target)
        super().copy_database(source, target)
        whole = target.read_bytes()
        target.write_bytes(whole[: len(whole) // 2])
        self._moment("copy the second half of", target)
        target.write_bytes(whole)

    def migrate_database(self, path: Path, revision: str) -> None:
        self._moment("migrate", path)
        super().migrate_database(path, revision)
