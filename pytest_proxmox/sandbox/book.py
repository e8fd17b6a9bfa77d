"""The book: one SQLite file that many processes write, each write on disk when it returns."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

from pytest_proxmox.errors import LedgerUnusable
from pytest_proxmox.sandbox.rows import SCHEMA, VERSION

BUSY_S = 30.0  # another process's write takes milliseconds; a machine that swaps needs longer


class Book:
    """A file with the ledger's tables. One object may be used by several threads.

    ``durable=False`` skips the fsync.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _open(path, durable=durable)
        except (sqlite3.Error, OSError) as exc:
            raise _unusable(path, exc) from exc

    def close(self) -> None:
        """Close the file; the rows stay."""
        with self._lock:
            self._db.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the file's write lock from its first statement on.

        Raises:
            LedgerUnusable: the file cannot be written.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as exc:
                raise _unusable(self.path, exc) from exc

    def read(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Return the rows of a query.

        Raises:
            LedgerUnusable: the file cannot be read.
        """
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.Error as exc:
                raise _unusable(self.path, exc) from exc


def _open(path: Path, *, durable: bool) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        db.row_factory = sqlite3.Row
        _prepare(db)
        db.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
    except BaseException:
        db.close()
        raise
    return db


def _is_busy(error: BaseException) -> bool:
    """Whether another process has the file: the low byte of SQLite's extended code says so."""
    code = error.sqlite_errorcode if isinstance(error, sqlite3.OperationalError) else 0
    return code & 0xFF == sqlite3.SQLITE_BUSY


# SQLite's own wait does not cover the switch to WAL, nor what meets another's switch.
@retry(
    retry=retry_if_exception(_is_busy),
    stop=stop_after_delay(BUSY_S),
    wait=wait_random(0.001, 0.02),
    reraise=True,
)
def _prepare(db: sqlite3.Connection) -> None:
    """Bring the tables up to date and let readers and a writer work at the same time."""
    db.execute("BEGIN IMMEDIATE")
    try:
        _bring_up_to_date(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("PRAGMA journal_mode=WAL")


def _bring_up_to_date(db: sqlite3.Connection) -> None:
    """Make the tables; those of an older format are dropped, because none was ever released."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise sqlite3.DatabaseError(f"written by a newer pytest-proxmox (format {version})")
    if version == VERSION:
        return
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        db.execute(f'DROP TABLE "{name}"')
    for statement in filter(str.strip, SCHEMA.split(";")):
        db.execute(statement)
    db.execute(f"PRAGMA user_version={VERSION}")


def _unusable(path: Path, error: Exception) -> LedgerUnusable:
    return LedgerUnusable(
        f"the ledger {path} cannot be used: {error}",
        hint="It records what tests hold: repair or move it away only when no guests are left",
    )
