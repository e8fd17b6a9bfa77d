"""Isolating: engines are led over and given back, and what cannot be isolated is told."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, QueuePool, create_engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import sessionmaker

from pytest_proxmox.database import escapes as watch
from pytest_proxmox.database.bindings import Binding, bind_of
from pytest_proxmox.database.escapes import EscapeWatch
from pytest_proxmox.database.isolation import Isolation
from pytest_proxmox.database.server import TemporaryPostgres
from pytest_proxmox.database.state import Inspector
from pytest_proxmox.database.stores import PostgresStore, SqliteStore
from pytest_proxmox.database.urls import Place
from pytest_proxmox.errors import DatabaseRefused, EscapedCommit, StateChanged
from tests.unit.database.isolation.worlds import Item, make_schema

INSERT = text("INSERT INTO items (name) VALUES ('a')")
COUNT = text("SELECT count(*) FROM items")


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    """A database in a file."""
    return SqliteStore(tmp_path / "t.db", make_schema)


@pytest.fixture
def isolation(store: SqliteStore) -> Iterator[Isolation]:
    """The isolation of a database that no application was named for."""
    isolation = Isolation(store, inspector=Inspector(store), worker="gw0")
    isolation.install()
    yield isolation
    isolation.close()


def count(engine: Engine) -> int:
    """How many items an engine sees."""
    with engine.connect() as connection:
        return int(connection.execute(COUNT).scalar_one())


# Engines --------------------------------------------------------------------------------------


def test_an_engine_of_the_same_place_is_led_over_without_being_named(
    isolation: Isolation, store: SqliteStore
) -> None:
    engine = create_engine(store.url)
    isolation.begin("a test")
    with engine.begin() as connection:
        connection.execute(INSERT)
    assert count(isolation.engine) == 1
    isolation.end()

    assert count(engine) == 0
    engine.dispose()


def test_an_engine_of_another_place_is_left_alone(isolation: Isolation, tmp_path: Path) -> None:
    other = create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    make_schema(other)
    isolation.begin("a test")
    with other.begin() as connection:
        connection.execute(INSERT)
    isolation.end()

    assert count(other) == 1
    other.dispose()


def test_an_engine_of_an_alias_or_adopted_is_led_over(store: SqliteStore, tmp_path: Path) -> None:
    alias, adopted = (create_engine(f"sqlite:///{tmp_path / name}.db") for name in ("a", "b"))
    isolation = Isolation(store, inspector=Inspector(store), aliases=[Place.of(alias.url)])
    isolation.install()
    isolation.adopt(adopted)
    isolation.begin("a test")
    assert (count(alias), count(adopted)) == (0, 0)  # theirs have no tables
    isolation.end()
    isolation.close()

    for engine in (alias, adopted):
        engine.dispose()
        with pytest.raises(OperationalError, match="no such table"):
            count(engine)
        engine.dispose()


def test_memories_are_not_one_place(tmp_path: Path) -> None:
    store = SqliteStore(None, make_schema)
    isolation = Isolation(store, inspector=Inspector(store))
    isolation.install()
    other = create_engine("sqlite://", poolclass=QueuePool)
    with pytest.raises(OperationalError, match="no such table"):
        count(other)
    isolation.close()
    other.dispose()


def test_named_things_are_led_over_and_given_back(store: SqliteStore, tmp_path: Path) -> None:
    own = create_engine(f"sqlite:///{tmp_path / 'own.db'}")
    make_schema(own)
    local: Any = sessionmaker()
    late = sessionmaker()
    bindings = [
        bind_of("app:engine", own, origin="test"),
        bind_of("app:Local", local, origin="test"),
        Binding("app:Async", None, None, lambda bind: late.configure(bind=bind), is_async=True),
    ]
    isolation = Isolation(store, inspector=Inspector(store), bindings=bindings)
    isolation.install()
    assert local.kw["bind"] is isolation.app_engine
    assert late.kw["bind"] is isolation.async_engine
    isolation.begin("a test")
    with local() as session:
        session.add(Item(name="a"))
        session.commit()
    assert (count(own), count(isolation.engine)) == (1, 1)
    isolation.end()

    isolation.close()

    assert [made.kw["bind"] for made in (local, late)] == [None, None]
    assert count(own) == 0
    own.dispose()


def test_an_engine_of_another_kind_cannot_be_led_over(store: SqliteStore) -> None:
    other = create_engine("postgresql+psycopg://localhost/app")
    isolation = Isolation(
        store, inspector=Inspector(store), bindings=[Binding("app:engine", other, other)]
    )
    before = AsyncEngine.__dict__["sync_engine"]

    with pytest.raises(DatabaseRefused) as caught:
        isolation.install()

    assert AsyncEngine.__dict__["sync_engine"] is before
    assert not event.contains(Engine, "do_connect", isolation._connect)
    isolation.close()
    assert str(caught.value) == (
        "app:engine is an engine of postgresql, the test database is sqlite (ini key db_bind). Set "
        "db_url = postgresql, or name the app's SessionLocal instead"
    )


def test_an_asynchronous_engine_keeps_its_own_url(isolation: Isolation, tmp_path: Path) -> None:
    other = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'other.db'}")
    ours = create_async_engine(isolation.store.url.set(drivername="sqlite+aiosqlite"))

    assert other.url.database == str(tmp_path / "other.db")
    assert other.sync_engine.url.database == str(tmp_path / "other.db")
    assert ours.sync_engine is isolation.facade
    assert isolation.async_engine is isolation.async_engine
    assert isolation.async_engine.sync_engine is isolation.facade
    assert isolation.front_async_engine.sync_engine is not isolation.facade


def test_sqlalchemy_is_as_before_when_the_isolation_ends(store: SqliteStore) -> None:
    slot, url = AsyncEngine.__dict__["sync_engine"], AsyncEngine.__dict__["url"]
    isolation = Isolation(store, inspector=Inspector(store))
    isolation.install()
    assert AsyncEngine.__dict__["sync_engine"] is not slot
    other = Isolation(store, inspector=Inspector(store))
    other.install()
    engine = create_async_engine("sqlite+aiosqlite://")
    assert str(engine.url) == "sqlite+aiosqlite://"

    other.uninstall()
    isolation.close()

    assert AsyncEngine.__dict__["sync_engine"] is slot
    assert AsyncEngine.__dict__["url"] is url
    for name, listener in (
        ("do_connect", isolation._connect),
        ("before_cursor_execute", isolation.watch._statement),
        ("commit", isolation.watch._commit),
        ("rollback", isolation.watch._rollback),
        ("handle_error", isolation.watch._failed),
    ):
        assert not event.contains(Engine, name, listener)


# What is found --------------------------------------------------------------------------------


def test_a_database_that_is_inconsistent_before_the_tests_is_refused(
    isolation: Isolation, store: SqliteStore
) -> None:
    store.real.control("PRAGMA foreign_keys = OFF")
    store.real.control("INSERT INTO items (id, name, shelf_id) VALUES (1, 'a', 9)")

    with pytest.raises(StateChanged) as caught:
        isolation.begin("test_it")

    assert str(caught.value) == (
        "the database is not consistent before test_it\n"
        "    items id=1 breaks items.shelf_id -> shelves.id: no such row in shelves\n"
        "Mend these rows where they are written, between the tests or by another process, or name "
        "an empty database in the ini key db_url"
    )


def test_a_write_past_sqlalchemy_is_told_with_its_test(
    isolation: Isolation, store: SqliteStore, tmp_path: Path
) -> None:
    isolation.begin("test_it")
    past = sqlite3.connect(tmp_path / "t.db")
    past.execute("INSERT INTO items (name) VALUES ('raw')")
    past.commit()
    past.close()

    with pytest.raises(StateChanged) as caught:
        isolation.end()

    assert str(caught.value) == (
        f"test_it left something in the database {store.url}: it was written past SQLAlchemy, or "
        "by another process, and was not undone\n"
        "    table items: 0 rows before, 1 after\n"
        "Write through the engine that the test is given, or mark the test "
        "@pytest.mark.db(transaction=False)"
    )
    isolation.begin("the next")
    isolation.end()


# Escapes --------------------------------------------------------------------------------------


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The application's own engine, on its own database, which is no temporary one."""
    monkeypatch.setattr(watch, "is_temporary", lambda path: False)
    engine = create_engine(f"sqlite:///{tmp_path / 'own.db'}")
    make_schema(engine)
    yield engine
    engine.dispose()


