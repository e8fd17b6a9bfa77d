"""Who else commits on a PostgreSQL server: seen with dates of commits, and without them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from unittest import mock

import psycopg
import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.database import postgresql
from pytest_proxmox.database.commits import Commit, Dates, Snapshots
from pytest_proxmox.database.postgresql import PostgresReal
from pytest_proxmox.database.server import TemporaryPostgres
from tests.unit.database.isolation import escapes
from tests.unit.database.isolation.registry import CASES
from tests.unit.database.isolation.worlds import World, drive, world

WATCHES = [pytest.param(Dates, id="dates"), pytest.param(Snapshots, id="snapshots")]


@pytest.fixture(scope="module")
def server() -> Iterator[TemporaryPostgres]:
    """A server with one table."""
    server = TemporaryPostgres().start()
    url = server.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE things (id int)")
    yield server
    server.stop()


@pytest.fixture
def parameters(server: TemporaryPostgres) -> dict[str, object]:
    """What psycopg connects with."""
    url = server.url
    return {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "dbname": url.database,
    }


@pytest.fixture(params=WATCHES)
def real(request: pytest.FixtureRequest, parameters: dict[str, object]) -> Iterator[PostgresReal]:
    """The connection of the tests, at the start of one."""
    real = PostgresReal(parameters, watch=request.param)
    real.mark()
    yield real
    real.close()


@pytest.fixture
def other(parameters: dict[str, object]) -> Iterator[psycopg.Connection[object]]:
    """The connection of somebody else."""
    connection = psycopg.connect(**parameters)  # type: ignore[arg-type]  # text and numbers
    yield connection
    connection.close()


def run_test(real: PostgresReal, *statements: str) -> None:
    """What a test does on the real connection."""
    real.control("BEGIN", "SAVEPOINT pp_outer", *statements)
    real.abandon("pp_outer", whole=True)


def test_server_that_dates_its_commits_is_asked_for_dates(parameters: dict[str, object]) -> None:
    real = PostgresReal(parameters)
    assert real.dated
    real.close()


def test_tests_own_writes_are_no_commit(real: PostgresReal) -> None:
    run_test(
        real,
        "INSERT INTO things VALUES (1)",
        "SAVEPOINT a",
        "INSERT INTO things VALUES (2)",
        "ROLLBACK TO a",
        "SAVEPOINT b",
        "INSERT INTO things VALUES (3)",
        "RELEASE b",
    )
    assert real.foreign() is Commit.NONE


def test_commit_during_a_test_is_seen_once(
    real: PostgresReal, other: psycopg.Connection[object]
) -> None:
    other.execute("INSERT INTO things VALUES (1)")
    other.commit()
    run_test(real, "INSERT INTO things VALUES (2)")
    assert real.foreign() is Commit.RECENT
    assert real.foreign() is Commit.NONE


def test_rollback_of_others_is_no_commit(
    real: PostgresReal, other: psycopg.Connection[object]
) -> None:
    other.execute("INSERT INTO things VALUES (1)")
    run_test(real, "INSERT INTO things VALUES (2)")
    other.rollback()
    assert real.foreign() is Commit.NONE


def test_commit_of_a_transaction_that_was_running_is_seen(
    real: PostgresReal, other: psycopg.Connection[object]
) -> None:
    other.execute("INSERT INTO things VALUES (1)")
    for _ in range(3):  # younger transactions end before it
        run_test(real, "INSERT INTO things VALUES (2)")
        assert real.foreign() is Commit.NONE
    other.commit()
    run_test(real)
    assert real.foreign() is Commit.RECENT


def test_commit_that_is_known_is_no_news(
    real: PostgresReal, other: psycopg.Connection[object]
) -> None:
    other.execute("INSERT INTO things VALUES (1)")
    other.commit()
    real.remember()
    assert real.foreign() is Commit.NONE


def test_prepared_question_is_prepared_again(real: PostgresReal) -> None:
    real.control("DEALLOCATE ALL")
    assert real.foreign() is Commit.NONE
    run_test(real, "DEALLOCATE ALL")
    assert real.foreign() is Commit.NONE
    real.control("DEALLOCATE ALL")
    real.start("BEGIN", "SAVEPOINT pp_outer")
    assert real.in_transaction()
    assert real.foreign() is Commit.NONE


def test_date_tells_a_commit_before_the_test_from_one_in_it(
    parameters: dict[str, object], other: psycopg.Connection[object]
) -> None:
    real = PostgresReal(parameters, watch=Dates)
    other.execute("INSERT INTO things VALUES (1)")
    other.commit()
    real.mark()
    assert real.foreign() is Commit.EARLIER
    other.execute("INSERT INTO things VALUES (1)")
    other.commit()
    assert real.foreign() is Commit.RECENT
    real.close()


def test_clock_of_another_machine_is_reckoned_with(
    parameters: dict[str, object], other: psycopg.Connection[object]
) -> None:
    clock = ManualClock(start=1_000_000.0)  # long ago, as seen by the server
    real = PostgresReal(parameters, watch=Dates, clock=clock)
    other.execute("INSERT INTO things VALUES (1)")
    other.commit()
    clock.advance(3600)
    real.mark()
    assert real.foreign() is Commit.EARLIER
    real.close()


@pytest.fixture(scope="module")
def undated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The isolated application on a server that does not date its commits."""
    with ExitStack() as stack:
        with mock.patch.object(postgresql, "choose", Snapshots):
            made = stack.enter_context(world("postgresql", tmp_path_factory.mktemp("undated")))
        yield made


ESCAPES = sorted(
    name
    for name, case in CASES.items()
    if case.body.__module__ == escapes.__name__
    and "postgresql" in case.variants
    and "sync" in case.styles
)


@pytest.mark.parametrize("name", ESCAPES)
def test_escapes_are_caught_without_dates(name: str, undated: World) -> None:
    assert not undated.isolation.store.real.dated
    body = CASES[name].body
    undated.style, undated.code = "sync", body.__code__
    drive("sync", body(undated))
