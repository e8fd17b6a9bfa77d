"""PostgreSQL below the wire: one psycopg connection and its cursors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import psycopg
from psycopg import errors, pq
from psycopg.rows import TupleRow

from pytest_proxmox.database.statements import Kind, Statement
from pytest_proxmox.database.virtual import Virtual

GUARD = "pp_guard"
# Nobody committed since X when no transaction id from X on is committed; ids below the
# oldest that the server remembers are an error, so the range is read once a test only.
_COUNTERS = (
    "SELECT pg_snapshot_xmax(s)::text, EXISTS (SELECT 1 FROM generate_series("
    "greatest({before}, pg_snapshot_xmax(s)::text::bigint - 5000), "
    "pg_snapshot_xmax(s)::text::bigint - 1) AS x "
    "WHERE pg_xact_status(x::text::xid8) = 'committed') "
    "OR pg_snapshot_xmax(s)::text::bigint - {before} > 5000 "
    "FROM (SELECT pg_current_snapshot() AS s) AS now"
)


class PostgresReal:
    """The one real connection of a PostgreSQL database."""

    eager = True

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self.parameters = dict(parameters)
        self.connection: psycopg.Connection[TupleRow]
        self._seen: tuple[int, bool] | None = None
        self._since = 0
        self.connect()

    def connect(self) -> None:
        """Open the connection, again after the database was made anew."""
        self.connection = psycopg.connect(
            **self.parameters, autocommit=True, prepare_threshold=None
        )
        self.counters()

    def control(self, *statements: str) -> None:
        """Run statements that steer the transaction, in one round trip."""
        self._send("; ".join(statements))

    def _send(self, sql: str) -> pq.abc.PGresult:
        with self.connection.lock:
            result = self.connection.pgconn.exec_(sql.encode())
        if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
            raise errors.error_from_result(result)
        return result

    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.connection.pgconn.transaction_status != pq.TransactionStatus.IDLE

    def abandon(self, savepoint: str, *, whole: bool) -> None:
        """Roll back to ``savepoint``, which must exist, and the ``whole`` transaction if told."""
        if not whole:
            self.control(f"ROLLBACK TO {savepoint}", f"RELEASE {savepoint}")
            return
        # Three in one: as one string they would be one transaction, and SELECT part of it.
        query = _COUNTERS.format(before=self._since)
        result = self._send(f"ROLLBACK TO {savepoint}; ROLLBACK; {query}")
        self._seen = (int(_text(result, 0)), _text(result, 1) == "t")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def counters(self) -> tuple[int, ...]:
        """Return the next transaction id: it moves with every writer of the server."""
        result = self._send("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
        self._since = int(_text(result, 0))
        return (self._since,)

    def suspicious(self, before: tuple[int, ...]) -> bool:
        """Whether somebody else may have committed since ``before``."""
        if self._seen is None:
            result = self._send(_COUNTERS.format(before=self._since))
            self._seen = (int(_text(result, 0)), _text(result, 1) == "t")
        (self._since, moved), self._seen = self._seen, None
        return moved


def _text(result: pq.abc.PGresult, column: int) -> str:
    return (result.get_value(0, column) or b"").decode()


class _Asking:
    """What the cursors of both kinds have in common: ask the virtual connection first."""

    virtual: Virtual

    @property
    def connection(self) -> Any:
        """The virtual connection this cursor belongs to."""
        return self.virtual

    async def _async_soft_close(self) -> None:
        """Do what SQLAlchemy's asynchronous cursors do when all rows are read: nothing."""

    def _ask(self, query: Any, run: Any) -> None:
        virtual = self.virtual
        sql = query if isinstance(query, str) else _render(query, virtual)
        statement = virtual.settle(sql)
        with virtual.wire.lock:
            if virtual.enter(statement):
                _guarded(virtual, run)
        virtual.leave()


def _render(query: Any, virtual: Virtual) -> str:
    if isinstance(query, bytes):
        return query.decode()
    as_string = getattr(query, "as_string", None)
    real = virtual.wire.real
    assert isinstance(real, PostgresReal)  # for the type checker: made by PostgresDriver
    return str(as_string(real.connection) if as_string else query)