def test_an_escape_says_what_it_wrote_where_and_what_to_do(
    isolation: Isolation, foreign: Engine
) -> None:
    isolation.begin("test_it")
    with pytest.raises(EscapedCommit) as caught, foreign.begin() as connection:
        connection.execute(INSERT)
    escape = isolation.escape()

    assert escape is caught.value
    assert isolation.escape() is None
    isolation.end()
    url = foreign.url.render_as_string()
    said = str(escape)
    assert said.startswith(
        f"test_it: the engine {url} is not isolated, and commits outside the test's transaction. "
        f"It wrote:\n    {INSERT}\nat {escape.place}:\n"
    )
    assert "test_isolating.py" in escape.place
    assert said.endswith(
        "\nThe commit was refused. Name the engine or its session factory in the ini key db_bind, "
        f"or allow its commits with db_allow = {url}"
    )
    assert escape.statement == "INSERT INTO items (name) VALUES ('a')"
    assert count(foreign) == 0


def test_an_escape_that_was_swallowed_fails_the_test_at_its_end(
    isolation: Isolation, foreign: Engine
) -> None:
    isolation.begin("test_it")
    with pytest.raises(EscapedCommit), foreign.begin() as connection:
        connection.execute(INSERT)

    with pytest.raises(EscapedCommit, match="test_it: the engine"):
        isolation.end()
    isolation.begin("the next")
    isolation.end()


