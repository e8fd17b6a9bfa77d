"""PostgreSQL below the wire: one psycopg connection and its cursors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import psycopg
from psycopg import errors, pq
from psycopg.rows import TupleRow

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.database.commits import Ask, Commit, Watch, choose
from pytest_proxmox.database.statements import Kind, Statement
from pytest_proxmox.database.virtual import Virtual

__tracebackhide__ = True  # an error leads to the line of the test, not to ours

GUARD = "pp_guard"


class PostgresReal:
    """The one real connection of a PostgreSQL database."""

    eager = True

    def __init__(
        self,
        parameters: Mapping[str, Any],
        *,
        watch: Callable[[Ask, Clock], Watch] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.parameters = dict(parameters)
        self.clock = clock or SystemClock()
        self._choose = watch or choose
        self.connection: psycopg.Connection[TupleRow]
        self._watch: Watch
        self._answer: pq.abc.PGresult | None = None  # to the watch, when it came along
        self._began = 0.0
        self.connect()

    @property
    def dated(self) -> bool:
        """Whether a commit before a test can be told from one in it, later on."""
        return self._watch.dated

    def connect(self) -> None:
        """Open the connection, again after the database was made anew."""
        self.connection = psycopg.connect(
            **self.parameters, autocommit=True, prepare_threshold=None
        )
        self._watch = self._choose(self._send, self.clock)
        self.remember()

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

    def start(self, *statements: str) -> None:
        """Run the statements that begin a transaction, and look on the way."""
        sql = "; ".join([*statements, self._watch.look()])
        try:
            self._answer = self._send(sql)
        except errors.InvalidSqlStatementName:
            self.control("ROLLBACK")
            self._watch.prepare()
            self._answer = self._send(sql)

    def abandon(self, savepoint: str, *, whole: bool) -> None:
        """Roll back to ``savepoint``, which must exist, and the ``whole`` transaction if told."""
        if not whole:
            self.control(f"ROLLBACK TO {savepoint}", f"RELEASE {savepoint}")
            return
        try:
            self._answer = self._send(f"ROLLBACK TO {savepoint}; ROLLBACK; {self._watch.look()}")
        except errors.InvalidSqlStatementName:  # the rollback is done
            self._watch.prepare()

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def mark(self) -> None:
        """Note that a test begins now."""
        self._began = self.clock.now()

    def remember(self) -> None:
        """Take all commits so far for known."""
        self._answer = None
        self._watch.remember()

    def foreign(self) -> Commit:
        """Return whether somebody else has committed since this was asked last."""
        answer, self._answer = self._answer, None
        return self._watch.found(answer or self._look(), self._began)

    def _look(self) -> pq.abc.PGresult:
        try:
            return self._send(self._watch.look())
        except errors.InvalidSqlStatementName:
            self._watch.prepare()
            return self._send(self._watch.look())


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
    aborts = True

    def __init__(self, real: PostgresReal) -> None:
        self.real = real

    def aborted(self) -> Exception:
        """Return the driver's error for a statement in a failed transaction."""
        return errors.InFailedSqlTransaction(
            "current transaction is aborted, commands ignored until end of transaction block"
        )

    def no_savepoint(self, label: str) -> Exception:
        """Return the driver's error for a savepoint that is not there."""
        return errors.InvalidSavepointSpecification(f'savepoint "{label}" does not exist')

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
