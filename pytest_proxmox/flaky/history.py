"""The history: every attempt of every run, kept in a database that many runs may write at once."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from pytest_proxmox.flaky.connection import BUSY_S, Connection, Place, connect, readable
from pytest_proxmox.report.events import Attempt, Failure, RunEnd, RunFacts

_INSERT_RUN = """
INSERT INTO run (uuid, project, started, commit_id, branch, seed, workers, distribution,
                 environment)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (uuid) DO NOTHING
"""
_INSERT_TEST = """
INSERT INTO test (project, nodeid, markers, first_seen) VALUES (?, ?, ?, ?)
ON CONFLICT (project, nodeid) DO UPDATE SET markers = excluded.markers
"""
_INSERT_FAILURE = """
INSERT INTO failure (fingerprint, kind, phase, message, trace) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (fingerprint, kind, phase) DO UPDATE SET message = excluded.message,
                                                     trace = excluded.trace
"""
_INSERT_ATTEMPT = """
INSERT INTO attempt (run_id, test_id, number, outcome, final, started, duration_s, worker, position,
                     uses, quarantined, failure_id, setup_s, teardown_s, attachments)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_UPSERT_VERDICT = """
INSERT INTO verdict (test_id, state, rate, since) VALUES (?, ?, ?, ?)
ON CONFLICT (test_id) DO UPDATE SET state = excluded.state, rate = excluded.rate,
                                    since = excluded.since
"""


_UNKNOWN: tuple[int, str | None] = (0, None)


class Verdict(NamedTuple):
    """What the history says of a test: its state, its flake rate, and since when."""

    nodeid: str
    state: str
    rate: float
    since: float


class Run(NamedTuple):
    """A stored run."""

    id: int
    uuid: str
    started: float
    finished: float | None
    exit_status: int | None
    trusted: bool
    commit: str
    branch: str
    seed: str
    workers: int
    distribution: str
    environment: dict[str, str]
    figures: dict[str, float]


class Observation(NamedTuple):
    """An attempt as the statistics see it."""

    test: int
    run: int
    number: int
    outcome: str
    final: bool
    duration_s: float
    kind: str
    failure: int | None


