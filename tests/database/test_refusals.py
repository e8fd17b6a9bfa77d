"""What a PostgreSQL refuses is told by field, as what SQLite refuses is, and better."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, delete, insert, text
from sqlalchemy.exc import IntegrityError

from pytest_proxmox.database.server import TemporaryPostgres
from src_app.db.constraints import translate
from src_app.db.models import Base

TABLES = Base.metadata.tables
USER = {"username": "ada", "password_hash": "x"}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """A PostgreSQL of its own with the app's schema: the suite's own database may be SQLite."""
    server = TemporaryPostgres().start()
    engine = create_engine(server.url)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()
    server.stop()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A transaction that is rolled back; a node with a VM, and a user, are there."""
    with engine.connect() as connection:
        add(connection, "nodes", id="pve1", status="online")
        add(connection, "vms", id=100, node_id="pve1", name="web")
        add(connection, "users", **USER)
        yield connection


def add(connection: Connection, table: str, **values: Any) -> None:
    """Insert a row, unjudged by any repository."""
    connection.execute(insert(TABLES[table]).values(values))


@pytest.mark.parametrize(
    ("table", "values", "told"),
    [
        ("users", {"username": "bob", "password_hash": None}, "password_hash: is missing"),
        ("users", USER, "username: is taken"),
        ("users", {**USER, "username": "Bob"}, "username: must be in lower case"),
        ("nodes", {"id": "", "status": "online"}, "id: must not be empty"),
        (
            "vms",
            {"id": 7, "node_id": "pve1", "name": "low"},
            "id: must be 100 to 999999999",
        ),
        ("vms", {"id": 101, "node_id": "moon", "name": "far"}, "node_id: is not in nodes"),
    ],
    ids=["null", "unique", "check", "empty", "range", "foreign key"],
)
def test_refused_row_is_told_by_its_field(
    connection: Connection, table: str, values: dict[str, Any], told: str
) -> None:
    with pytest.raises(IntegrityError) as caught:
        add(connection, table, **values)
    assert str(translate(caught.value, "row", TABLES[table])) == f"row: {told}"


def test_row_that_others_refer_to_is_told_with_their_table(connection: Connection) -> None:
    with pytest.raises(IntegrityError) as caught:
        connection.execute(delete(TABLES["nodes"]))
    assert str(translate(caught.value, "node", TABLES["nodes"])) == "node: id: is still used by vms"


def test_constraint_that_the_schema_does_not_know_speaks_for_itself(
    connection: Connection,
) -> None:
    connection.execute(text("ALTER TABLE nodes ADD CONSTRAINT moonless CHECK (id <> 'moon')"))
    with pytest.raises(IntegrityError) as caught:
        add(connection, "nodes", id="moon", status="online")
    told = str(translate(caught.value, "node", TABLES["nodes"]))
    assert 'violates check constraint "moonless"' in told
