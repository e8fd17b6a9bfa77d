"""The app manager's engine and its schema: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.orm import Session, sessionmaker

HERE = Path(__file__).parent
WRITES = "app_writes"  # execution option of a connection
MIGRATING = 0x61707073  # PostgreSQL's advisory locks have numbers; this is "apps"
LOCK_WAIT_S = 30.0  # a writer holds the file for milliseconds; many may stand in line


def make_engine(url: str) -> Engine:
    """Return an engine that enforces foreign keys on every connection.

    On SQLite readers do not wait for a writer, writers wait for one another, and a transaction
    is one: Python's own handling commits when the first savepoint is released.
    """
    if url.startswith("sqlite"):
        engine = create_engine(url, connect_args={"timeout": LOCK_WAIT_S})
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return engine
    return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)


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
    """
    config = Config(str(HERE / "alembic.ini"))
    with engine.connect() as opened:
        connection = opened.execution_options(**{WRITES: True})
        with connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(MIGRATING)))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
