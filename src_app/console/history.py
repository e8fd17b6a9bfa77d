"""Commands that were typed, and the session they belong to: on the disk before they run."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

KEPT = 1000  # entries
SLACK = 200  # entries more before the file is written anew


@dataclass(frozen=True, slots=True)
class Entry:
    """One command as it was typed; no exit code means that the console died during it."""

    command: str
    at: str
    exit_code: int | None = None
    duration_s: float | None = None


class History:
    """The last commands, oldest first; each is in the file before it runs.

    The file has a line for each beginning and each end, so that nothing is ever rewritten while
    a command runs. Lines that cannot be read (cut short by a crash) are passed over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.entries: list[Entry] = list(_read(path))
        if len(self.entries) > KEPT + SLACK:
            self.entries = self.entries[-KEPT:]
            self._rewrite()

    @property
    def commands(self) -> list[str]:
        """The commands, oldest first, those that were repeated at once only once."""
        found: list[str] = []
        for entry in self.entries[-KEPT:]:
            if not found or found[-1] != entry.command:
                found.append(entry.command)
        return found

    def search(self, text: str) -> list[Entry]:
        """Return the entries that have all words of ``text``, newest first."""
        words = text.lower().split()
        found = (e for e in reversed(self.entries) if all(w in e.command.lower() for w in words))
        return list(found)

    def begin(self, command: str) -> Entry:
        """Return the entry of a command that is about to run; it is on the disk."""
        entry = Entry(command, datetime.now(UTC).isoformat(timespec="seconds"))
        self.entries.append(entry)
        self._append({"begin": entry.command, "at": entry.at})
        return entry

    def end(self, exit_code: int, duration_s: float) -> None:
        """Write down how the last command ended."""
        last = self.entries[-1]
        self.entries[-1] = Entry(last.command, last.at, exit_code, round(duration_s, 3))
        if self._path.parent.exists():  # the command may have deleted the workspace
            self._append({"end": exit_code, "duration_s": round(duration_s, 3)})

    def _append(self, line: Mapping[str, Any]) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _rewrite(self) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        path, self._path = self._path, fresh
        for entry in self.entries:
            self._append({"begin": entry.command, "at": entry.at})
            if entry.exit_code is not None:
                self._append({"end": entry.exit_code, "duration_s": entry.duration_s})
        fresh.replace(path)
        self._path = path


def _read(path: Path) -> Iterator[Entry]:
    last: Entry | None = None
    for line in _lines(path):
        if isinstance(line.get("begin"), str):
            if last is not None:
                yield last
            last = Entry(line["begin"], str(line.get("at", "")))
        elif isinstance(line.get("end"), int) and last is not None:
            yield Entry(last.command, last.at, line["end"], line.get("duration_s"))
            last = None
    if last is not None:
        yield last


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue  # cut short by a crash
        if isinstance(line, dict):
            yield line


class SessionFile:
    """Which session is open: found at the next start where it was not closed.

    An open session holds the file's lock, which the system gives back at any death.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def crashed(self) -> str | None:
        """Return when a session began that was never closed, None where there is none such."""
        if not self._path.exists():
            return None
        with self._path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return None  # another console has it open
        return str(next(_lines(self._path), {}).get("started", ""))

    def open(self) -> None:
        """Write down that a session is open; a second one beside it is not written down."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return
        self._handle = handle
        started = datetime.now(UTC).isoformat(timespec="seconds")
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"started": started}).encode() + b"\n", 0)

    def close(self) -> None:
        """Write down that it was closed; one that was not open is no error."""
        if self._handle is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None