@pytest.mark.parametrize("how", ["reads", "rolls back", "is allowed", "between tests"])
def test_no_escape_is_what(isolation: Isolation, foreign: Engine, how: str) -> None:
    if how == "is allowed":
        isolation.watch.allow = (foreign.url.render_as_string(),)
    if how != "between tests":
        isolation.begin("test_it")
    with foreign.connect() as connection:
        connection.execute(COUNT if how == "reads" else INSERT)
        if how == "rolls back":
            connection.rollback()
            connection.execute(COUNT)
        connection.commit()
    if how != "between tests":
        isolation.end()

    assert isolation.escape() is None
    assert count(foreign) == (1 if how in ("is allowed", "between tests") else 0)


@pytest.mark.parametrize("where", ["engine", "connection", "none"])
def test_in_autocommit_mode_the_statement_itself_is_refused(
    isolation: Isolation, foreign: Engine, tmp_path: Path, where: str
) -> None:
    options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"} if where == "engine" else {}
    engine = create_engine(foreign.url, **options)
    isolation.begin("test_it")
    with engine.connect() as connection:
        if where == "connection":
            connection.execution_options(isolation_level="AUTOCOMMIT")
        if where == "none":
            connection.execute(INSERT)
        else:
            with pytest.raises(EscapedCommit):
                connection.execute(INSERT)
    isolation.escape()
    isolation.end()
    assert count(foreign) == 0
    engine.dispose()


def test_what_is_harmless_is_asked_once_until_the_allowed_change(foreign: Engine) -> None:
    seen = EscapeWatch(allow=[])
    assert not seen.is_harmless(foreign.url)
    seen.allow = (foreign.url.render_as_string(),)
    assert not seen.is_harmless(foreign.url)
    seen.forget()
    assert seen.is_harmless(foreign.url)


def test_a_file_in_the_temporary_folder_is_harmless(tmp_path: Path) -> None:
    seen = EscapeWatch(allow=[])

    assert seen.is_harmless(create_engine(f"sqlite:///{tmp_path / 'x.db'}").url)
    assert not seen.is_harmless(create_engine("sqlite://").url)


