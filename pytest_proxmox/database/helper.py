"""``DatabaseTestHelper``: clean-up in key order with patience, checks, and a full reset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, ForeignKey, MetaData, Table, inspect, text
from sqlalchemy.exc import DBAPIError
from tenacity import RetryError, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.database.ids import UniqueIds
from pytest_proxmox.database.state import DbState, differences, schema_differences
from pytest_proxmox.errors import CleanupFailed, StateChanged

BUSY_MS = 50  # one attempt waits this long in the database, the pauses between them grow
ATTEMPTS = 8  # pauses of 0.05 to 1 s: together about 4 s
_LOCKED = ("55P03", "40P01", "40001")  # lock_not_available, deadlock, serialization
_SQLITE_LOCKED = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED


def is_locked(error: BaseException) -> bool:
    """Whether ``error`` says that somebody else holds a lock: worth another try."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _SQLITE_LOCKED
    return getattr(error.orig, "sqlstate", None) in _LOCKED


class DatabaseTestHelper:
    """Removes rows, verifies state and schema; made for suites that share one database."""

    def __init__(
        self,
        engine: Engine,
        metadata: MetaData,
        *,
        state: DbState | None = None,
        ids: UniqueIds | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.engine = engine
        self.metadata = metadata
        self.ids = ids or UniqueIds()
        self._state = state
        self._clock = clock or SystemClock()
        self._connection: Connection | None = None

    # -- connection -------------------------------------------------------------------

    def ensure_connection(self) -> Connection:
        """Return an open connection that answers, the same until it is closed or lost."""
        connection = self._connection
        if connection is None or connection.closed or connection.invalidated:
            connection = self._connection = self.engine.connect()
        connection.execute(text("SELECT 1"))
        return connection

    def close_connection(self) -> None:
        """Close what ``ensure_connection`` opened."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    # -- clean-up ---------------------------------------------------------------------

    def cleanup_database(self, tables: Iterable[str | Table] | None = None) -> dict[str, int]:
        """Delete the rows of ``tables`` (all), children first; return how many went.

        A lock that somebody else holds is waited for: eight attempts with growing pauses.

        Raises:
            CleanupFailed: it was still held; names the table.
        """
        wanted = None if tables is None else {getattr(t, "name", t) for t in tables}
        chosen = [t for t in self.in_key_order() if wanted is None or t.name in wanted]
        unknown = (wanted or set()) - {t.name for t in chosen}
        if unknown:
            raise CleanupFailed(
                f"there is no table {', '.join(sorted(map(str, unknown)))} in the metadata",
                table=str(min(map(str, unknown))),
                hint=f"Name tables that it has: {', '.join(sorted(self.metadata.tables))}",
            )
        return {table.name: self._empty(table) for table in chosen}

    def in_key_order(self) -> list[Table]:
        """Return the tables, each before those it refers to; a circle is cut by ``_cyclic``."""
        left = {name: _parents(table) for name, table in self.metadata.tables.items()}
        ordered: list[Table] = []
        while left:
            wanted = {parent for parents in left.values() for parent in parents if parent in left}
            free = sorted(left.keys() - wanted) or [min(left)]
            for name in free:
                ordered.append(self.metadata.tables[name])
                del left[name]
        return ordered

    def _empty(self, table: Table) -> int:
        attempts = Retrying(
            retry=retry_if_exception(is_locked),
            wait=wait_exponential(multiplier=0.05, max=1.0),
            stop=stop_after_attempt(ATTEMPTS),
            sleep=self._clock.sleep,
        )
        try:
            return int(attempts(self._delete, table))
        except RetryError as exc:
            cause = exc.last_attempt.exception()
            raise CleanupFailed(
                f"the rows of table {table.name!r} could not be deleted in {ATTEMPTS} attempts: "
                f"another connection holds a lock ({getattr(cause, 'orig', cause)})",
                table=table.name,
                hint="End its transaction before the clean-up; a session that is never closed is "
                "the usual reason",
            ) from cause

    def _delete(self, table: Table) -> int:
        with self.engine.begin() as connection, _impatient(connection):
            for column in _cyclic(table):
                connection.execute(table.update().values({column.name: None}))
            return connection.execute(table.delete()).rowcount

    def reset_sequences(self) -> None:
        """Let the counters of ids start again after the largest id in use."""
        with self.engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                if inspect(connection).has_table("sqlite_sequence"):
                    connection.execute(text("DELETE FROM sqlite_sequence"))
                return
            for sequence in self._verified_state().sequences():
                connection.execute(
                    text("SELECT setval(CAST(:name AS regclass), :value, :called)"),
                    {
                        "name": sequence.name,
                        "value": max(sequence.used, 1),
                        "called": sequence.used > 0,
                    },
                )

    def full_reset(self) -> None:
        """Empty all tables, start the counters again, and verify the outcome."""
        self.cleanup_database()
        self.reset_sequences()
        self.verify_state(empty=True)

    # -- checks -----------------------------------------------------------------------

    def capture_state(self) -> Mapping[str, Any]:
        """Return rows and checksum of every table, for ``verify_state(since=…)``."""
        return self._verified_state().fingerprint()

    def verify_state(self, *, since: Mapping[str, Any] | None = None, empty: bool = False) -> None:
        """Return when there are no orphans, and nothing changed ``since``, or all is ``empty``.

        Raises:
            StateChanged: names the rows, the constraints and the tables.
        """
        state = self._verified_state()
        findings = [str(orphan) for orphan in state.orphans()]
        if since is not None:
            findings += differences(since, state.fingerprint())
        if empty:
            counts = state.counts()
            names = {table.name for table in self.metadata.tables.values()}
            findings += [
                f"table {n}: {counts[n]} rows left" for n in sorted(names) if counts.get(n)
            ]
        if findings:
            raise StateChanged(
                "the database is not what it should be",
                findings=findings,
                hint="Undo what the lines name where it is done, or call db_helper.full_reset() "
                "before the test",
            )

    def validate_schema(self) -> None:
        """Return when the schema is the metadata's.

        Raises:
            StateChanged: names each table or column that is missing, extra or changed.
        """
        with self.engine.connect() as connection:
            findings = list(schema_differences(connection, self.metadata))
        if findings:
            raise StateChanged(
                "the schema differs from the metadata",
                findings=findings,
                hint="Run the migrations that are missing, or write one for what the models have",
            )

    def table_exists(self, name: str) -> bool:
        """Whether the database has a table ``name``."""
        with self.engine.connect() as connection:
            return inspect(connection).has_table(name)

    def _verified_state(self) -> DbState:
        if self._state is None:
            raise StateChanged(
                "this helper was made without a DbState",
                findings=(),
                hint="Take it from the fixture db_helper, or make it with state=db_state",
            )
        return self._state


def _parents(table: Table) -> set[str]:
    parents = {key.column.table for key in table.foreign_keys}
    return {parent.key for parent in parents if parent is not table}


def _cyclic(table: Table) -> Iterator[Any]:
    """Yield the nullable columns whose foreign keys must go first: they close a circle."""
    for column in table.columns:
        keys: set[ForeignKey] = column.foreign_keys
        if column.nullable and any(_leads_back(key.column.table, table) for key in keys):
            yield column


def _leads_back(start: Table, goal: Table) -> bool:
    seen: set[Table] = set()
    queue = [start]
    while queue:
        table = queue.pop()
        if table is goal:
            return True
        if table not in seen:
            seen.add(table)
            queue += [key.column.table for key in table.foreign_keys]
    return False


@contextmanager
def _impatient(connection: Connection) -> Iterator[None]:
    """Let the database itself wait only shortly for a lock: the pauses are ours."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{BUSY_MS}ms'"))
        yield
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        return
    before = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_MS}")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(before or 0)}")
