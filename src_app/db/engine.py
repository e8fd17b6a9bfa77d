"""The app manager's engine and its schema: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from src_app.db.errors import DatabaseUnusable

HERE = Path(__file__).parent
WRITES = "app_writes"  # execution option of a connection
MIGRATING = 0x61707073  # PostgreSQL's advisory locks have numbers; this is "apps"
LOCK_WAIT_S = 30.0  # a writer holds the file for milliseconds; many may stand in line


def make_engine(url: str) -> Engine:
    """Return an engine that enforces foreign keys on every connection.

    On SQLite readers do not wait for a writer, writers wait for one another, and a transaction
    is one: Python's own handling commits when the first savepoint is released.

    Raises:
        DatabaseUnusable: the URL is none, or of another kind of database.
    """
    place = parse_url(url)
    if place.get_backend_name() == "sqlite":
        engine = create_engine(place, connect_args={"timeout": LOCK_WAIT_S})
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return engine
    return create_engine(place, pool_pre_ping=True, pool_size=10, max_overflow=20)


def parse_url(text: str) -> URL:
    """Return the place of the database; PostgreSQL's driver is psycopg, whatever the URL says.

    Raises:
        DatabaseUnusable: it is no URL, or of another kind of database.
    """
    known = "Give sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
    try:
        place = make_url(text.replace("postgres://", "postgresql://", 1))
    except ArgumentError as exc:  # its text would show the password, so ours shows nothing
        raise DatabaseUnusable(f"The URL in APP_DATABASE_URL is none. {known}") from exc
    kind = place.drivername.partition("+")[0]
    if kind == "postgresql":
        return place.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise DatabaseUnusable(f'APP_DATABASE_URL names a database of kind "{kind}". {known}')
    return place


def _begin(connection: Connection) -> None:
    """Open the transaction; one that will write takes its turn before it reads."""
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    """Return the factory of sessions on ``engine``."""
    return sessionmaker(engine, expire_on_commit=False)


def sessions(factory: sessionmaker[Session]) -> Iterator[Session]:
    """Yield one session for one request, closed afterwards."""
    with factory() as session:
        yield session


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema of ``engine``'s database to ``revision``.

    Of several processes that start at once one does it; the others wait, and find it done.

    Raises:
        DatabaseUnusable: it cannot be opened, or its schema is not one that this program knows.
    """
    try:
        _upgrade(engine, revision)
    except (DBAPIError, CommandError) as exc:
        cause = getattr(exc, "orig", None) or exc
        shown = engine.url.render_as_string(hide_password=True)
        told = str(cause).strip().partition("\n")[0]
        raise DatabaseUnusable(
            f"The database {shown} (APP_DATABASE_URL) cannot be used: {told}"
        ) from exc


def _upgrade(engine: Engine, revision: str) -> None:
    config = Config(str(HERE / "alembic.ini"))
    with engine.connect() as opened:
        connection = opened.execution_options(**{WRITES: True})
        with connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(MIGRATING)))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
