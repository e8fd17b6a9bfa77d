"""The log: one JSON object a line, in a file that is turned over before it grows large."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from src_app.observability.redaction import redact, redacted

LEVELS = ("debug", "info", "warning", "error")
LARGEST_BYTES = 2 * 1024**2
KEPT_FILES = 3
KEPT_ENTRIES = 1000  # in memory, for a console without a workspace


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    at: str
    level: str
    message: str
    operation: str = ""
    trace_id: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, line: str) -> Entry | None:
        """Return the entry of a line, or None for one that a kill cut short."""
        try:
            told = json.loads(line)
            return cls(
                str(told.pop("at")),
                str(told.pop("level")),
                str(told.pop("message")),
                str(told.pop("operation", "")),
                str(told.pop("trace_id", "")),
                told,
            )
        except (ValueError, KeyError, AttributeError):
            return None

    def as_json(self) -> dict[str, Any]:
        """Return the entry for programs."""
        head = {"at": self.at, "level": self.level, "message": self.message}
        named = {"operation": self.operation, "trace_id": self.trace_id}
        return {**head, **{key: value for key, value in named.items() if value}, **self.facts}


@dataclass(frozen=True, slots=True)
class Query:
    """Which entries are wanted: the last ``count`` of those that meet all that is told."""

    count: int = 50
    level: str = "debug"
    operation: str = ""
    trace_id: str = ""
    search: str = ""
    since: timedelta | None = None

    def takes(self, entry: Entry, now: datetime) -> bool:
        """Whether an entry is wanted."""
        if entry.level in LEVELS and LEVELS.index(entry.level) < LEVELS.index(self.level):
            return False
        if self.since is not None and datetime.fromisoformat(entry.at) < now - self.since:
            return False
        line = json.dumps(entry.as_json(), ensure_ascii=False).lower()
        return (
            self.operation in entry.operation
            and self.trace_id in entry.trace_id
            and self.search.lower() in line
        )


class Journal:
    """A log of its own: nothing is shared with another one in the same process."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        secrets: Iterable[str] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._now = now
        self._secrets = tuple(secrets)
        self._entries: deque[Entry] = deque(maxlen=KEPT_ENTRIES)
        self._lock = threading.Lock()
        self.lost = 0  # lines that could not be written: the disk is full, or the folder is gone
        self.level = "info"
        self.path: Path | None = None
        if path is not None:
            self.open(path)

    def open(self, path: Path, secrets: Iterable[str] = ()) -> None:
        """Write into the file ``path`` from now on, and what was in memory till now.

        ``secrets`` are kept out of it.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._secrets = (*self._secrets, *secrets)
        self._append(list(self._entries))
        self._entries.clear()

    def close(self) -> None:
        """Leave the file; what comes later stays in memory."""
        self.path = None

    def write(
        self,
        level: str,
        message: str,
        *,
        operation: str = "",
        trace_id: str = "",
        **facts: Any,
    ) -> None:
        """Log one message, without the secrets in it."""
        if LEVELS.index(level) < LEVELS.index(self.level):
            return
        at = self._now().isoformat(timespec="milliseconds")
        clean = redacted(facts, self._secrets)
        entry = Entry(at, level, redact(message, self._secrets), operation, trace_id, clean)
        if self.path is None:
            self._entries.append(entry)
        else:
            self._append([entry])

    def _append(self, entries: Sequence[Entry]) -> None:
        """Add lines to the file; that it cannot be written must not end what is logged."""
        assert self.path is not None
        lines = [json.dumps(e.as_json(), ensure_ascii=False, default=str) for e in entries]
        with self._lock:
            try:
                self._turn_over(self.path)
                with self.path.open("a", encoding="utf-8", errors="replace") as file:
                    file.write("".join(f"{line}\n" for line in lines))
            except OSError:
                self.lost += len(lines)

    @staticmethod
    def _turn_over(path: Path) -> None:
        if not path.exists() or path.stat().st_size < LARGEST_BYTES:
            return
        for number in range(KEPT_FILES, 0, -1):
            older = path if number == 1 else Path(f"{path}.{number - 1}")
            if older.exists():
                older.replace(f"{path}.{number}")

    def entries(self, query: Query = Query()) -> list[Entry]:
        """Return the wanted entries, oldest first: of the file, or of memory without one."""
        now = self._now()
        found = [entry for entry in self._all() if query.takes(entry, now)]
        return found[-query.count :] if query.count else []

    def clear(self) -> None:
        """Remove all entries, those in files too."""
        self._entries.clear()
        if self.path is not None:
            for number in range(1, KEPT_FILES + 1):
                Path(f"{self.path}.{number}").unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)

    def _all(self) -> Iterable[Entry]:
        if self.path is None:
            return list(self._entries)
        lines: list[str] = []
        for path in (*(Path(f"{self.path}.{n}") for n in range(KEPT_FILES, 0, -1)), self.path):
            if path.exists():
                lines += path.read_text(encoding="utf-8", errors="replace").splitlines()
        return [entry for line in lines if (entry := Entry.parse(line)) is not None]
