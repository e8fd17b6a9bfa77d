"""Slots: how many creates and clones of this machine's workers use one storage at a time.

PVE gives a storage's lock 10 s, and a full clone on a shared storage holds it throughout: three
clones of 5 s each that start together fail already (demand.md 1.4 rows 25 and 26).
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pytest_proxmox.clock import Clock
from pytest_proxmox.sandbox.book import Book
from pytest_proxmox.sandbox.rows import run_of
from pytest_proxmox.sandbox.run import Run

LIMIT: Final = 3
POLL_S: Final = 0.2


class Slots:
    """The slots of each storage of each target, in the ledger's file.

    A slot whose process has died is free again.
    """

    def __init__(self, book: Book, clock: Clock) -> None:
        self._book = book
        self._clock = clock

    @contextmanager
    def use(self, target: str, storage: str, run: Run, *, limit: int = LIMIT) -> Iterator[None]:
        """Hold a slot of a storage as long as this lasts, after waiting for one to be free."""
        name = secrets.token_hex(8)
        while not self._take(name, target, storage, run, limit=limit):
            self._clock.sleep(POLL_S)
        try:
            yield
        finally:
            with self._book.writing() as db:
                db.execute("DELETE FROM slots WHERE name = ?", (name,))

    def _take(self, name: str, target: str, storage: str, run: Run, *, limit: int) -> bool:
        with self._book.writing() as db:
            if self._in_use(db, target, storage) >= limit:
                return False
            db.execute(
                "INSERT INTO slots (name, target, storage, run, worker, host, pid, born)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (name, target, storage, run.id, run.worker, run.host, run.pid, run.born),
            )
        return True

    def _in_use(self, db: sqlite3.Connection, target: str, storage: str) -> int:
        rows = db.execute(
            "SELECT * FROM slots WHERE target = ? AND storage = ?", (target, storage)
        ).fetchall()
        dead = [(row["name"],) for row in rows if not run_of(row).is_alive]
        db.executemany("DELETE FROM slots WHERE name = ?", dead)
        return len(rows) - len(dead)
