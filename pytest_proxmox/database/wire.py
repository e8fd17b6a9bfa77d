"""One real connection shared by many sessions: each transaction is a savepoint on it.

The stack of open savepoints is the heart of the isolation. A commit under a younger
savepoint is deferred; a rollback that would take another session's work along is refused.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, Protocol

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.database.places import caller
from pytest_proxmox.errors import EscapedCommit, IsolationError, SessionsEntangled

__tracebackhide__ = True  # an error leads to the line of the test, not to ours

PATIENCE_S = 5.0  # as long as sqlite3 waits for a lock by default
OUTER = "pp_outer"
Actor = tuple[int, Any]


class Real(Protocol):
    """The one real connection, below SQLAlchemy."""

    eager: bool  # a read needs a savepoint too, because an error would abort everything

    def control(self, *statements: str) -> None:
        """Run statements that steer the transaction."""

    def start(self, *statements: str) -> None:
        """Run the statements that begin a transaction, and look who else committed before."""

    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    def abandon(self, savepoint: str, *, whole: bool) -> None:
        """Roll back to ``savepoint``, which must exist, and the ``whole`` transaction if told."""

    def close(self) -> None:
        """Close the connection."""


class Owner(Protocol):
    """A session's end of the wire, as far as the stack must know it."""

    front: bool
    stale: str


@dataclass(slots=True)
class Gone:
    """The owner of what a session left open when its connection went back to the pool."""

    front: bool = True  # nobody waits for it: it will not end before the test does
    stale: str = ""


@dataclass(slots=True, eq=False)
class Entry:
    """One open savepoint. ``own``: its owner wrote; ``others``: whose work lies in it."""

    owner: Owner
    name: str
    label: str | None
    actor: Actor
    place: str
    own: bool = False
    released: bool = False
    others: list[Entry] = field(default_factory=list)


