"""The history keeps every attempt, on either database, with several writers, through trouble."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from pytest_proxmox.errors import HistoryUnusable, InvalidValue
from pytest_proxmox.flaky import schema
from pytest_proxmox.flaky.connection import Place, connect
from pytest_proxmox.flaky.history import History
from pytest_proxmox.flaky.writer import BATCH_S, KEPT, Writer
from pytest_proxmox.report.events import Attempt, Failure, RunEnd, RunFacts

END = RunEnd(20.0, 1, True, {"leftovers": 0.0})


def facts(run: str = "r1", project: str = "p") -> RunFacts:
    """A run's facts."""
    return RunFacts(run, project, 10.0, "abc", "main", "7", 2, "load", {"python": "3.11"})


def attempt(n: int, *, bad: bool = False, final: bool = True, number: int = 0) -> Attempt:
    """An attempt of test ``n``."""
    failure = Failure("assertion", f"f{n % 3}", "assert 0", "call") if bad else None
    outcome = "failed" if bad else "passed"
    return Attempt(
        f"t.py::test_{n}", number, outcome, final, 11.0, 0.25, "gw0", n, "smoke", "browser",
        False, failure,
    )  # fmt: skip


# What the first version stored of ``attempt(1)``.
OLD_ROWS = (
    "INSERT INTO run (id, uuid, project, started, commit_id, branch, seed, workers, distribution, "
    "environment) VALUES (1, 'r1', 'p', 10, 'abc', 'main', '7', 2, 'load', '{}')",
    "INSERT INTO test (id, project, nodeid, markers, first_seen) "
    "VALUES (1, 'p', 't.py::test_1', 'smoke', 11)",
    "INSERT INTO attempt (run_id, test_id, number, outcome, final, started, duration_s, worker, "
    "position, uses, quarantined) "
    "VALUES (1, 1, 0, 'passed', 1, 11, 0.25, 'gw0', 1, 'browser', 0)",
)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty history on each database."""
    if request.param == "sqlite":
        yield Place(tmp_path / "h.sqlite")
        return
    import psycopg

    server = request.getfixturevalue("postgresql_url").replace("+psycopg", "")
    with psycopg.connect(server, autocommit=True) as raw:
        raw.execute("DROP SCHEMA IF EXISTS history_test CASCADE")
        raw.execute("CREATE SCHEMA history_test")
    separator = "&" if "?" in server else "?"
    yield Place(url=f"{server}{separator}options=-csearch_path%3Dhistory_test")


def test_what_was_added_is_read_back(place: Place) -> None:
    given = [attempt(1), attempt(2, bad=True, final=False), attempt(2, number=1)]
    with History.open(place) as history:
        history.begin(facts())
        history.add(given)
        history.end(END)
        [run] = history.runs("p")
        assert history.attempts(run.id) == given
        assert (run.exit_status, run.commit, run.environment) == (1, "abc", {"python": "3.11"})
        assert history.totals("p") == {run.id: {"passed": 2}}
        assert [one.outcome for one in history.observations("p")] == ["passed", "failed", "passed"]
        assert len(history.ever_failed("p")) == 1


def test_a_batch_of_any_size_keeps_odd_names_and_finds_what_is_known(place: Place) -> None:
    names = [f"t.py::test_it[\"{n}'\\\u00e9\n\u2603]" for n in range(1500)]
    given = [attempt(n)._replace(nodeid=name) for n, name in enumerate(names)]
    again = [one._replace(number=1, markers="slow") for one in given]
    with History.open(place) as history:
        history.begin(facts())
        history.add(given)
    with History.open(place) as history:
        history.begin(facts("r2"))
        history.add(again)
        first, second = history.runs("p")
        assert history.attempts(second.id) == again
        assert history.attempts(first.id) == [one._replace(markers="slow") for one in given]
        assert len(history.tests("p")) == 1500


def test_four_writers_at_once_lose_nothing(place: Place) -> None:
    History.open(place).close()
    errors: list[HistoryUnusable] = []

    def write(run: str) -> None:
        try:
            with History.open(place, busy_s=30) as history:
                history.begin(facts(run))
                for start in range(0, 300, 50):
                    history.add([attempt(n, bad=n % 7 == 0) for n in range(start, start + 50)])
                history.end(END)
        except HistoryUnusable as exc:
            errors.append(exc)

    threads = [threading.Thread(target=write, args=(f"run{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with History.open(place) as history:
        runs = history.runs("p")
        assert [len(history.attempts(run.id)) for run in runs] == [300] * 4
        assert len(history.tests("p")) == 300


def test_a_batch_is_stored_whole_or_not_at_all(place: Place) -> None:
    with History.open(place) as history:
        history.begin(facts())
        broken = attempt(2)._replace(duration_s=None)  # type: ignore[arg-type]
        with pytest.raises(HistoryUnusable):
            history.add([attempt(1), broken])
        [run] = history.runs("p")
        assert history.attempts(run.id) == []


def test_an_old_history_is_migrated_and_keeps_its_rows(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(schema, "STEPS", schema.STEPS[:1])
        patch.setattr(schema, "VERSION", 1)
        db = connect(place)
        for statement in OLD_ROWS:
            db.execute(statement)
        db.close()
    with History.open(place) as history:
        assert history.verdicts("p") == {}
        [run] = history.runs("p")
        assert history.attempts(run.id) == [attempt(1)]


def test_a_newer_history_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    History.open(place).close()
    monkeypatch.setattr(schema, "VERSION", 1)
    with pytest.raises(HistoryUnusable, match="version 3, this plugin knows 1"):
        History.open(place)


def _writer(place: Place, spool: Path, notes: list[str], run: str = "r1") -> Writer:
    return Writer(place, facts(run), spool=spool, note=notes.append)


def test_a_long_run_is_stored_while_it_goes_on(tmp_path: Path) -> None:
    place = Place(tmp_path / "h.sqlite")
    writer = _writer(place, tmp_path, [])
    for n in range(3):
        writer.add(attempt(n))
    late = attempt(3)._replace(started=attempt(3).started + BATCH_S)
    writer.add(late)
    early = [attempt(n) for n in range(3)]
    waiting = Retrying(
        retry=retry_if_result(lambda stored: stored != early),
        wait=wait_fixed(0.02), stop=stop_after_delay(30),
    )  # fmt: skip
    waiting(_stored, place)
    writer.end(END)
    assert _stored(place) == [*map(attempt, range(3)), late]


def _stored(place: Place) -> list[Attempt]:
    with History.open(place) as history:
        return [one for run in history.runs("p") for one in history.attempts(run.id)]


def test_a_locked_history_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path / "h.sqlite")
    History.open(place).close()
    monkeypatch.setattr("pytest_proxmox.flaky.history.BUSY_S", 0.05)
    notes: list[str] = []
    with sqlite3.connect(tmp_path / "h.sqlite") as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(History.open.__func__, "__kwdefaults__", {"busy_s": 0.05})  # type: ignore[attr-defined]
        writer = _writer(place, tmp_path, notes)
        writer.add(attempt(1, bad=True))
        writer.end(END)
        other.rollback()
    assert "locked" in notes[0]
    assert len(list(tmp_path.glob(KEPT))) == 1
    later = _writer(place, tmp_path, notes, "r2")
    later.add(attempt(1))
    later.end(END)
    with History.open(place) as history:
        kept = [history.attempts(run.id) for run in history.runs("p")]
    assert kept == [[attempt(1, bad=True)], [attempt(1)]]
    assert list(tmp_path.glob(KEPT)) == []


def test_a_broken_history_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    path.write_bytes(b"no database at all" * 100)
    notes: list[str] = []
    writer = _writer(Place(path), tmp_path, notes)
    writer.add(attempt(1))
    writer.end(END)
    assert "not a database" in notes[0]
    assert path.read_bytes() == b"no database at all" * 100
    assert len(list(tmp_path.glob(KEPT))) == 1


def test_a_run_without_tests_makes_no_file(tmp_path: Path) -> None:
    _writer(Place(tmp_path / "h.sqlite"), tmp_path, []).end(END)
    assert list(tmp_path.iterdir()) == []


def test_a_place_does_not_show_its_password() -> None:
    place = Place.parse("postgresql+psycopg://me:hush@db.example/runs?x=1", origin="here")
    assert str(place) == repr(place) == "postgresql://me@db.example/runs"
    assert "hush" in place.url


def test_another_database_is_refused() -> None:
    with pytest.raises(InvalidValue, match="mysql"):
        Place.parse("mysql://x/y", origin="option --flaky-history")
