"""The quarantine: tests that run and are reported, and do not fail the run until a day."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from pytest_proxmox.errors import InvalidValue

MARK = "quarantine(reason, owner, issue, expires)"
_FIELDS = ("reason", "owner", "issue", "expires")


class Entry(NamedTuple):
    """One entry: which tests (a node id or a pattern), why, whose, and until when."""

    test: str
    reason: str
    owner: str
    issue: str
    expires: datetime.date
    origin: str

    def matches(self, nodeid: str) -> bool:
        """Whether the entry is about this test: its id, all its parameters, or the pattern."""
        if self.test in (nodeid, nodeid.partition("[")[0]):
            return True
        return any(c in self.test for c in "*?") and fnmatchcase(nodeid, self.test)

    def is_expired(self, today: datetime.date) -> bool:
        """Whether the last day of the entry is over."""
        return today > self.expires

    def __str__(self) -> str:
        return f"{self.reason} ({self.issue}, {self.owner}, until {self.expires})"


class Quarantine:
    """The entries of a file."""

    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        self.entries = tuple(entries)
        self._exact = {entry.test: entry for entry in entries}
        self._patterns = [entry for entry in entries if any(c in entry.test for c in "*?")]

    @classmethod
    def read(cls, path: Path) -> Quarantine:
        """Return the entries of a TOML file: a table ``[[test]]`` each.

        Raises:
            InvalidValue: it is no TOML, or an entry lacks a field.
        """
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise InvalidValue(
                f"the quarantine cannot be read: {exc}",
                origin=str(path),
                hint="Write it as TOML, with a table [[test]] for each entry",
            ) from exc
        rows = table.get("test", [])
        if set(table) - {"test"} or not isinstance(rows, list):
            raise InvalidValue(
                "the quarantine has keys other than [[test]]",
                origin=str(path),
                hint="Write a table [[test]] for each entry",
            )
        return cls([_entry(row, f"{path.name}, entry {n}") for n, row in enumerate(rows, 1)])

    def find(self, nodeid: str) -> Entry | None:
        """Return the entry about a test, None when it is in none."""
        found = self._exact.get(nodeid) or self._exact.get(nodeid.partition("[")[0])
        if found is None:
            found = next((entry for entry in self._patterns if entry.matches(nodeid)), None)
        return found

    def unmatched(self, nodeids: Iterable[str]) -> list[Entry]:
        """Return the entries that are about none of these tests."""
        used = {self.find(nodeid) for nodeid in nodeids}
        return [entry for entry in self.entries if entry not in used]


def of_mark(nodeid: str, args: Sequence[object], kwargs: Mapping[str, object]) -> Entry:
    """Return the entry that a ``quarantine`` mark makes.

    Raises:
        InvalidValue: the mark lacks an argument, or has one it should not have.
    """
    if args:
        raise InvalidValue(
            "the mark quarantine takes its arguments by name", origin=nodeid, hint=f"Write {MARK}"
        )
    return _entry({"id": nodeid, **kwargs}, nodeid)


def _entry(row: Any, origin: str) -> Entry:
    if not isinstance(row, Mapping):
        raise InvalidValue(
            "an entry of the quarantine is no table",
            origin=origin,
            hint="Begin it with the line [[test]]",
        )
    missing = [name for name in ("id", *_FIELDS) if not row.get(name)]
    unknown = sorted(set(row) - {"id", *_FIELDS})
    if missing or unknown:
        said = f"lacks {', '.join(missing)}" if missing else f"has an unknown {', '.join(unknown)}"
        raise InvalidValue(
            f"an entry of the quarantine {said}",
            origin=origin,
            hint="Say id, reason, owner, issue and expires (a date): nobody else will remember",
        )
    return Entry(
        test=str(row["id"]),
        reason=str(row["reason"]),
        owner=str(row["owner"]),
        issue=str(row["issue"]),
        expires=_date(row["expires"], origin),
        origin=origin,
    )


def _date(value: object, origin: str) -> datetime.date:
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    try:
        return datetime.date.fromisoformat(str(value))
    except ValueError as exc:
        raise InvalidValue(
            f'an entry of the quarantine expires on "{value}", which is no date',
            origin=origin,
            hint="Write it like 2027-01-31",
        ) from exc
