"""One connection to the database of a history: SQLite by the standard library, or PostgreSQL.

The drivers are used directly: a run of two thousand tests may spend 3 % on its history, and
importing an object-relational mapper alone takes longer (see the decision record on history).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from pytest_proxmox.errors import HistoryUnusable, InvalidValue, MissingExtra
from pytest_proxmox.flaky import schema

T = TypeVar("T")

BUSY_S = 5.0  # how long a writer waits for another one, where nobody said otherwise
_MOST_VALUES = 999  # what every SQLite takes in one statement
_MIGRATION_LOCK = 0x70766568  # any number, the same in every process


@dataclass(frozen=True, slots=True, repr=False)
class Place:
    """Where a history lies: a file of SQLite's, or the URL of a PostgreSQL."""

    path: Path | None = None
    url: str = ""

    @classmethod
    def parse(cls, text: str, *, origin: str) -> Place:
        """Return the place that a URL or a path names.

        Raises:
            InvalidValue: the URL is of another database.
        """
        scheme = text.partition("://")[0] if "://" in text else ""
        if scheme == "sqlite":
            return cls(Path(unquote(text.removeprefix("sqlite:///"))))
        if scheme.partition("+")[0] in ("postgresql", "postgres"):
            return cls(url="postgresql" + text[len(scheme) :])
        if scheme:
            raise InvalidValue(
                f'"{scheme}" is no database that can hold the history',
                origin=origin,
                hint="Give sqlite:///FILE, a path, or postgresql://USER@HOST/DATABASE",
            )
        return cls(Path(text))

    def __str__(self) -> str:
        if self.path is not None:
            return str(self.path)
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        user = parts.username
        return urlunsplit(parts._replace(netloc=f"{user}@{host}" if user else host, query=""))

    def __repr__(self) -> str:
        return str(self)  # the URL may hold a password

    @property
    def exists(self) -> bool:
        """Whether something may be stored there."""
        return self.path is None or self.path.is_file()


