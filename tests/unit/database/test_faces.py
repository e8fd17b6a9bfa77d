"""The drivers' faces: what virtual connections and their cursors do like the drivers' own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from pytest_proxmox.database.postgresql import VirtualPostgres
from pytest_proxmox.database.sessions import IsolatedTest
from pytest_proxmox.database.sqlite import SqliteReal, VirtualSqlite, split_script
from pytest_proxmox.errors import IsolationError, StaleTransaction
from tests.unit.database.isolation.worlds import World, world

INSERT = "INSERT INTO shelves (name) VALUES ('x')"
COUNT = "SELECT count(*) FROM shelves"


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An application on a file."""
    with world("sqlite-file", tmp_path_factory.mktemp("lite")) as made:
        yield made


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An application on a server."""
    with world("postgresql", tmp_path_factory.mktemp("postgres")) as made:
        yield made


@pytest.fixture(params=["lite", "postgres"])
def w(request: pytest.FixtureRequest) -> World:
    """An application on either."""
    made: World = request.getfixturevalue(request.param)
    return made


def face(w: World, test: IsolatedTest) -> Any:
    """What SQLAlchemy takes for the driver's connection."""
    return test.connection().connection.dbapi_connection


def count(virtual: Any) -> int:
    """How many shelves a connection sees."""
    return int(virtual.execute(COUNT).fetchone()[0])


def test_a_virtual_connection_passes_for_the_drivers(w: World) -> None:
    with w.test() as test:
        virtual = face(w, test)
        driver = sqlite3.Connection if w.variant == "sqlite-file" else psycopg.Connection

        assert isinstance(virtual, driver)
        assert virtual.cursor().connection is virtual


def test_a_with_block_commits_or_rolls_back(w: World) -> None:
    with w.test() as test:
        virtual = face(w, test)
        with virtual as same:
            same.execute(INSERT)
        assert count(virtual) == 2
        virtual.commit()

        def fail() -> None:
            with virtual:
                virtual.execute(INSERT.replace("x", "y"))
                raise OSError("no")

        with pytest.raises(OSError, match="no"):
            fail()
        assert count(virtual) == 2


def test_a_close_rolls_back(w: World) -> None:
    with w.test() as test:
        virtual = face(w, test)
        virtual.execute(INSERT)
        virtual.close()

        assert count(virtual) == 1


def test_autocommit_keeps_each_statement_but_those_of_a_begun_transaction(w: World) -> None:
    with w.test() as test:
        virtual = face(w, test)
        if w.variant == "sqlite-file":
            assert virtual.isolation_level == ""
            virtual.isolation_level = None
            assert virtual.isolation_level is None
        else:
            assert virtual.autocommit is False
            virtual.autocommit = True
            assert virtual.autocommit is True
        virtual.execute(INSERT)
        virtual.rollback()
        assert count(virtual) == 2
        virtual.execute("BEGIN")
        virtual.execute(INSERT.replace("x", "y"))
        virtual.execute("ROLLBACK")
        assert count(virtual) == 2
        virtual.auto = False


def test_a_savepoint_that_is_not_there_is_the_drivers_error(w: World) -> None:
    kind, text = (
        (sqlite3.OperationalError, "no such savepoint: nowhere")
        if w.variant == "sqlite-file"
        else (psycopg.errors.InvalidSavepointSpecification, 'savepoint "nowhere" does not exist')
    )
    with w.test() as test:
        virtual = face(w, test)
        virtual.execute(INSERT)
        with pytest.raises(kind, match=text):
            virtual.execute("RELEASE SAVEPOINT nowhere")
        if w.variant == "sqlite-file":
            assert count(virtual) == 2
        else:  # the whole transaction has failed
            with pytest.raises(psycopg.errors.InFailedSqlTransaction):
                virtual.execute(COUNT)
        virtual.rollback()
        assert count(virtual) == 1


def test_of_two_savepoints_of_a_name_the_younger_is_meant(w: World) -> None:
    with w.test() as test:
        virtual = face(w, test)
        virtual.execute("SAVEPOINT s")
        virtual.execute(INSERT)
        virtual.execute("SAVEPOINT s")
        virtual.execute(INSERT.replace("x", "y"))
        virtual.execute("ROLLBACK TO SAVEPOINT s")
        assert count(virtual) == 2
        virtual.execute("RELEASE SAVEPOINT s")
        virtual.execute("ROLLBACK TO SAVEPOINT s")
        assert count(virtual) == 1
        virtual.rollback()


def test_a_stale_transaction_names_its_test_and_the_way_out(w: World) -> None:
    with w.test():
        connection = w.isolation.engine.connect()  # nobody closes it with the test
        virtual: Any = connection.connection.dbapi_connection
        virtual.execute(INSERT)
    for do, what in ((virtual.commit, "commits"), (lambda: virtual.execute(COUNT), "goes on")):
        with pytest.raises(StaleTransaction) as caught:
            do()
        assert str(caught.value).endswith(
            f" {what} with a transaction that was begun in the test a test, which has ended and "
            "was undone. Close the session in its own test, or call rollback() on it before you "
            "use it again"
        )
    virtual.rollback()
    with w.test():
        assert count(virtual) == 1
        connection.close()


