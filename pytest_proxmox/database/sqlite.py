"""SQLite below the wire: one connection, its cursors, and pages that can be put back."""

from __future__ import annotations

import os
import re
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from pytest_proxmox.database.commits import Commit
from pytest_proxmox.database.statements import Kind
from pytest_proxmox.database.virtual import Virtual
from pytest_proxmox.errors import IsolationError

__tracebackhide__ = True  # an error leads to the line of the test, not to ours

BUSY_S = 5.0  # the driver's own default
_FIXED_PRAGMA = re.compile(r"(pragma\s+(?:\w+\.)?(?:journal_mode|synchronous))\b.*", re.I | re.S)


def open_connection(path: Path | None) -> sqlite3.Connection:
    """Return a connection that begins nothing by itself and enforces foreign keys."""
    target = ":memory:" if path is None else os.fspath(path)
    connection = sqlite3.connect(
        target, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


class SqliteReal:
    """The one real connection of an SQLite database."""

    eager = False
    dated = False

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.connection = open_connection(path)
        self._functions: set[tuple[str, int]] = set()
        self._version = 0

    def create_function(self, name: str, arguments: int, function: Any, **kwargs: Any) -> None:
        """Define a function; one that is defined already may be in use, and then stays."""
        try:
            self.connection.create_function(name, arguments, function, **kwargs)
        except sqlite3.OperationalError:
            if (name, arguments) not in self._functions:
                raise
        self._functions.add((name, arguments))

    def control(self, *statements: str) -> None:
        """Run statements that steer the transaction."""
        for statement in statements:
            self.connection.execute(statement)

    start = control

    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.connection.in_transaction

    def abandon(self, savepoint: str, *, whole: bool) -> None:
        """Roll back to ``savepoint``, which must exist, and the ``whole`` transaction if told."""
        self.control(f"ROLLBACK TO {savepoint}", "ROLLBACK" if whole else f"RELEASE {savepoint}")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def mark(self) -> None:
        """Note that a test begins now: commits have no dates."""

    def remember(self) -> None:
        """Take all commits so far for known."""
        self._version = self._data_version()

    def foreign(self) -> Commit:
        """Return whether somebody else has committed since this was asked last."""
        before, self._version = self._version, self._data_version()
        return Commit.NONE if before == self._version else Commit.RECENT

    def _data_version(self) -> int:
        if self.path is None:
            return 0  # nobody else can reach it
        return int(self.connection.execute("PRAGMA data_version").fetchone()[0])


class SqliteCursor(sqlite3.Cursor):
    """A cursor of the real connection that asks its virtual connection first."""

    virtual: Virtual
    _rows: deque[Any] | None = None

    @property
    def connection(self) -> Any:
        """The virtual connection this cursor belongs to."""
        return self.virtual

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        """Run ``sql`` inside this session's savepoint."""
        return self._run(sql, super().execute, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Self:
        """Run ``sql`` once per set of parameters inside this session's savepoint."""
        return self._run(sql, super().executemany, parameters)

    async def _async_soft_close(self) -> None:
        """Do what SQLAlchemy's asynchronous cursors do when all rows are read: nothing."""

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return the next ``size`` rows."""
        rows = self._rows or deque()
        wanted = self.arraysize if size is None else size
        return [rows.popleft() for _ in range(min(wanted, len(rows)))]

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        rows, self._rows = self._rows, None
        return list(rows or ())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if not self._rows:
            raise StopIteration
        return self._rows.popleft()

    def executescript(self, sql_script: str, /) -> Self:
        """Run each statement of a script; the driver's own would commit first."""
        for statement in split_script(sql_script):
            self.execute(statement)
        return self

    def _run(self, sql: str, run: Any, parameters: Any) -> Self:
        virtual = self.virtual
        statement = virtual.settle(sql)
        with virtual.wire.lock:
            if not virtual.enter(statement):
                return self
            if statement.kind is Kind.PRAGMA:
                sql = _tame(sql)
            try:
                run(sql, parameters)
                # all rows now: another thread may roll back before they are asked for
                self._rows = deque(super().fetchall()) if self.description else None
            except BaseException as exc:
                _check_alive(virtual, exc)
                raise
        virtual.leave()
        return self


def _tame(sql: str) -> str:
    """Return a pragma without its value where it cannot change inside a transaction."""
    return _FIXED_PRAGMA.sub(r"\1", sql)


def _check_alive(virtual: Virtual, exc: BaseException) -> None:
    wire = virtual.wire
    if wire.stack and not wire.real.in_transaction():
        wire.stack.clear()
        raise IsolationError(
            f"SQLite rolled the whole transaction of {wire.test or 'the session'} back ({exc}), "
            "as ON CONFLICT ROLLBACK and RAISE(ROLLBACK) do: the test's own rows are gone too",
            hint="Mark the test @pytest.mark.db(transaction=False)",
        ) from exc


def split_script(script: str) -> Iterator[str]:
    """Yield the statements of ``script``, as SQLite itself tells where one is complete."""
    part = ""
    for piece in re.split(r"(?<=;)", script):
        part += piece
        if part.strip() and sqlite3.complete_statement(part):
            yield part
            part = ""
    if part.strip():
        yield part


class VirtualSqlite(Virtual):
    """A virtual connection that passes for ``sqlite3.Connection``."""

    @property  # type: ignore[misc]  # what isinstance() asks
    def __class__(self) -> type:
        return sqlite3.Connection

    @property
    def isolation_level(self) -> str | None:
        """What the driver calls it: None in autocommit mode."""
        return None if self.auto else ""

    @isolation_level.setter
    def isolation_level(self, level: str | None) -> None:
        self.auto = level is None
        if self.direct:
            self.own().isolation_level = level

    @property
    def in_transaction(self) -> bool:
        """Whether this session has written and not ended its transaction."""
        return bool(self.wire.entries(self))

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        """Run ``sql`` on a new cursor."""
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Any:
        """Run ``sql`` once per set of parameters on a new cursor."""
        return self.cursor().executemany(sql, parameters)

    def create_function(self, name: str, narg: int, func: Any, **kwargs: Any) -> None:
        """Define a function on the connection that all sessions share."""
        real = self.wire.real
        assert isinstance(real, SqliteReal)  # for the type checker: made by SqliteDriver
        (self.private or real).create_function(name, narg, func, **kwargs)

    def executescript(self, script: str) -> Any:
        """Run a script on a new cursor."""
        return self.cursor().executescript(script)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.commit() if kind is None else self.rollback()

    def __getattr__(self, name: str) -> Any:
        real = self.wire.real
        assert isinstance(real, SqliteReal)  # for the type checker: made by SqliteDriver
        return getattr(self.private or real.connection, name)


class SqliteDriver:
    """What SQLite adds to a virtual connection."""

    driver_class = VirtualSqlite
    aborts = False

    def __init__(self, real: SqliteReal) -> None:
        self.real = real

    def aborted(self) -> Exception:
        """Return the driver's error for a statement in a failed transaction."""
        return sqlite3.OperationalError("the transaction has failed")

    def no_savepoint(self, label: str) -> Exception:
        """Return the driver's error for a savepoint that is not there."""
        return sqlite3.OperationalError(f"no such savepoint: {label}")

    def own_connection(self) -> Any:
        """Return a connection of its own, as the driver's defaults make it but for the keys."""
        connection = sqlite3.connect(
            os.fspath(self.real.path or ":memory:"), timeout=BUSY_S, check_same_thread=False
        )
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def cursor(self, virtual: Virtual, *args: Any, **_: Any) -> SqliteCursor:
        """Return a cursor of the one real connection that asks ``virtual`` first."""
        cursor = SqliteCursor(self.real.connection)
        cursor.virtual = virtual
        return cursor
