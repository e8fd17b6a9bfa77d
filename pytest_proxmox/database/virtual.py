"""The connections that SQLAlchemy gets: a session's end of the wire."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from sqlalchemy.util.concurrency import await_only, in_greenlet

from pytest_proxmox.database.places import caller
from pytest_proxmox.database.statements import Kind, Statement, classify
from pytest_proxmox.database.wire import PATIENCE_S, Entry, Wire
from pytest_proxmox.errors import SessionsEntangled, StaleTransaction

__tracebackhide__ = True  # an error leads to the line of the test, not to ours

POLL_S = 0.001


class Driver(Protocol):
    """What a kind of database adds to a virtual connection.

    ``aborts``: an error fails the whole transaction, which can only be rolled back then.
    """

    driver_class: type
    aborts: bool

    def aborted(self) -> Exception:
        """Return the driver's error for a statement in a failed transaction."""

    def no_savepoint(self, label: str) -> Exception:
        """Return the driver's error for a savepoint that is not there."""

    def own_connection(self) -> Any:
        """Return a real connection of its own, for tests without the outer transaction."""

    def cursor(self, virtual: Virtual, *args: Any, **kwargs: Any) -> Any:
        """Return a cursor of the one real connection that asks ``virtual`` first."""


class Virtual:
    """A connection whose transactions are savepoints on the wire.

    ``front``: the test's own, nobody waits for it. ``switches``: led here by an
    ``AsyncEngine``, which expects each statement to await at least once.
    """

    def __init__(self, wire: Wire, driver: Driver, *, front: bool, switches: bool) -> None:
        self.wire = wire
        self.driver = driver
        self.front = front
        self.switches = switches
        self.stale = ""
        self.auto = False
        self.explicit = False
        self.failed = False
        self.private: Any = None

    @property
    def direct(self) -> bool:
        """Whether this test gives each session a real connection of its own."""
        return self.wire.direct

    # -- the DBAPI's face -------------------------------------------------------------

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Return a cursor on the wire, or on a connection of its own."""
        if self.direct:
            return self.own().cursor(*args, **kwargs)
        return self.driver.cursor(self, *args, **kwargs)

    def commit(self) -> None:
        """Keep what this session wrote, until the test ends."""
        if self.private is not None:
            self.private.commit()
            return
        self._refuse_stale("commits")
        self.explicit = False
        with self.wire.lock:
            entries = self.wire.entries(self)
            if self.failed:
                self.failed = False
                self._undo(entries)
            elif entries:
                self.wire.release(entries)

    def rollback(self) -> None:
        """Undo what this session wrote since its last commit."""
        if self.private is not None:
            self.private.rollback()
            return
        self.stale, self.failed, self.explicit = "", False, False
        with self.wire.lock:
            self._undo(self.wire.entries(self))

    def _undo(self, entries: list[Entry]) -> None:
        try:
            self.wire.undo(entries)
        except SessionsEntangled:
            self.wire.orphan(self)  # said once: SQLAlchemy's pool would roll back again
            raise

    def close(self) -> None:
        """End this session's transaction; the real connection stays."""
        if self.private is not None:
            self.drop_own()
        else:
            self.rollback()

    def retire(self) -> None:
        """Forget the session that is done with this connection: it goes back to its pool.

        SQLAlchemy does not roll back again where a rollback was refused; what was refused
        stays in the stack until the test ends, without an owner.
        """
        self.stale, self.failed, self.explicit = "", False, False
        if self.wire.stack:
            with self.wire.lock:
                self.wire.orphan(self)

    def own(self) -> Any:
        """Return the connection of its own, opened at its first use."""
        if self.private is None:
            self.private = self.driver.own_connection()
        return self.private

    def drop_own(self) -> None:
        """Close the connection of its own, where it has one."""
        own, self.private = self.private, None
        if own is not None:
            own.close()

    # -- what cursors ask -------------------------------------------------------------

    def settle(self, sql: str) -> Statement:
        """Return what ``sql`` is, once no task before us is in the way."""
        statement = classify(sql)
        if self.switches and in_greenlet():
            await_only(_tick(0))
            self._poll(statement)
        return statement

    def _poll(self, statement: Statement) -> None:
        deadline = self.wire.clock.monotonic() + PATIENCE_S
        while self._blocked(statement) and self.wire.clock.monotonic() < deadline:
            await_only(_tick(POLL_S))

    def _blocked(self, statement: Statement) -> list[Entry]:
        if statement.kind in (Kind.COMMIT, Kind.ROLLBACK, Kind.RELEASE, Kind.ROLLBACK_TO):
            return []
        with self.wire.lock:
            opens = not self.wire.entries(self)
            if not opens and statement.kind in (Kind.READ, Kind.PRAGMA):
                return []
            return self.wire.in_the_way(self, opens=opens)

    def enter(self, statement: Statement) -> bool:
        """Prepare for ``statement``, with the lock held; False when nothing is left to run."""
        self._refuse_stale("goes on")
        if self.failed and statement.kind not in (Kind.ROLLBACK, Kind.ROLLBACK_TO, Kind.COMMIT):
            raise self.driver.aborted()
        if self.wire.stack:
            self.wire.wait(lambda: self._blocked(statement))
        if statement.kind in _STEERS:
            self._steer(statement)
            return False
        if statement.kind is Kind.PRAGMA:
            return True
        if statement.kind is Kind.WRITE or self.wire.real.eager:
            if not self.wire.entries(self):
                self.wire.open(self)
            if statement.kind is Kind.WRITE:
                self.wire.wrote(self)
        return True

    def leave(self) -> None:
        """End a statement that worked: in autocommit mode that is its commit."""
        if self.auto and not self.explicit:
            with self.wire.lock:
                self.wire.release(self.wire.entries(self))

    def _steer(self, statement: Statement) -> None:
        if statement.kind is Kind.COMMIT:
            self.commit()
        elif statement.kind is Kind.ROLLBACK:
            self.rollback()
        elif statement.kind is Kind.BEGIN:
            self.explicit = True
            if not self.wire.entries(self):
                self.wire.open(self)
        elif statement.kind is Kind.SAVEPOINT:
            self.explicit = True
            if not self.wire.entries(self):
                self.wire.open(self)
            self.wire.open(self, statement.label)
        else:
            self._back_to(statement)

    def _back_to(self, statement: Statement) -> None:
        entries = self.wire.entries(self)
        labels = [e.label for e in entries]
        if statement.label not in labels:
            self.failed = self.driver.aborts and (self.explicit or not self.auto)
            raise self.driver.no_savepoint(statement.label)
        index = len(labels) - 1 - labels[::-1].index(statement.label)
        if statement.kind is Kind.RELEASE:
            self.wire.release(entries[index:])
        else:
            self.failed = False
            self.wire.undo(entries[index:], keep_first=True)

    def _refuse_stale(self, what: str) -> None:
        if self.stale:
            raise StaleTransaction(
                f"{caller()} {what} with a transaction that was begun in the test {self.stale}, "
                "which has ended and was undone",
                hint="Close the session in its own test, or call rollback() on it before you use "
                "it again",
            )


_STEERS = {
    Kind.BEGIN,
    Kind.COMMIT,
    Kind.ROLLBACK,
    Kind.SAVEPOINT,
    Kind.RELEASE,
    Kind.ROLLBACK_TO,
}


async def _tick(duration_s: float) -> None:
    await asyncio.sleep(duration_s)