class Connection:
    """A connection whose SQL is spelled once: ``?`` for a value, on either database."""

    def __init__(self, raw: Any, *, is_sqlite: bool) -> None:
        self.raw = raw
        self.is_sqlite = is_sqlite

    def execute(self, sql: str, values: Sequence[object] = ()) -> Any:
        """Run one statement and return its cursor."""
        return self.raw.execute(self._spelled(sql), values)

    def insert(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run an INSERT, written with the placeholders of one row, for all ``rows``.

        SQLite gets many rows in a statement: with one row in each, the thread would give the
        interpreter back and ask for it again row by row, and the tests would feel it.
        """
        if not self.is_sqlite:
            with self.raw.cursor() as cursor:
                cursor.executemany(self._spelled(sql), list(rows))
            return
        head, placeholders, tail = _parts(sql)
        at_once = _MOST_VALUES // placeholders.count("?")
        for chunk in _chunks(rows, at_once):
            values = ", ".join([placeholders] * len(chunk))
            self.raw.execute(f"{head}{values}{tail}", [*chain.from_iterable(chunk)])

    def select_in(
        self, columns: Sequence[str], sql: str, value: object, among: Iterable[str]
    ) -> Iterator[Sequence[Any]]:
        """Yield ``columns`` of ``sql`` (one ``?``: ``value``) whose first column is ``among``."""
        listed = ", ".join(columns)
        if not self.is_sqlite:
            yield from self.execute(
                f"SELECT {listed} {sql} AND {columns[0]} = ANY(?)", (value, list(among))
            ).fetchall()
            return
        for chunk in _chunks(among, _MOST_VALUES - 1):
            marks = ", ".join("?" * len(chunk))
            # One row with all of them, for the reason given in ``insert``.
            (found,) = self.raw.execute(
                f"SELECT json_group_array(json_array({listed})) {sql} "
                f"AND {columns[0]} IN ({marks})",
                (value, *chunk),
            ).fetchone()
            yield from json.loads(found)

    def stream(self, sql: str, values: Sequence[object] = ()) -> Iterator[Any]:
        """Yield the rows one by one, without holding them all in memory."""
        if self.is_sqlite:
            yield from self.raw.execute(sql, values)
            return
        with self.raw.cursor(name="history") as cursor:
            cursor.itersize = 20_000
            cursor.execute(self._spelled(sql), values)
            yield from cursor

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what happens inside, or nothing of it."""
        if not self.is_sqlite:
            with self.raw.transaction():
                yield
            return
        self.raw.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.raw.execute("ROLLBACK")
            raise
        self.raw.execute("COMMIT")

    def close(self) -> None:
        """Let go of the database."""
        self.raw.close()

    def migrate(self) -> None:
        """Bring the tables to this version; safe while others do the same.

        Raises:
            HistoryUnusable: a newer version of the plugin made it.
        """
        if self._version() == schema.VERSION:
            return
        with self.transaction():
            if not self.is_sqlite:
                self.execute("SELECT pg_advisory_xact_lock(?)", (_MIGRATION_LOCK,))
            self.execute(schema.VERSION_TABLE)
            version = self._stored_version()
            if version > schema.VERSION:
                raise HistoryUnusable.newer(version, schema.VERSION)
            for step in schema.STEPS[version:]:
                for statement in step:
                    self.execute(self._typed(statement))
            self.execute("DELETE FROM history_version")
            self.execute("INSERT INTO history_version (version) VALUES (?)", (schema.VERSION,))

    def _version(self) -> int:
        if self.is_sqlite:
            known = "SELECT 1 FROM sqlite_master WHERE name = 'history_version'"
            exists = self.execute(known).fetchone() is not None
        else:
            exists = self.execute("SELECT to_regclass('history_version')").fetchone()[0] is not None
        return self._stored_version() if exists else 0

    def _stored_version(self) -> int:
        row = self.execute("SELECT version FROM history_version").fetchone()
        return 0 if row is None else int(row[0])

    def _spelled(self, sql: str) -> str:
        return sql if self.is_sqlite else sql.replace("?", "%s")

    def _typed(self, statement: str) -> str:
        if self.is_sqlite:
            return statement.format(serial="INTEGER PRIMARY KEY", real="REAL")
        serial = "INTEGER GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"
        return statement.format(serial=serial, real="DOUBLE PRECISION")


def _parts(insert: str) -> tuple[str, str, str]:
    """Return what is before the placeholders of an INSERT's row, these, and what is after."""
    start = insert.index("VALUES (") + len("VALUES ")
    end = insert.index(")", start) + 1
    return insert[:start], insert[start:end], insert[end:]


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def connect(place: Place, *, busy_s: float = BUSY_S) -> Connection:
    """Return a connection to a history whose tables are of this version.

    Raises:
        HistoryUnusable: nothing there can be opened as a history.
        MissingExtra: it is on PostgreSQL, whose driver is not installed.
    """
    made = _sqlite(place.path, busy_s) if place.path is not None else _postgresql(place)
    try:
        with readable(place):
            made.migrate()
    except BaseException:
        made.close()
        raise
    return made


@contextmanager
def readable(place: Place) -> Iterator[None]:
    """Turn the drivers' errors into one that names the place.

    Raises:
        HistoryUnusable: the database refused, is locked, broken or gone.
    """
    import sqlite3
    import sys

    psycopg = sys.modules.get("psycopg")
    kinds: tuple[type[Exception], ...] = (sqlite3.Error, OSError)
    if psycopg is not None:
        kinds = (*kinds, psycopg.Error)
    try:
        yield
    except kinds as exc:
        raise HistoryUnusable.at(str(place), str(exc).strip() or type(exc).__name__) from exc


def _sqlite(path: Path, busy_s: float) -> Connection:
    import sqlite3

    place = Place(path)
    with readable(place):
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = sqlite3.connect(path, timeout=busy_s, isolation_level=None)
    made = Connection(raw, is_sqlite=True)
    try:
        with readable(place):
            if made.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                made.execute("PRAGMA journal_mode = WAL")  # readers and a writer at once
            made.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        made.close()
        raise
    return made


def _postgresql(place: Place) -> Connection:
    try:
        import psycopg
    except ImportError as exc:
        raise MissingExtra.for_feature("a history on PostgreSQL", extra="db") from exc
    with readable(place):
        raw = psycopg.connect(place.url, autocommit=True, connect_timeout=10)
    return Connection(raw, is_sqlite=False)