def test_other_names_are_those_of_the_real_connection(w: World) -> None:
    with w.test() as test:
        virtual = face(w, test)
        if w.variant == "sqlite-file":
            assert virtual.total_changes == w.isolation.store.real.connection.total_changes
        else:
            assert virtual.info.dbname == w.isolation.store.url.database
        with pytest.raises(AttributeError):
            virtual.no_such_name  # noqa: B018


def test_without_the_outer_transaction_a_session_has_a_connection_of_its_own(w: World) -> None:
    with w.test(transaction=False) as test:
        virtual = face(w, test)
        if w.variant == "sqlite-file":
            virtual.isolation_level = None
            assert virtual.own().isolation_level is None
            assert virtual.execute("PRAGMA foreign_keys").fetchone() == (1,)
        else:
            virtual.autocommit = True
            assert virtual.own().autocommit is True
            virtual.autocommit = False
            virtual.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
            assert virtual.own().isolation_level is psycopg.IsolationLevel.SERIALIZABLE
            assert virtual.isolation_level is psycopg.IsolationLevel.SERIALIZABLE
        own = virtual.own()
        assert own is virtual.own() is virtual.private
        assert own is not w.isolation.store.real.connection
        virtual.drop_own()
        assert virtual.private is None
        virtual.drop_own()
        virtual.auto = False


# SQLite ---------------------------------------------------------------------------------------


@pytest.fixture
def virtual(lite: World) -> Iterator[Any]:
    """SQLite's face in a test."""
    with lite.test() as test:
        virtual = face(lite, test)
        virtual.executemany("INSERT INTO shelves (name) VALUES (?)", [("x",), ("y",), ("z",)])
        yield virtual


def test_rows_are_fetched_in_every_way(virtual: Any) -> None:
    def cursor() -> Any:
        return virtual.execute("SELECT name FROM shelves ORDER BY id")

    rows = [("base",), ("x",), ("y",), ("z",)]
    assert list(cursor()) == rows
    some = cursor()
    assert [some.fetchone(), some.fetchmany(2), some.fetchmany(5)] == [rows[0], rows[1:3], rows[3:]]
    assert (some.fetchone(), some.fetchmany(), some.fetchall()) == (None, [], [])
    one = cursor()
    assert (one.fetchmany(), one.fetchall(), one.fetchall()) == (rows[:1], rows[1:], [])
    assert next(iter(cursor())) == rows[0]
    assert virtual.execute(INSERT.replace("x", "w")).fetchall() == []


def test_a_transaction_is_open_once_something_was_written(lite: World) -> None:
    with lite.test() as test:
        virtual = face(lite, test)
        seen = [virtual.in_transaction]
        virtual.execute(INSERT)
        seen.append(virtual.in_transaction)
        virtual.commit()
        seen.append(virtual.in_transaction)

    assert seen == [False, True, False]


def test_a_script_is_run_statement_by_statement(virtual: Any) -> None:
    virtual.executescript("INSERT INTO shelves (name) VALUES ('a;b'); DELETE FROM items; ")

    assert count(virtual) == 5


@pytest.mark.parametrize(
    ("script", "parts"),
    [
        ("", []),
        (" ; ", [" ;"]),
        ("SELECT 1; SELECT ';' ;SELECT 2", ["SELECT 1;", " SELECT ';' ;", "SELECT 2"]),
        (
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END;",
            ["CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END;"],
        ),
    ],
    ids=["empty", "nothing", "three", "a trigger"],
)
def test_a_script_is_split_where_a_statement_is_complete(script: str, parts: list[str]) -> None:
    assert list(split_script(script)) == parts


def test_a_rollback_by_sqlite_itself_is_told(lite: World) -> None:
    test = IsolatedTest(lite.isolation, "a test")
    virtual = face(lite, test)
    virtual.execute(INSERT)
    with pytest.raises(IsolationError) as caught:
        virtual.execute("INSERT OR ROLLBACK INTO shelves (name) VALUES ('x')")
    with pytest.raises(IsolationError, match="was ended behind our back"):
        test.end()

    assert str(caught.value) == (
        "SQLite rolled the whole transaction of a test back (UNIQUE constraint failed: "
        "shelves.name), as ON CONFLICT ROLLBACK and RAISE(ROLLBACK) do: the test's own rows are "
        "gone too. Mark the test @pytest.mark.db(transaction=False)"
    )


def test_a_pragma_that_cannot_change_in_a_transaction_is_only_read(virtual: Any) -> None:
    before = virtual.execute("PRAGMA synchronous").fetchone()

    virtual.execute("PRAGMA main.synchronous = OFF")

    assert virtual.execute("PRAGMA synchronous").fetchone() == before


def test_a_function_is_defined_for_all_sessions(virtual: Any, lite: World) -> None:
    for _ in range(2):
        virtual.create_function("twice", 1, lambda value: 2 * value, deterministic=True)

    assert virtual.execute("SELECT twice(21)").fetchone() == (42,)
    assert lite.isolation.store.real.connection.execute("SELECT twice(2)").fetchone() == (4,)


