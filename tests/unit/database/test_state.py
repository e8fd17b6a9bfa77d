"""The state of a database: what differs, what leads nowhere, and the whole put aside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    text,
)

from pytest_proxmox.database.catalogs import TableState
from pytest_proxmox.database.state import DbState, differences, schema_differences
from pytest_proxmox.errors import IsolationError, StateChanged
from tests.unit.database.isolation.worlds import Base, Item, World, world


@pytest.fixture(params=["sqlite-memory", "sqlite-file"])
def w(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A small application on one kind of database."""
    with world(request.param, tmp_path) as made:
        yield made


def test_tables_differ_by_being_there_by_rows_and_by_content() -> None:
    def table(rows: int, checksum: str) -> Any:
        return TableState(rows, checksum)

    before = {"same": table(1, "a"), "gone": table(0, ""), "grown": table(1, "a")}
    before["other"] = table(2, "a")
    after = {"same": table(1, "a"), "new": table(0, ""), "grown": table(3, "b")}
    after["other"] = table(2, "b")

    assert list(differences(before, after)) == [
        "table gone: gone",
        "table grown: 1 rows before, 3 after",
        "table new: new",
        "table other: still 2 rows, but their content differs",
    ]


def test_a_test_sees_its_own_state(w: World) -> None:
    with w.test() as test:
        state = test.state(Base.metadata)
        before = state.fingerprint()
        session = test.session()
        session.add(Item(name="a"))
        session.flush()

        assert state.counts() == {"items": 1, "shelves": 1}
        assert state.changes(before) == ["table items: 0 rows before, 1 after"]
        assert (state.orphans(), state.schema()) == ([], [])
        state.verify()
        state.refuse_orphans("after")


def _orphan(test: Any) -> None:
    connection = test.connection()
    connection.execute(text("PRAGMA defer_foreign_keys = ON"))
    connection.execute(text("INSERT INTO items (id, name, shelf_id) VALUES (1, 'a', 99)"))


def test_an_orphan_is_named(w: World) -> None:
    with w.test() as test:
        _orphan(test)
        state = test.state(None)
        (orphan,) = state.orphans()

        with pytest.raises(StateChanged) as verified:
            state.verify()
        with pytest.raises(StateChanged) as refused:
            state.refuse_orphans("after")

    assert verified.value.findings == refused.value.findings == (str(orphan),)
    assert str(verified.value) == (
        f"the database is not what it should be\n    {orphan}\nDelete or mend the rows where "
        "they are written, move a counter with db_helper.reset_sequences(), and migrate where the "
        "schema differs"
    )
    assert str(refused.value) == (
        f"there are orphaned rows after the test\n    {orphan}\nDelete these rows together with "
        "those they refer to, e.g. with ON DELETE CASCADE in the model"
    )


class FakeCatalog:
    """Counters as the test likes."""

    def __init__(self, *counters: Any) -> None:
        self.counters = list(counters)

    def sequences(self) -> list[Any]:
        """Return them."""
        return self.counters

    def orphans(self) -> list[Any]:
        """Return none."""
        return []


class Counter:
    """A counter of ids: where it stands, and the highest that is in use."""

    def __init__(self, last: int | None, used: int) -> None:
        self.name, self.last, self.used = "items_id", last, used
        self.behind = (last or 0) < used


@pytest.mark.parametrize(
    ("last", "used", "findings"),
    [
        (3, 5, ("sequence items_id stands at 3, but id 5 is in use",)),
        (5, 5, ()),
        (None, 5, ()),
        (0, 5, ()),
    ],
    ids=["behind", "up to date", "never used", "at its start"],
)
def test_a_counter_behind_its_table_is_named(
    w: World, last: int | None, used: int, findings: tuple[str, ...]
) -> None:
    with w.test() as test:
        state = test.state(None)
        state._catalog = FakeCatalog(Counter(last, used))  # type: ignore[assignment]
        found: tuple[str, ...] = ()
        try:
            state.verify()
        except StateChanged as exc:
            found = exc.findings

    assert found == findings


def test_a_schema_that_is_not_the_metadatas_is_named(w: World) -> None:
    other = MetaData()
    Table("items", other, Column("id", Integer, primary_key=True), Column("name", String(50)))
    with w.test() as test:
        state = test.state(other)
        assert state.schema() == [
            "table items: column shelf_id is not in the metadata",
            "table items: column name is not null, the metadata says nullable",
            "table shelves is not in the metadata",
        ]
        with pytest.raises(StateChanged, match="table shelves is not in the metadata"):
            state.verify()
        assert test.state(None).schema() == []


def test_tables_and_columns_are_compared_by_name_type_and_nullability() -> None:
    engine = create_engine("sqlite://")
    there, wanted = MetaData(), MetaData()
    Table("alembic_version", there, Column("v", String(5)))
    Table("odd", there, Column("x", Integer))
    for metadata, name, kind in ((there, "late", Float), (wanted, "early", Integer)):
        Table(
            "things",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("size", kind),
            Column(name, Integer),
            Column("free", Integer, nullable=metadata is there),
        )
    Table("absent", wanted, Column("x", Integer))
    Table("elsewhere", wanted, Column("x", Integer), schema="other")
    there.create_all(engine)

    with engine.connect() as connection:
        found = list(schema_differences(connection, wanted))
        same = list(schema_differences(connection, there))

    engine.dispose()
    assert found == [
        "table absent is missing",
        "table odd is not in the metadata",
        "table things: column late is not in the metadata",
        "table things: column size is DOUBLE PRECISION, the metadata says INTEGER",
        "table things: column early is missing",
        "table things: column free is nullable, the metadata says not null",
    ]
    assert same == []


def test_the_whole_is_put_aside_and_back_in_a_test_that_commits(w: World) -> None:
    if w.variant == "sqlite-memory":
        pytest.skip("a memory has one connection, so its sessions have none of their own")
    with w.test(transaction=False) as test:
        state = test.state(None)
        saved = state.backup()
        session = test.session()
        session.add(Item(name="a"))
        session.commit()
        session.close()
        assert state.counts()["items"] == 1

        state.restore(saved)

        assert state.counts()["items"] == 0
        assert state.changes(w.baseline) == []


@pytest.mark.parametrize("what", ["backup", "restore"])
def test_in_a_transaction_nothing_is_put_aside(w: World, what: str) -> None:
    with w.test() as test:
        state = test.state(None)
        with pytest.raises(IsolationError) as caught:
            state.backup() if what == "backup" else state.restore(None)

    assert str(caught.value) == (
        f"db_state.{what}() is for tests that commit for real, and this one runs in a transaction "
        "that is undone. Mark it @pytest.mark.db(transaction=False)"
    )


def test_the_inspector_tells_what_changed_since_it_remembered(w: World) -> None:
    inspector = w.isolation.inspector
    inspector.remember()
    assert inspector.changes() == []
    w.isolation.store.real.control("INSERT INTO shelves (name) VALUES ('x')")

    assert inspector.changes() == ["table shelves: 1 rows before, 2 after"]
    inspector.remember()
    assert (inspector.changes(), inspector.inconsistencies()) == ([], [])


def test_a_state_belongs_to_its_isolation(w: World) -> None:
    state = DbState(w.isolation, Base.metadata)

    assert state.schema() == []
    assert state.counts() == {"items": 0, "shelves": 1}