def test_an_engine_without_a_server_is_told_that_it_need_not_have_one(
    isolation: Isolation, tmp_path: Path
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'none' / 'x.db'}")

    def notes() -> list[str]:
        with pytest.raises(OperationalError) as caught:
            engine.connect()
        return getattr(caught.value, "__notes__", [])

    assert notes() == []
    isolation.begin("test_it")
    assert notes() == [
        f"The engine {engine.url} is not the test database: if it is the application's own, name "
        "it or its session factory in the ini key db_bind."
    ]
    isolation.end()


# PostgreSQL's databases -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[TemporaryPostgres]:
    """A server of somebody else."""
    server = TemporaryPostgres().start()
    yield server
    server.stop()


def databases(server: TemporaryPostgres) -> set[str]:
    """What there is of this name on the server; other tests have theirs there."""
    with _connect(server) as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'my%test%'")
        return {str(name) for (name,) in rows}


def _connect(server: TemporaryPostgres) -> psycopg.Connection[Any]:
    url = server.url.set(drivername="postgresql", database="postgres")
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)


def test_each_worker_has_a_copy_of_one_template(server: TemporaryPostgres) -> None:
    made: list[int] = []

    def make(engine: Engine) -> None:
        made.append(1)
        make_schema(engine)

    url = server.url.set(database="my-test")  # a name only: it does not exist there
    stores = [PostgresStore(url, make, worker=w, fingerprint="schema") for w in ("gw0", "gw1")]

    names = {f"my_test_{worker}_{os.getpid()}" for worker in ("gw0", "gw1")}
    assert {store.url.database for store in stores} == names
    assert len(made) == 1
    assert databases(server) == names | {"my-test_tpl_df0ad6e438"}
    for store in stores:
        store.close()
    assert databases(server) == {"my-test_tpl_df0ad6e438"}


def test_a_template_that_was_not_finished_is_made_again(server: TemporaryPostgres) -> None:
    url = server.url.set(database="half_test")

    def fail(engine: Engine) -> None:
        make_schema(engine)
        raise OSError("killed")

    with pytest.raises(OSError, match="killed"):
        PostgresStore(url, fail, worker="gw0", fingerprint="half")
    store = PostgresStore(url, make_schema, worker="gw0", fingerprint="half")

    assert store.real.connection.execute("SELECT name FROM shelves").fetchall() == [("base",)]
    store.close()


def test_a_write_of_a_driver_in_autocommit_mode_is_refused(
    isolation: Isolation, server: TemporaryPostgres
) -> None:
    engine = create_engine(server.url.set(database="postgres"))
    isolation.begin("test_it")
    with engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        raw.autocommit = True
        with pytest.raises(EscapedCommit, match="CREATE TABLE escaped"):
            connection.execute(text("CREATE TABLE escaped (id int)"))
        raw.autocommit = False
        connection.execute(text("CREATE TABLE undone (id int)"))
    isolation.escape()
    isolation.end()
    with engine.connect() as connection:
        found = connection.execute(text("SELECT to_regclass('escaped'), to_regclass('undone')"))
        assert found.one() == (None, None)
    engine.dispose()


def test_content_is_put_back_with_counters_also_where_the_schema_changed(
    server: TemporaryPostgres,
) -> None:
    store = PostgresStore(
        server.url.set(database="back_test"), make_schema, worker="gw0", fingerprint="back"
    )
    ask = store.real.connection.execute
    ask("INSERT INTO items (name) VALUES ('kept')")
    saved = store.save()
    ask("DELETE FROM items")
    ask("INSERT INTO shelves (name) VALUES ('new')")

    store.restore(saved)

    assert ask("SELECT id, name FROM items").fetchall() == [(1, "kept")]
    assert ask("SELECT name FROM shelves").fetchall() == [("base",)]
    before = store.real.connection
    ask("ALTER TABLE items ADD COLUMN extra int")
    store.restore(saved)
    assert store.real.connection is not before
    row = store.real.connection.execute(
        "INSERT INTO items (name) VALUES ('next') RETURNING items.*"
    ).fetchone()
    assert row == (2, "next", None)
    store.close()