class History:
    """An open history. Give it up with ``close``."""

    def __init__(self, place: Place, connection: Connection) -> None:
        self.place = place
        self._db = connection
        self._run = 0
        self._project = ""
        self._tests: dict[str, tuple[int, str]] = {}
        self._failures: dict[tuple[str, str, str], int] = {}

    @classmethod
    def open(cls, place: Place, *, busy_s: float = BUSY_S) -> History:
        """Return the history at ``place``, made when there is none.

        Raises:
            HistoryUnusable: nothing there can be opened as a history.
        """
        return cls(place, connect(place, busy_s=busy_s))

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, facts: RunFacts) -> None:
        """Note the run that what is added from now on belongs to."""
        with readable(self.place):
            self._db.execute(
                _INSERT_RUN,
                (
                    facts.id, facts.project, facts.started, facts.commit, facts.branch, facts.seed,
                    facts.workers, facts.distribution,
                    json.dumps(dict(facts.environment), sort_keys=True),
                ),
            )  # fmt: skip
            row = self._db.execute("SELECT id FROM run WHERE uuid = ?", (facts.id,)).fetchone()
        self._run = int(row[0])
        self._project = facts.project
        self._tests.clear()

    def add(self, attempts: Sequence[Attempt], *, name: str | None = None) -> None:
        """Store attempts of the run, all of them or none.

        ``name`` says which file they were kept in: a name is taken in once.
        """
        with readable(self.place), self._db.transaction():
            if name is not None:
                taken = self._db.execute(
                    "INSERT INTO taken_in (name) VALUES (?) ON CONFLICT (name) DO NOTHING", (name,)
                )
                if taken.rowcount == 0:
                    return
            self._note_tests(attempts)
            self._note_failures(attempt.failure for attempt in attempts)
            self._db.insert(_INSERT_ATTEMPT, map(self._row, attempts))

    def end(self, end: RunEnd) -> None:
        """Note how the run ended."""
        with readable(self.place):
            self._db.execute(
                "UPDATE run SET finished = ?, exit_status = ?, trusted = ?, figures = ? "
                "WHERE id = ?",
                (
                    end.finished, end.exit_status, int(end.trusted),
                    json.dumps(dict(end.figures), sort_keys=True), self._run,
                ),
            )  # fmt: skip

    def judge(self, verdicts: Iterable[tuple[int, str, float, float]]) -> None:
        """Store verdicts: the test's id, state, rate, since."""
        with readable(self.place), self._db.transaction():
            self._db.insert(_UPSERT_VERDICT, verdicts)

    def verdicts(self, project: str) -> dict[str, Verdict]:
        """Return the verdicts of a project's tests, by node id."""
        sql = (
            "SELECT nodeid, state, rate, since FROM verdict JOIN test ON test.id = test_id "
            "WHERE project = ?"
        )
        with readable(self.place):
            return {row[0]: Verdict(*row) for row in self._db.execute(sql, (project,)).fetchall()}

    def projects(self) -> list[str]:
        """Return the projects that have runs here, the one that ran last first."""
        sql = "SELECT project FROM run GROUP BY project ORDER BY max(started) DESC"
        with readable(self.place):
            return [row[0] for row in self._db.execute(sql).fetchall()]

    def runs(self, project: str) -> list[Run]:
        """Return a project's runs, oldest first."""
        sql = (
            "SELECT id, uuid, started, finished, exit_status, trusted, commit_id, branch, seed, "
            "workers, distribution, environment, figures FROM run WHERE project = ? "
            "ORDER BY started, id"
        )
        with readable(self.place):
            rows = self._db.execute(sql, (project,)).fetchall()
        return [
            Run._make(
                (*row[:5], bool(row[5]), *row[6:11], json.loads(row[11]), json.loads(row[12]))
            )
            for row in rows
        ]

    def tests(self, project: str) -> dict[int, tuple[str, str]]:
        """Return node id and markers of each test, by the number it is stored under."""
        sql = "SELECT id, nodeid, markers FROM test WHERE project = ?"
        with readable(self.place):
            return {
                row[0]: (row[1], row[2]) for row in self._db.execute(sql, (project,)).fetchall()
            }

    def ever_failed(self, project: str) -> list[int]:
        """Return the tests with at least one failed attempt."""
        sql = (
            "SELECT DISTINCT a.test_id FROM attempt a JOIN test t ON t.id = a.test_id "
            "WHERE a.failure_id IS NOT NULL AND t.project = ?"
        )
        with readable(self.place):
            return [row[0] for row in self._db.execute(sql, (project,)).fetchall()]

    def failures(self) -> dict[int, Failure]:
        """Return each distinct failure, without its trace, by the number it is stored under."""
        sql = "SELECT id, kind, fingerprint, message, phase FROM failure"
        with readable(self.place):
            return {row[0]: Failure(*row[1:]) for row in self._db.execute(sql).fetchall()}

    def observations(self, project: str, *, tests: Sequence[int] = ()) -> Iterator[Observation]:
        """Yield the attempts test by test, each test's oldest first; only of ``tests`` if given."""
        some = f"AND a.test_id IN ({', '.join('?' * len(tests))}) " if tests else ""
        sql = (
            "SELECT a.test_id, a.run_id, a.number, a.outcome, a.final, a.duration_s, "  # noqa: S608 - placeholders only
            "coalesce(f.kind, ''), a.failure_id FROM attempt a "
            "JOIN run r ON r.id = a.run_id LEFT JOIN failure f ON f.id = a.failure_id "
            f"WHERE r.project = ? {some}ORDER BY a.test_id, r.started, a.run_id, a.number"
        )
        with readable(self.place), self._reading():
            for row in self._db.stream(sql, (project, *tests)):
                yield Observation(*row)

    def attempts(self, run: int) -> list[Attempt]:
        """Return the attempts of one run, in the order in which they began."""
        sql = (
            "SELECT t.nodeid, a.number, a.outcome, a.final, a.started, a.duration_s, a.worker, "
            "a.position, t.markers, a.uses, a.quarantined, f.kind, f.fingerprint, f.message, "
            "f.phase, f.trace, a.setup_s, a.teardown_s, a.attachments "
            "FROM attempt a JOIN test t ON t.id = a.test_id "
            "LEFT JOIN failure f ON f.id = a.failure_id WHERE a.run_id = ? "
            "ORDER BY a.position, a.number"
        )
        with readable(self.place):
            rows = self._db.execute(sql, (run,)).fetchall()
        return [
            Attempt._make(
                (*row[:3], bool(row[3]), *row[4:10], bool(row[10]), _failure(row[11:16]), *row[16:])
            )
            for row in rows
        ]

    def totals(self, project: str) -> dict[int, dict[str, int]]:
        """Return for each run how many tests ended in which outcome."""
        sql = (
            "SELECT a.run_id, a.outcome, count(*) FROM attempt a JOIN run r ON r.id = a.run_id "
            "WHERE r.project = ? AND a.final = 1 GROUP BY a.run_id, a.outcome"
        )
        found: dict[int, dict[str, int]] = {}
        with readable(self.place):
            for run, outcome, count in self._db.execute(sql, (project,)).fetchall():
                found.setdefault(run, {})[outcome] = count
        return found

    def _reading(self) -> AbstractContextManager[None]:
        # A server-side cursor lives in a transaction; SQLite reads a snapshot anyway.
        return nullcontext() if self._db.is_sqlite else self._db.transaction()

    def _row(self, attempt: Attempt) -> tuple[object, ...]:
        failure = attempt.failure
        return (
            self._run, self._tests[attempt.nodeid][0], attempt.number, attempt.outcome,
            1 if attempt.final else 0, attempt.started, attempt.duration_s, attempt.worker,
            attempt.position, attempt.uses, 1 if attempt.quarantined else 0,
            None if failure is None else self._failures[_key(failure)],
            attempt.setup_s, attempt.teardown_s, attempt.attachments,
        )  # fmt: skip

    def _note_tests(self, attempts: Sequence[Attempt]) -> None:
        tests = self._tests
        self._read_tests({a.nodeid for a in attempts} - tests.keys())
        new = {a.nodeid: a for a in attempts if tests.get(a.nodeid, _UNKNOWN)[1] != a.markers}
        if not new:
            return
        rows = [
            (self._project, nodeid, new[nodeid].markers, new[nodeid].started)
            for nodeid in sorted(new)  # every writer in the same order: no deadlock
        ]
        self._db.insert(_INSERT_TEST, rows)
        self._read_tests(new.keys())

    def _read_tests(self, nodeids: Collection[str]) -> None:
        found = self._db.select_in(
            ("nodeid", "id", "markers"), "FROM test WHERE project = ?", self._project, nodeids
        )
        for nodeid, id, markers in found:
            self._tests[nodeid] = (id, markers)

    def _note_failures(self, failures: Iterable[Failure | None]) -> None:
        new = {_key(f): f for f in failures if f is not None and _key(f) not in self._failures}
        for key in sorted(new):
            self._db.execute(_INSERT_FAILURE, (*key, new[key].message, new[key].trace))
            row = self._db.execute(
                "SELECT id FROM failure WHERE fingerprint = ? AND kind = ? AND phase = ?", key
            ).fetchone()
            self._failures[key] = int(row[0])


def _failure(row: Sequence[Any]) -> Failure | None:
    return None if row[0] is None else Failure._make(row)


def _key(failure: Failure) -> tuple[str, str, str]:
    return failure.fingerprint, failure.kind, failure.phase