def _guarded(virtual: Virtual, run: Any) -> None:
    """Run a statement so that its failure undoes nobody else's work."""
    wire = virtual.wire
    exposed = wire.exposed(virtual)
    if exposed:
        wire.real.control(f"SAVEPOINT {GUARD}")
    back = GUARD if exposed else wire.stack[-1].name
    try:
        run()
    except BaseException:
        if not wire.real.in_transaction():
            raise
        virtual.failed = not virtual.auto or virtual.explicit
        wire.real.control(f"ROLLBACK TO {back}", *([f"RELEASE {GUARD}"] if exposed else []))
        if not virtual.failed:
            wire.release(wire.entries(virtual))
        raise
    if exposed:
        wire.real.control(f"RELEASE {GUARD}")


class PostgresCursor(_Asking, psycopg.Cursor[TupleRow]):
    """A cursor of the real connection that asks its virtual connection first."""

    def execute(self, query: Any, params: Any = None, **kwargs: Any) -> Self:
        """Run ``query`` inside this session's savepoint."""
        run = super().execute
        self._ask(query, lambda: run(query, params, **kwargs))
        return self

    def executemany(
        self, query: Any, params_seq: Iterable[Any], *, returning: bool = False
    ) -> None:
        """Run ``query`` once per set of parameters inside this session's savepoint."""
        run = super().executemany
        self._ask(query, lambda: run(query, params_seq, returning=returning))

    @contextmanager
    def copy(self, statement: Any, params: Any = None, **kwargs: Any) -> Iterator[Any]:
        """Copy rows inside this session's savepoint."""
        virtual = self.virtual
        virtual.settle("COPY")
        with virtual.wire.lock:
            virtual.enter(Statement(Kind.WRITE))
            with super().copy(statement, params, **kwargs) as copy:
                yield copy
        virtual.leave()


class PostgresServerCursor(_Asking, psycopg.ServerCursor[TupleRow]):
    """A named cursor on the server, inside this session's savepoint."""

    def execute(self, query: Any, params: Any = None, **kwargs: Any) -> Self:
        """Declare the cursor inside this session's savepoint."""
        run = super().execute
        self._ask(query, lambda: run(query, params, **kwargs))
        return self


class VirtualPostgres(Virtual):
    """A virtual connection that passes for ``psycopg.Connection``."""

    level: Any = None
    read_only: bool | None = None
    deferrable: bool | None = None

    @property  # type: ignore[misc]  # what isinstance() asks
    def __class__(self) -> type:
        return psycopg.Connection

    @property
    def autocommit(self) -> bool:
        """Whether each statement is its own transaction."""
        return self.auto

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self.auto = bool(value)
        if self.direct:
            self.own().autocommit = self.auto

    @property
    def isolation_level(self) -> Any:
        """The level the session asked for; all sessions of a test share one transaction."""
        return self.level

    @isolation_level.setter
    def isolation_level(self, level: Any) -> None:
        self.level = level
        if self.direct:
            self.own().isolation_level = level

    def execute(self, query: Any, params: Any = None, **kwargs: Any) -> Any:
        """Run ``query`` on a new cursor."""
        return self.cursor().execute(query, params, **kwargs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.commit() if kind is None else self.rollback()

    def __getattr__(self, name: str) -> Any:
        real = self.wire.real
        assert isinstance(real, PostgresReal)  # for the type checker: made by PostgresDriver
        return getattr(self.private or real.connection, name)


class PostgresDriver:
    """What PostgreSQL adds to a virtual connection."""

    driver_class = VirtualPostgres

    def __init__(self, real: PostgresReal) -> None:
        self.real = real

    def aborted(self) -> Exception:
        """Return the driver's error for a statement in a failed transaction."""
        return errors.InFailedSqlTransaction(
            "current transaction is aborted, commands ignored until end of transaction block"
        )

    def own_connection(self) -> Any:
        """Return a connection of its own, as the driver's defaults make it."""
        return psycopg.connect(**self.real.parameters)

    def cursor(self, virtual: Virtual, *args: Any, **kwargs: Any) -> Any:
        """Return a cursor of the one real connection that asks ``virtual`` first."""
        cursor: PostgresCursor | PostgresServerCursor
        if args or "name" in kwargs:
            cursor = PostgresServerCursor(self.real.connection, *args, **kwargs)
        else:
            cursor = PostgresCursor(self.real.connection, **kwargs)
        cursor.virtual = virtual
        return cursor
