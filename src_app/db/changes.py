"""Whether anything was committed since: by whichever process, to whichever table.

A mark is worth what its database makes of it, and both are exact. SQLite's ``data_version``
differs once another connection has committed; the connection that asks never writes. On
PostgreSQL a snapshot decides what can be seen, so equal snapshots see equal rows; commits in other
databases of the server change it too, which costs a look and no truth.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Hashable

from sqlalchemy import Engine, text

SNAPSHOT = text("SELECT pg_current_snapshot()::text")


class Changes:
    """Gives marks of the state of one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        path = engine.url.database
        self._path = path if path not in (None, "", ":memory:") else None

    @property
    def is_instant(self) -> bool:
        """Whether a mark takes microseconds: SQLite's lies in shared memory, never waited for."""
        return self._engine.dialect.name == "sqlite"

    def mark(self) -> Hashable | None:
        """Return a mark: while it is the same, every row is; None where nobody can tell.

        Take it before the rows are read that it shall stand for.
        """
        if self._engine.dialect.name != "sqlite":
            return self._snapshot()
        try:
            with self._lock:
                return self._data_version()
        except sqlite3.OperationalError:
            return None  # locked as a whole, by a vacuum for example

    def _snapshot(self) -> str:
        with self._engine.connect() as connection:
            calm = connection.execution_options(isolation_level="AUTOCOMMIT")
            return str(calm.scalar(SNAPSHOT))

    def _data_version(self) -> int | None:
        if self._path is None:
            return None
        if self._connection is None:
            self._connection = sqlite3.connect(
                self._path, timeout=0, isolation_level=None, check_same_thread=False
            )
        row = self._connection.execute("PRAGMA data_version").fetchone()
        return int(row[0])

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
