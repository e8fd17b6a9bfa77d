"""The ledger: what this machine's runs hold on which Proxmox, on disk before it happens.

One SQLite file in a folder that the caller names, shared by every process of the machine: the
xdist workers of a run, other runs, and whoever sweeps after a crash. Every write is committed
before the step that it announces (WAL, ``synchronous=FULL``), so a process may die anywhere and
the next one reads what it was about to do. A VMID is held by one lease at a time: the file's
own unique index says so, not only the code.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, Self

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.errors import LeaseError, RangeExhausted
from pytest_proxmox.sandbox.book import Book
from pytest_proxmox.sandbox.holdings import Holdings
from pytest_proxmox.sandbox.lease import BEFORE, Lease, Maker, State
from pytest_proxmox.sandbox.quota import Quota
from pytest_proxmox.sandbox.rows import lease_of, render, run_of, vmid_of
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.sandbox.slots import Slots
from pytest_proxmox.sandbox.windows import best_window
from pytest_proxmox.values import LeaseId, Vmid, VmidRange

FILE_NAME = "ledger.sqlite"


class Ledger:
    """Runs, leases and what is known about VMIDs, for every target this machine talks to.

    ``holdings`` are the blocks of VMIDs that runs hold on clusters, ``slots`` keep them from
    using one storage too much at a time, and ``quota`` from using too much of all.
    ``durable=False`` skips the fsync: enough for an embedded Proxmox, which does not survive the
    machine either. One object may be used by several threads.
    """

    def __init__(self, folder: Path, *, clock: Clock | None = None, durable: bool = True) -> None:
        self.path = folder / FILE_NAME
        self._clock = clock if clock is not None else SystemClock()
        self._book = Book(self.path, durable=durable)
        self.holdings = Holdings(self._book)
        self.slots = Slots(self._book, self._clock)
        self.quota = Quota(self._book, self._clock)

    def close(self) -> None:
        """Close the file; the rows stay."""
        self._book.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Runs ---------------------------------------------------------------------------------

    def register(self, run: Run, *, target: str, kind: str, user: str = "root@pam") -> None:
        """Write down that this process of the run works on ``target``; twice does no harm.

        ``user`` is whom the target's tasks name.
        """
        with self._book.writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO runs (id, target, kind, user, started)"
                " VALUES (?, ?, ?, ?, ?)",
                (run.id, target, kind, user, self._clock.now()),
            )
            db.execute(
                "INSERT OR REPLACE INTO workers (run, target, worker, host, pid, born)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (run.id, target, run.worker, run.host, run.pid, run.born),
            )

    def sign_off(self, run: Run, target: str) -> bool:
        """Return whether this process was the run's last one on the target; it is done there."""
        with self._book.writing() as db:
            db.execute(
                "DELETE FROM workers WHERE run = ? AND target = ? AND worker = ?",
                (run.id, target, run.worker),
            )
            rows = db.execute(
                "SELECT * FROM workers WHERE run = ? AND target = ?", (run.id, target)
            ).fetchall()
        return not any(run_of(row).is_alive for row in rows)

    def workers(self, run_id: str, target: str) -> list[Run]:
        """Return the run's processes on a target that have not signed off, dead ones too."""
        rows = self._book.read("SELECT * FROM workers WHERE run = ? AND target = ?", run_id, target)
        return [run_of(row) for row in rows]

    def is_alive(self, run_id: str, target: str | None = None) -> bool:
        """Whether any process of the run is still at work, on this target or on any."""
        rows = self._book.read(
            "SELECT * FROM workers WHERE run = ? AND (? IS NULL OR target = ?)",
            run_id,
            target,
            target,
        )
        return any(run_of(row).is_alive for row in rows)

    def to_clear(self, target: str, *, run: str) -> list[Lease]:
        """Return the leases that a run holds and that nobody wants to keep, oldest first."""
        now = self._clock.now()
        return [lease for lease in self.leases(target, run=run) if not lease.is_kept(now)]

    def runs(self, target: str) -> list[str]:
        """Return the runs that were ever on a target, the oldest first."""
        rows = self._book.read("SELECT id FROM runs WHERE target = ? ORDER BY started", target)
        return [str(row["id"]) for row in rows]

    def targets_of(self, run_id: str) -> list[str]:
        """Return the targets that a run was on."""
        rows = self._book.read("SELECT target FROM runs WHERE id = ? ORDER BY target", run_id)
        return [str(row["target"]) for row in rows]

    def baseline(self, run_id: str, target: str) -> str | None:
        """Return what the run wrote down about the target before it did anything there."""
        rows = self._book.read(
            "SELECT baseline FROM runs WHERE id = ? AND target = ?", run_id, target
        )
        return rows[0]["baseline"] if rows else None

    def set_baseline(self, run_id: str, target: str, text: str) -> str:
        """Return the run's baseline: ``text``, unless another worker was first."""
        with self._book.writing() as db:
            db.execute(
                "UPDATE runs SET baseline = ? WHERE id = ? AND target = ? AND baseline IS NULL",
                (text, run_id, target),
            )
        return self.baseline(run_id, target) or text

    def reaper(self, run_id: str, target: str) -> str | None:
        """Return where the run's reaper listens, None while it has none."""
        query = "SELECT reaper FROM runs WHERE id = ? AND target = ?"
        rows = self._book.read(query, run_id, target)
        return rows[0]["reaper"] if rows else None

    def set_reaper(
        self, run_id: str, target: str, path: str | None, *, instead_of: str | None
    ) -> bool:
        """Write down where the run's reaper listens; False where somebody else was first."""
        with self._book.writing() as db:
            done = db.execute(
                "UPDATE runs SET reaper = ? WHERE id = ? AND target = ? AND reaper IS ?",
                (path, run_id, target, instead_of),
            )
        return done.rowcount == 1

    def user(self, run_id: str, target: str) -> str | None:
        """Return whom the run's tasks name, None for a run that was never on the target."""
        rows = self._book.read("SELECT user FROM runs WHERE id = ? AND target = ?", run_id, target)
        return str(rows[0]["user"]) if rows else None

    # Leases -------------------------------------------------------------------------------

    def claim(
        self,
        target: str,
        spans: Iterable[VmidRange],
        run: Run,
        *,
        count: int = 1,
        maker: Maker = "sandbox",
        pool_of: Callable[[Vmid], str | None] = lambda vmid: None,
    ) -> tuple[Lease, ...]:
        """Return ``count`` new leases in state ``reserved`` on VMIDs in a row.

        The VMIDs are free as far as this machine knows; those used longest ago come first,
        because a Proxmox shows traces of a guest for seconds after it is gone.

        Raises:
            RangeExhausted: there are not so many free ones in a row.
        """
        wanted = tuple(spans)
        with self._book.writing() as db:
            window = best_window(
                wanted, count, self._taken(db, target, run), self._used(db, target)
            )
            if window is None:
                raise _exhausted(wanted, count, target)
            return tuple(
                self._insert(db, _reserved(target, vmid, run, maker=maker, pool=pool_of(vmid)))
                for vmid in window
            )

    def claim_exactly(
        self,
        target: str,
        vmid: Vmid,
        run: Run,
        *,
        maker: Maker = "sandbox",
        pool: str | None = None,
    ) -> Lease | None:
        """Return a new lease on this VMID, or None where another lease holds it."""
        with self._book.writing() as db:
            if db.execute(_HOLDER, (target, int(vmid))).fetchone() is not None:
                return None
            return self._insert(db, _reserved(target, vmid, run, maker=maker, pool=pool))

    def _insert(self, db: sqlite3.Connection, lease: Lease) -> Lease:
        now = self._clock.now()
        columns = ("id", "target", "vmid", "run", "worker", "state", "maker", "pool")
        values = (render(name, getattr(lease, name)) for name in columns)
        db.execute(
            f"INSERT INTO leases ({', '.join(columns)}, claimed, changed)"  # noqa: S608
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, now, now),
        )
        used = (lease.target, int(lease.vmid), now)
        db.execute("INSERT OR REPLACE INTO used VALUES (?, ?, ?)", used)
        return lease

    def _taken(self, db: sqlite3.Connection, target: str, run: Run) -> set[int]:
        held = db.execute(
            "SELECT vmid FROM leases WHERE target = ? AND state <> 'released'", (target,)
        )
        foreign = db.execute(
            "SELECT vmid FROM foreigners WHERE target = ? AND run = ?", (target, run.id)
        )
        return {row[0] for row in (*held, *foreign)}

    def _used(self, db: sqlite3.Connection, target: str) -> dict[int, float]:
        return dict(
            tuple(row)
            for row in db.execute("SELECT vmid, at FROM used WHERE target = ?", (target,))
        )

    def advance(self, lease: Lease, state: State, **changes: Any) -> Lease:
        """Return the lease in its next state, written down with what else is new about it.

        ``changes`` are other fields of the lease, e.g. ``node`` or ``leftovers``.

        Raises:
            LeaseError: this state does not follow the one that the file has.
        """
        allowed = tuple(sorted(BEFORE[state]))
        marks = ",".join("?" * len(allowed))
        columns = "".join(f", {name} = ?" for name in _checked(changes))
        values = [render(name, value) for name, value in changes.items()]
        with self._book.writing() as db:
            done = db.execute(
                f"UPDATE leases SET state = ?, changed = ?{columns}"  # noqa: S608  # our own names
                f" WHERE id = ? AND state IN ({marks})",
                (state, self._clock.now(), *values, lease.id, *allowed),
            )
            if done.rowcount == 0:
                raise LeaseError(
                    f"{self._state(lease)} cannot become {state}",
                    lease=lease.id,
                    hint="Wait for what uses the guest before the next step; if your code does not "
                    "use it twice at once, report it",
                )
        return self.get(lease.id)

    def note(self, lease: Lease, **changes: Any) -> Lease:
        """Return the lease with something new about it written down, in the same state."""
        columns = ", ".join(f"{name} = ?" for name in _checked(changes))
        values = [render(name, value) for name, value in changes.items()]
        with self._book.writing() as db:
            db.execute(f"UPDATE leases SET {columns} WHERE id = ?", (*values, lease.id))  # noqa: S608
        return self.get(lease.id)

    def get(self, lease_id: LeaseId) -> Lease:
        """Return the lease as the file has it.

        Raises:
            LeaseError: it has no such lease.
        """
        rows = self._book.read("SELECT * FROM leases WHERE id = ?", lease_id)
        if not rows:
            raise LeaseError(
                "not in the ledger",
                lease=lease_id,
                hint="Leave the ledger's file alone while tests run; see what it holds with: "
                "pytest-proxmox leases",
            )
        return lease_of(rows[0])

    def leases(
        self,
        target: str,
        *,
        run: str | None = None,
        states: Collection[State] = tuple(set(State) - {State.RELEASED}),
    ) -> list[Lease]:
        """Return the leases on a target that are in one of ``states``, oldest first.

        By default all that are held.
        """
        marks = ",".join("?" * len(states))
        rows = self._book.read(
            "SELECT * FROM leases WHERE target = ? AND (? IS NULL OR run = ?)"  # noqa: S608
            f" AND state IN ({marks}) ORDER BY claimed, vmid",
            target,
            run,
            run,
            *states,
        )
        return [lease_of(row) for row in rows]

    def changed(self, lease: Lease) -> float:
        """Return when the lease came into its state, in seconds since the epoch."""
        rows = self._book.read("SELECT changed FROM leases WHERE id = ?", lease.id)
        return float(rows[0]["changed"]) if rows else 0.0

    def _state(self, lease: Lease) -> str:
        rows = self._book.read("SELECT state FROM leases WHERE id = ?", lease.id)
        return str(rows[0]["state"]) if rows else "a lease that is not in the ledger"

    # What else is known about VMIDs -----------------------------------------------------------

    def mark_foreign(self, target: str, run: Run, vmids: Iterable[int]) -> None:
        """Keep VMIDs that somebody else uses out of the run's claims."""
        with self._book.writing() as db:
            db.executemany(
                "INSERT OR IGNORE INTO foreigners VALUES (?, ?, ?)",
                [(target, run.id, int(vmid)) for vmid in vmids],
            )

    def foreigners(self, target: str, run: Run) -> list[Vmid]:
        """Return the VMIDs that the run found in somebody else's use."""
        rows = self._book.read(
            "SELECT vmid FROM foreigners WHERE target = ? AND run = ? ORDER BY vmid", target, run.id
        )
        return [vmid_of(row) for row in rows]

    def targets(self, *, kind: str) -> list[str]:
        """Return the targets of one kind on which something is held."""
        rows = self._book.read(
            "SELECT DISTINCT r.target FROM runs r JOIN leases l ON l.run = r.id"
            " AND l.target = r.target WHERE r.kind = ? AND l.state <> 'released'",
            kind,
        )
        return [str(row["target"]) for row in rows]

    def forget(self, target: str) -> None:
        """Drop everything about a target that does not exist any more."""
        with self._book.writing() as db:
            for table in ("leases", "used", "foreigners", "workers", "blocks", "slots", "runs"):
                db.execute(f"DELETE FROM {table} WHERE target = ?", (target,))  # noqa: S608


def _reserved(target: str, vmid: Vmid, run: Run, *, maker: Maker, pool: str | None) -> Lease:
    return Lease(LeaseId.new(), target, vmid, run.id, run.worker, State.RESERVED, maker, pool=pool)


_HOLDER = "SELECT id FROM leases WHERE target = ? AND vmid = ? AND state <> 'released'"
_CHANGEABLE = frozenset(
    {"maker", "kind", "node", "pool", "source", "upid", "backups", "leftovers", "kept_until"}
)


def _checked(changes: Collection[str]) -> Collection[str]:
    if unknown := set(changes) - _CHANGEABLE:
        raise TypeError(f"not a field that changes: {', '.join(sorted(unknown))}")
    return changes


def _exhausted(spans: tuple[VmidRange, ...], count: int, target: str) -> RangeExhausted:
    asked = "no free VMID" if count == 1 else f"no {count} free VMIDs in a row"
    return RangeExhausted(
        f"{asked} in {', '.join(map(str, spans)) or 'an empty range'} on {target}",
        hint="Widen --vmid-range, or see what holds them with: pytest-proxmox leases",
    )
