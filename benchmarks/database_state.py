"""What looking at the database's state costs: the cheap counters, and the full checksum."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select
from sqlalchemy.orm import Session

from benchmarks.harness import Measure, Row, at_most, compare
from pytest_proxmox.database.isolation import Isolation
from pytest_proxmox.database.sessions import IsolatedTest
from pytest_proxmox.database.state import Inspector
from pytest_proxmox.database.stores import PostgresStore, SqliteStore

TABLES, ROWS = 12, 100
TESTS = 20  # few and often: what disturbs the machine disturbs one pair
CHECKSUM_S = 0.010  # the bound of the full checksum: an absolute time, so the peer is a constant


def _metadata() -> MetaData:
    metadata = MetaData()
    for n in range(TABLES):
        table = Table(f"t{n}", metadata, Column("id", Integer, primary_key=True))
        table.append_column(Column("name", String(50)))
        for i in range(4):
            table.append_column(Column(f"c{i}", Integer))
    return metadata


def _make_schema(engine: Any) -> None:
    metadata = _metadata()
    metadata.create_all(engine)
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            rows = [{"name": f"row {n}", **{f"c{i}": n * i for i in range(4)}} for n in range(ROWS)]
            connection.execute(insert(table), rows)


class Unwatched(Isolation):
    """The same isolation that never looks whether somebody else committed."""

    def install(self) -> None:
        """Install, and end tests without reading PostgreSQL's transaction ids."""
        super().install()
        real = self.store.real
        self._abandon, self._start = real.abandon, real.start

        def abandon(savepoint: str, *, whole: bool) -> None:
            real.control(
                f"ROLLBACK TO {savepoint}", "ROLLBACK" if whole else f"RELEASE {savepoint}"
            )

        real.abandon, real.start = abandon, real.control

    def uninstall(self) -> None:
        """Look again."""
        self.store.real.abandon, self.store.real.start = self._abandon, self._start
        super().uninstall()

    def begin(self, name: str, **options: Any) -> None:
        """Begin without looking."""
        self.watch.test = name
        self.wire.begin_test(name, outer=True)

    def end(self) -> None:
        """End without looking."""
        self.watch.test = ""
        self.wire.end_test()


def _tests(isolation: Isolation) -> Callable[[], None]:
    """Return tests that do what those of ``benchmarks.database`` do."""
    table = _metadata().tables["t0"]

    def run() -> None:
        for _ in range(TESTS):
            test = IsolatedTest(isolation, "a test")
            session: Session = test.session()
            session.execute(insert(table).values(name="a"))
            session.commit()
            session.execute(select(func.count()).select_from(table))
            test.end()

    return run


def _timed(isolation: Isolation) -> Measure:
    run = _tests(isolation)

    def measure() -> float:
        isolation.install()
        try:
            began = time.perf_counter()
            run()
            return time.perf_counter() - began
        finally:
            isolation.uninstall()

    return measure


def rows() -> list[Row]:
    """Return two rows for each kind of database."""
    made: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        stores: list[tuple[str, Any]] = [
            ("SQLite file", SqliteStore(Path(folder) / "t.db", _make_schema)),
            (
                "PostgreSQL",
                PostgresStore(None, _make_schema, worker="gw0", fingerprint="benchmark"),
            ),
        ]
        for name, store in stores:
            made += _rows_of(name, store)
            store.close()
    return made


def _rows_of(name: str, store: Any) -> list[Row]:
    inspector = Inspector(store)

    def checksum() -> float:
        began = time.perf_counter()
        inspector.catalog.fingerprint()
        return time.perf_counter() - began

    return [
        compare(
            f"state looked at, nothing moved, {name}",
            _timed(Isolation(store, inspector=inspector)),
            _timed(Unwatched(store, inspector=inspector)),
            against="never looked at",
            bound=at_most(1.10),
            pairs=201,
        ),
        compare(
            f"checksum of {TABLES} x {ROWS} rows, {name}",
            checksum,
            lambda: CHECKSUM_S,
            against="10 ms",
            bound=at_most(1.0),
            pairs=25,
        ),
    ]