def actor() -> Actor:
    """Return who runs: the thread, and the task where a loop runs in it."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident(), task


class Wire:
    """The stack of open savepoints on one real connection."""

    def __init__(self, real: Real, *, clock: Clock | None = None) -> None:
        self.real = real
        self.clock = clock or SystemClock()
        self.lock = threading.RLock()
        self.freed = threading.Condition(self.lock)
        self.stack: list[Entry] = []
        self.test = ""  # name of the running test, empty between tests
        self.outer = False
        self.direct = False  # each session gets a real connection of its own
        self._begun_outer = False
        self.after_start: Callable[[], None] | None = None  # what to do once in a test
        self._floor = 0
        self._kept: list[tuple[Entry, bool, bool, list[Entry]]] = []
        self._front_thread = threading.get_ident()
        self._front_code: CodeType | None = None
        self._names = itertools.count(1)

    # -- tests ------------------------------------------------------------------------

    def begin_test(self, name: str, *, outer: bool, code: CodeType | None = None) -> None:
        """Start a test; with ``outer`` everything until its end will be undone."""
        with self.lock:
            self.test, self.outer = name, outer
            self._front_thread, self._front_code = threading.get_ident(), code
            self._floor = len(self.stack) if outer else 0
            self._kept = [(e, e.released, e.own, list(e.others)) for e in self.stack[: self._floor]]
            self._begun_outer = False

    def end_test(self) -> None:
        """End the test and undo it.

        Raises:
            IsolationError: the outer transaction was ended behind our back.
        """
        with self.lock:
            name, self.test = self.test, ""
            floor, begun = (self._floor, self._begun_outer) if self.outer else (0, False)
            for entry in self.stack[floor:]:
                if not entry.released:
                    entry.owner.stale = name
            del self.stack[floor:]
            for entry, released, own, others in self._kept:
                entry.released, entry.own, entry.others = released, own, others
            undo = self.outer is False or begun
            self.outer, self._floor, self._kept, self._begun_outer = False, 0, [], False
            try:
                if undo:
                    self._undo(name, begun=begun)
            finally:
                self.freed.notify_all()

    def _undo(self, name: str, *, begun: bool) -> None:
        open_ = self.real.in_transaction()
        if not begun:
            if open_:
                self.real.control("ROLLBACK")
            return
        cause: Exception | None = None
        if open_:
            try:
                self.real.abandon(OUTER, whole=not self.stack)
                return
            except Exception as exc:  # noqa: BLE001 - the driver's own: our savepoint is gone
                cause = exc
                self.real.control("ROLLBACK")
        raise IsolationError(
            f"the outer transaction of {name} was ended behind our back: what the test wrote "
            "may be in the database",
            hint="Look for a statement that ends transactions itself (ON CONFLICT ROLLBACK, a "
            "driver call on the real connection), or mark the test "
            "@pytest.mark.db(transaction=False)",
        ) from cause

    # -- transactions -----------------------------------------------------------------

    def entries(self, owner: Owner) -> list[Entry]:
        """Return the open savepoints of ``owner``, oldest first."""
        return [e for e in self.stack if e.owner is owner and not e.released]

    def open(self, owner: Owner, label: str | None = None) -> Entry:
        """Put a savepoint on top for ``owner``; the caller holds the lock."""
        who = actor()
        if not self.test and who[0] != self._front_thread:
            raise EscapedCommit(
                f"a transaction is begun in a thread while no test runs, by {caller()}. "
                "What it writes would stay in the database of all following tests",
                hint="End the thread before its test ends",
            )
        entry = Entry(owner, f"pp_{next(self._names)}", label, who, caller())
        begin = [] if self.real.in_transaction() else ["BEGIN"]
        if self.outer and not self._begun_outer:
            self._begun_outer = True
            begin.append(f"SAVEPOINT {OUTER}")
        then, self.after_start = self.after_start, None
        (self.real.start if then else self.real.control)(*begin, f"SAVEPOINT {entry.name}")
        self.stack.append(entry)
        if then:
            then()
        return entry

    def release(self, entries: list[Entry]) -> None:
        """Commit ``entries``, as soon as nobody's savepoint lies above them."""
        for entry in entries:
            entry.released = True
        self._settle()

    def _settle(self) -> None:
        low = len(self.stack)
        while low > self._floor and self.stack[low - 1].released:
            low -= 1
        if low < len(self.stack):
            self.real.control(f"RELEASE {self.stack[low].name}")
            for entry in reversed(self.stack[low:]):
                self._merge(entry)
            del self.stack[low:]
        if not self.stack and not self.outer and self.real.in_transaction():
            self.real.control("COMMIT")
        self.freed.notify_all()

    def _merge(self, entry: Entry) -> None:
        index = self.stack.index(entry)
        if index == 0:
            return
        below = self.stack[index - 1]
        for work in ([entry] if entry.own else []) + entry.others:
            committed = work.released and work.label is None
            if work.owner is below.owner and not below.released and not committed:
                below.own = True
            elif work not in below.others:
                below.others.append(work)

    def undo(self, entries: list[Entry], *, keep_first: bool = False) -> None:
        """Roll ``entries`` back, which are one owner's, oldest first.

        Raises:
            SessionsEntangled: another session's writes would be lost; nothing was undone.
        """
        if not entries:
            return
        first = entries[0]
        above = self.stack[self.stack.index(first) :]
        foreign = [e for e in above if e.owner is not first.owner or e.released]
        works = [e for e in foreign if e.own] + [w for e in above for w in e.others]
        lost = [w.place for w in works if w not in entries]
        if lost and any(e.own for e in entries):
            raise _entangled(first, lost)
        if lost:  # it only read: letting its savepoint go undoes nothing and loses nothing
            self.release(entries[1:] if keep_first else entries)
            return
        self._roll_back(first, foreign, keep_first=keep_first)

    def _roll_back(self, first: Entry, foreign: list[Entry], *, keep_first: bool) -> None:
        again = [f"SAVEPOINT {e.name}" for e in foreign if not e.released]
        end = [] if keep_first else [f"RELEASE {first.name}"]
        self.real.control(f"ROLLBACK TO {first.name}", *end, *again)
        floor = self.stack.index(first)
        first.own, first.others = False, []
        kept = ([first] if keep_first else []) + [e for e in foreign if not e.released]
        self.stack[floor:] = kept
        self._settle()

    def orphan(self, owner: Owner) -> None:
        """Take from ``owner`` what it left open: its connection will serve another session."""
        left = self.entries(owner)
        if left:
            gone = Gone()
            for entry in left:
                entry.owner = gone

    def wrote(self, owner: Owner) -> None:
        """Note that ``owner`` wrote: on its own savepoint, and on those that lie above it."""
        mine = self.entries(owner)[-1]
        mine.own = True
        for entry in self.stack[self.stack.index(mine) + 1 :]:
            if mine not in entry.others:
                entry.others.append(mine)

    def exposed(self, owner: Owner) -> bool:
        """Whether undoing the owner's last statement alone would take others' work along."""
        top = self.stack[-1]
        return top.owner is not owner or top.released or bool(top.others)

    # -- waiting ----------------------------------------------------------------------

    def in_the_way(self, owner: Owner, *, opens: bool) -> list[Entry]:
        """Return the foreign savepoints that a write of ``owner`` should wait for."""
        if not self.stack:
            return []
        who = actor()
        found: list[Entry] = []
        for entry in reversed(self.stack):
            if entry.owner is owner and not entry.released and not opens:
                break
            foreign = entry.owner is not owner and not entry.released
            if foreign and entry.actor != who and not self.is_front(entry):
                found.append(entry)
        return found

    def is_front(self, entry: Entry) -> bool:
        """Whether ``entry`` is the test's own: nobody waits for it, for it waits for them."""
        thread, task = entry.actor
        if thread != self._front_thread:
            return False
        if entry.owner.front or task is None:
            return True
        code = getattr(task.get_coro(), "cr_code", None) if task is not None else None
        return code is not None and code is self._front_code

    def wait(self, blocked: Callable[[], list[Entry]]) -> None:
        """Wait, with the lock held once, until threads before us have ended their work."""
        deadline = self.clock.monotonic() + PATIENCE_S
        here = threading.get_ident()
        while any(entry.actor[0] != here for entry in blocked()):
            left = deadline - self.clock.monotonic()
            if left <= 0 or not self.freed.wait(left):
                return  # better late and perhaps refused by name than never


def _entangled(first: Entry, lost: list[str]) -> SessionsEntangled:
    others = ", ".join(dict.fromkeys(lost))
    return SessionsEntangled(
        f"the rollback of the transaction begun by {first.place} would also undo what was "
        f"written in the transaction begun by {others}: both are savepoints on the one "
        "connection of the test",
        hint="End the younger session first, or mark the test @pytest.mark.db(transaction=False) "
        "so that each session has its own connection",
    )
