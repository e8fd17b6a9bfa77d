"""The log: one JSON object a line, in a file that is turned over before it grows large."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from logging.handlers import RotatingFileHandler
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


class _Lines(RotatingFileHandler):
    """The log's file; that it cannot be written must not end what is logged."""

    lost = 0

    def handleError(self, record: logging.LogRecord) -> None:
        """Count a line that could not be written."""
        self.lost += 1


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
        self._handler: _Lines | None = None
        self.level = "info"
        self.path: Path | None = None
        if path is not None:
            self.open(path)

    def open(self, path: Path, secrets: Iterable[str] = ()) -> None:
        """Write into the file ``path`` from now on, and what was in memory till now.

        ``secrets`` are kept out of it.
        """
        self.close()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._secrets = (*self._secrets, *secrets)
        self._handler = _Lines(
            path, maxBytes=LARGEST_BYTES, backupCount=KEPT_FILES, encoding="utf-8", delay=True
        )
        for entry in self._entries:
            self._append(entry)
        self._entries.clear()

    @property
    def lost(self) -> int:
        """How many lines could not be written: the disk is full, or the folder is gone."""
        return self._handler.lost if self._handler is not None else 0

    def close(self) -> None:
        """Close the file; what comes later stays in memory."""
        if self._handler is not None:
            self._handler.close()
        self._handler, self.path = None, None

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
        if self._handler is None:
            self._entries.append(entry)
        else:
            self._append(entry)

    def _append(self, entry: Entry) -> None:
        assert self._handler is not None
        line = json.dumps(entry.as_json(), ensure_ascii=False, default=str)
        self._handler.emit(logging.makeLogRecord({"msg": line, "args": None}))

    def entries(self, query: Query = Query()) -> list[Entry]:
        """Return the wanted entries, oldest first: of the file, or of memory without one."""
        now = self._now()
        found = [entry for entry in self._all() if query.takes(entry, now)]
        return found[-query.count :] if query.count else []

    def clear(self) -> None:
        """Remove all entries, those in files too."""
        self._entries.clear()
        if self.path is not None:
            path = self.path
            self.close()
            for old in (path, *(Path(f"{path}.{n}") for n in range(1, KEPT_FILES + 1))):
                old.unlink(missing_ok=True)
            self.open(path)

    def _all(self) -> Iterable[Entry]:
        if self.path is None:
            return list(self._entries)
        lines: list[str] = []
        for path in (*(Path(f"{self.path}.{n}") for n in range(KEPT_FILES, 0, -1)), self.path):
            if path.exists():
                lines += path.read_text(encoding="utf-8", errors="replace").splitlines()
        return [entry for line in lines if (entry := Entry.parse(line)) is not None]