def test_a_function_in_use_stays_and_a_new_error_is_raised() -> None:
    real = SqliteReal(None)

    class Busy:
        def create_function(self, *_: Any, **__: Any) -> None:
            raise sqlite3.OperationalError("in use")

    real.create_function("f", 1, int)
    real.connection.close()
    setattr(real, "connection", Busy())  # noqa: B010  # the type checker believes the first one

    real.create_function("f", 1, int)
    for name, arguments in (("f", 2), ("g", 1)):
        with pytest.raises(sqlite3.OperationalError, match="in use"):
            real.create_function(name, arguments, int)


def test_a_failed_sqlite_transaction_is_the_drivers_error(lite: World) -> None:
    error = lite.isolation.store.driver.aborted()

    assert (type(error), str(error)) == (
        sqlite3.OperationalError,
        "the transaction has failed",
    )
    assert lite.isolation.store.driver.driver_class is VirtualSqlite


# PostgreSQL -----------------------------------------------------------------------------------


def test_rows_are_copied_in_and_out_inside_the_test(postgres: World) -> None:
    with postgres.test() as test:
        virtual = face(postgres, test)
        with virtual.cursor().copy("COPY shelves (name) FROM STDIN") as copy:
            copy.write_row(("x",))
        with virtual.cursor().copy("COPY (SELECT %s) TO STDOUT", ["y"]) as copy:
            rows = b"".join(bytes(part) for part in copy)

        assert rows == b"y\n"
        assert count(virtual) == 2
        virtual.rollback()
        assert count(virtual) == 1


@pytest.mark.parametrize(
    "query",
    [INSERT.encode(), sql.SQL(INSERT), sql.Composed([sql.SQL(INSERT)])],
    ids=["bytes", "SQL", "composed"],
)
def test_a_query_of_any_kind_is_inside_the_test(postgres: World, query: Any) -> None:
    with postgres.test() as test:
        virtual = face(postgres, test)
        virtual.execute(query)
        assert count(virtual) == 2
        virtual.rollback()
        assert count(virtual) == 1


def test_a_cursor_with_a_name_is_on_the_server(postgres: World) -> None:
    with postgres.test() as test:
        virtual = face(postgres, test)
        virtual.execute(INSERT)
        for cursor in (virtual.cursor("one"), virtual.cursor(name="two")):
            assert isinstance(cursor, psycopg.ServerCursor)
            assert cursor.connection is virtual
            assert len(cursor.execute("SELECT * FROM shelves").fetchall()) == 2
            cursor.close()


def test_an_error_in_autocommit_mode_takes_nothing_else_along(postgres: World) -> None:
    with postgres.test() as test:
        virtual = face(postgres, test)
        virtual.autocommit = True
        virtual.execute(INSERT)
        with pytest.raises(psycopg.errors.UniqueViolation):
            virtual.execute(INSERT)

        assert count(virtual) == 2
        virtual.autocommit = False


def test_a_failed_transaction_ignores_commands_as_the_server_does(postgres: World) -> None:
    with postgres.test() as test:
        virtual = face(postgres, test)
        with pytest.raises(psycopg.errors.UndefinedTable):
            virtual.execute("SELECT * FROM nothing")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction) as caught:
            virtual.execute(COUNT)
        virtual.commit()  # which is a rollback then
        assert count(virtual) == 1

    assert str(caught.value) == (
        "current transaction is aborted, commands ignored until end of transaction block"
    )
    assert postgres.isolation.store.driver.driver_class is VirtualPostgres


def test_a_query_that_steers_is_understood_in_every_form(postgres: World) -> None:
    with postgres.test() as test:
        virtual = face(postgres, test)
        for steer in ("ROLLBACK", b"ROLLBACK", sql.SQL("ROLLBACK")):
            virtual.execute("INSERT INTO shelves (name) VALUES (%s)", ("x",))
            virtual.execute(steer)
            assert count(virtual) == 1


def test_a_cursor_of_a_connection_of_its_own_has_its_name(postgres: World) -> None:
    with postgres.test(transaction=False) as test:
        virtual = face(postgres, test)
        with virtual.cursor("mine") as cursor:
            assert cursor.name == "mine"
            assert cursor.connection is virtual.own()


def test_a_session_from_before_a_test_goes_on_after_it(w: World) -> None:
    connection = w.isolation.engine.connect()
    virtual: Any = connection.connection.dbapi_connection
    virtual.execute(INSERT)
    test = IsolatedTest(w.isolation, "a test")
    face(w, test).execute(INSERT.replace("x", "y"))
    assert count(virtual) == 3
    virtual.commit()
    test.end()
    assert count(virtual) == 2
    virtual.rollback()
    assert count(virtual) == 1
    connection.rollback()
    connection.close()


def test_a_test_may_have_as_many_connections_as_it_likes(w: World) -> None:
    with w.test():
        many = [w.isolation.engine.connect() for _ in range(20)]
        for connection in many:
            connection.close()

    assert len(many) == 20
