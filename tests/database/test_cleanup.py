"""TEST-001: clean-up in key order with patience, state before and after, schema checks."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, MetaData, Table, create_engine, text
from sqlalchemy.orm import Session

from pytest_proxmox.clock import SystemClock
from pytest_proxmox.database.helper import ATTEMPTS, DatabaseTestHelper
from pytest_proxmox.database.ids import UniqueIds
from pytest_proxmox.database.state import DbState
from pytest_proxmox.errors import CleanupFailed, IsolationError, StateChanged
from src_app.db.models import Base, Node
from tests.database.factories import Cluster, NodeFactory, StorageFactory


def raw_connection(engine: Engine) -> Any:
    """A second connection of the driver itself."""
    if engine.dialect.name == "sqlite":
        return sqlite3.connect(str(engine.url.database), check_same_thread=False, timeout=1)
    return psycopg.connect(engine.url.set(drivername="postgresql").render_as_string(False))


@contextmanager
def held_lock(engine: Engine, table: str) -> Iterator[Any]:
    """A second connection that holds the lock writers of ``table`` need."""
    if engine.url.database is None:
        pytest.skip("a database in memory has one connection: nobody else can hold its lock")
    connection = raw_connection(engine)
    if engine.dialect.name == "sqlite":
        connection.execute("BEGIN IMMEDIATE")
    else:
        connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
    try:
        yield connection
    finally:
        connection.rollback()
        connection.close()


def test_cleanup_empties_every_table(cluster: Cluster, db_helper: DatabaseTestHelper) -> None:
    removed = db_helper.cleanup_database()
    assert removed["nodes"] == 3
    assert removed["vms"] == 6
    db_helper.verify_state(empty=True)


def test_children_are_removed_before_their_parents(db_helper: DatabaseTestHelper) -> None:
    order = [table.name for table in db_helper.in_key_order()]
    for table in Base.metadata.tables.values():
        for key in table.foreign_keys:
            assert order.index(table.name) < order.index(key.column.table.name)


def test_cleanup_of_some_tables_leaves_the_others(
    cluster: Cluster, db_helper: DatabaseTestHelper, db_state: DbState
) -> None:
    assert db_helper.cleanup_database(["vms", Base.metadata.tables["tasks"]]) == {
        "vms": 6,
        "tasks": 3,
    }
    assert db_state.counts()["containers"] == 6


def test_cleanup_of_an_unknown_table_is_refused(db_helper: DatabaseTestHelper) -> None:
    with pytest.raises(CleanupFailed, match="no table lamps") as caught:
        db_helper.cleanup_database(["lamps"])
    assert caught.value.table == "lamps"


def test_cleanup_of_empty_tables_removes_nothing(db_helper: DatabaseTestHelper) -> None:
    assert set(db_helper.cleanup_database().values()) == {0}


@pytest.mark.db(transaction=False)
def test_cleanup_waits_for_a_lock_that_is_held_for_300_ms(
    cluster: Cluster, db_helper: DatabaseTestHelper, db_session: Session
) -> None:
    db_session.commit()
    with held_lock(db_helper.engine, "nodes") as lock:
        timer = threading.Timer(0.3, lock.rollback)
        timer.start()
        removed = db_helper.cleanup_database()
        timer.join()
    assert removed["nodes"] == 3


@pytest.mark.db(transaction=False)
def test_cleanup_ends_in_bounded_time_and_names_the_table(
    cluster: Cluster, db_helper: DatabaseTestHelper, db_session: Session
) -> None:
    db_session.commit()
    clock = SystemClock()
    began = clock.monotonic()
    with (
        held_lock(db_helper.engine, "vms"),
        pytest.raises(CleanupFailed, match=f"'vms' could not be deleted in {ATTEMPTS}") as caught,
    ):
        db_helper.cleanup_database(["vms"])
    assert caught.value.table == "vms"
    assert clock.monotonic() - began < 10


@pytest.mark.db(transaction=False)
def test_pauses_between_attempts_grow(
    cluster: Cluster, db_helper: DatabaseTestHelper, db_session: Session
) -> None:
    db_session.commit()
    pauses: list[float] = []

    class Patience(SystemClock):
        def sleep(self, duration_s: float) -> None:
            pauses.append(duration_s)

    helper = DatabaseTestHelper(db_helper.engine, Base.metadata, clock=Patience())
    with held_lock(db_helper.engine, "vms"), pytest.raises(CleanupFailed):
        helper.cleanup_database(["vms"])
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_full_reset_leaves_nothing(
    cluster: Cluster, db_helper: DatabaseTestHelper, db_state: DbState
) -> None:
    db_helper.full_reset()
    assert not any(db_state.counts()[name] for name in Base.metadata.tables)


def test_ids_start_again_after_a_full_reset(rows: None, db_helper: DatabaseTestHelper) -> None:
    node = NodeFactory.create_sync()
    first = StorageFactory.create_sync(node_id=node.id).id
    db_helper.full_reset()
    node = NodeFactory.create_sync()
    assert StorageFactory.create_sync(node_id=node.id).id <= first


def test_reset_sequences_does_not_give_an_id_twice(
    rows: None, db_helper: DatabaseTestHelper
) -> None:
    node = NodeFactory.create_sync()
    first = StorageFactory.create_sync(node_id=node.id)
    db_helper.reset_sequences()
    assert StorageFactory.create_sync(node_id=node.id).id > first.id


def test_state_that_did_not_change_passes(cluster: Cluster, db_helper: DatabaseTestHelper) -> None:
    before = db_helper.capture_state()
    db_helper.verify_state(since=before)


def test_new_row_is_told_by_its_table(rows: None, db_helper: DatabaseTestHelper) -> None:
    before = db_helper.capture_state()
    NodeFactory.create_sync()
    with pytest.raises(StateChanged, match="table nodes: 0 rows before, 1 after"):
        db_helper.verify_state(since=before)


def test_changed_value_is_told_by_its_table(
    cluster: Cluster, db_session: Session, db_helper: DatabaseTestHelper
) -> None:
    before = db_helper.capture_state()
    cluster.nodes[0].uptime_s += 1
    db_session.commit()
    with pytest.raises(StateChanged, match="table nodes: still 3 rows, but their content differs"):
        db_helper.verify_state(since=before)


def test_rows_that_are_left_are_told_by_table(
    cluster: Cluster, db_helper: DatabaseTestHelper
) -> None:
    with pytest.raises(StateChanged, match="table apps: 6 rows left"):
        db_helper.verify_state(empty=True)


def test_schema_of_the_models_is_valid(db_helper: DatabaseTestHelper) -> None:
    db_helper.validate_schema()
    assert db_helper.table_exists("nodes")


@pytest.mark.parametrize(
    ("sql", "finding"),
    [
        ("CREATE TABLE lamps (x INTEGER)", "table lamps is not in the metadata"),
        ("DROP TABLE settings", "table settings is missing"),
        ("ALTER TABLE nodes ADD COLUMN colour VARCHAR(9)", "column colour is not in the metadata"),
        ("ALTER TABLE vms DROP COLUMN name", "table vms: column name is missing"),
    ],
    ids=["extra table", "missing table", "extra column", "missing column"],
)
def test_schema_difference_is_named(
    sql: str, finding: str, db_session: Session, db_helper: DatabaseTestHelper
) -> None:
    db_session.execute(text(sql))
    db_session.commit()
    with pytest.raises(StateChanged, match=finding):
        db_helper.validate_schema()


def test_changed_type_is_named(db_helper: DatabaseTestHelper) -> None:
    other = MetaData()
    for table in Base.metadata.sorted_tables:
        table.to_metadata(other)
    lamps: Table = other.tables["settings"]
    lamps.c.value.type = other.tables["nodes"].c.cpu_count.type
    helper = DatabaseTestHelper(db_helper.engine, other)
    with pytest.raises(StateChanged, match="column value is TEXT, the metadata says INTEGER"):
        helper.validate_schema()


def test_changed_nullability_is_named(db_helper: DatabaseTestHelper) -> None:
    other = MetaData()
    for table in Base.metadata.sorted_tables:
        table.to_metadata(other)
    other.tables["settings"].c.value.nullable = False
    helper = DatabaseTestHelper(db_helper.engine, other)
    with pytest.raises(StateChanged, match="column value is nullable, the metadata says not null"):
        helper.validate_schema()


def test_table_existence_is_told(db_helper: DatabaseTestHelper) -> None:
    assert db_helper.table_exists("storages")
    assert not db_helper.table_exists("lamps")


def test_connection_is_ensured_and_closed(db_helper: DatabaseTestHelper) -> None:
    connection = db_helper.ensure_connection()
    assert db_helper.ensure_connection() is connection
    db_helper.close_connection()
    assert connection.closed
    assert not db_helper.ensure_connection().closed


def test_helper_without_a_state_says_where_to_get_one(db_helper: DatabaseTestHelper) -> None:
    with pytest.raises(StateChanged, match="fixture db_helper"):
        DatabaseTestHelper(db_helper.engine, Base.metadata).capture_state()


def test_backup_is_refused_inside_the_outer_transaction(db_state: DbState) -> None:
    with pytest.raises(IsolationError, match=r"transaction=False"):
        db_state.backup()


@pytest.mark.db(transaction=False)
def test_backup_and_restore_bring_every_row_back(
    cluster: Cluster, db_state: DbState, db_helper: DatabaseTestHelper, db_session: Session
) -> None:
    db_session.commit()
    before = db_state.fingerprint()
    saved = db_state.backup()
    db_helper.cleanup_database()
    assert db_state.changes(before)
    db_state.restore(saved)
    assert db_state.changes(before) == []


@pytest.mark.db(transaction=False)
def test_restore_brings_the_schema_back(db_state: DbState, db_session: Session) -> None:
    saved = db_state.backup()
    db_session.execute(text("CREATE TABLE lamps (x INTEGER)"))
    db_session.commit()
    db_session.close()
    db_state.restore(saved)
    assert "lamps" not in db_state.counts()
    db_state.verify()


@pytest.mark.parametrize("worker", ["gw0", "gw1", "gw12", "master"])
def test_ids_only_go_up(worker: str) -> None:
    ids = UniqueIds(worker)
    numbers = [ids.number("vmid") for _ in range(20)]
    assert numbers == sorted(set(numbers))
    assert numbers[0] >= 100


def test_ids_of_two_workers_never_meet() -> None:
    one, two = UniqueIds("gw0"), UniqueIds("gw1")
    ours = {one.number("vmid") for _ in range(500)} | {one.name("host") for _ in range(500)}
    theirs = {two.number("vmid") for _ in range(500)} | {two.name("host") for _ in range(500)}
    assert len(ours) == len(theirs) == 1000
    assert not ours & theirs


def test_orphan_that_the_test_makes_is_named(
    db_state: DbState, db_engine: Engine, db_session: Session
) -> None:
    if db_engine.dialect.name == "sqlite":
        db_session.execute(text("PRAGMA defer_foreign_keys = ON"))
    else:
        db_session.execute(text("SET LOCAL session_replication_role = replica"))
    db_session.execute(
        text(
            "INSERT INTO storages (name, type, content, shared, active, total_bytes, used_bytes, "
            "node_id, created_at, updated_at) VALUES ('local', 'dir', '[]', false, true, 0, 0, "
            "'nowhere', '2026-01-01', '2026-01-01')"
        )
    )
    with pytest.raises(StateChanged, match=r"storages id=.1?.* breaks .*nodes"):
        db_state.verify()
    db_session.rollback()


def test_urls_with_a_second_engine_share_the_test(db_engine: Engine, rows: None) -> None:
    if db_engine.url.database is None:
        pytest.skip("another engine in memory is another database")
    NodeFactory.create_sync(id="seen")
    second = create_engine(db_engine.url)
    with Session(second) as session:
        assert session.get(Node, "seen") is not None
    second.dispose()
