"""One worker's database: made once with its schema, put back to its first state fast."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql
from sqlalchemy import URL, Engine, NullPool, create_engine

from pytest_proxmox.database.postgresql import PostgresDriver, PostgresReal
from pytest_proxmox.database.server import TemporaryPostgres
from pytest_proxmox.database.sqlite import SqliteDriver, SqliteReal, open_connection
from pytest_proxmox.database.urls import sync_url

TEMPLATE_LOCK = 7_081_006  # advisory lock: one process at a time makes a template
MakeSchema = Callable[[Engine], None]


class Store(Protocol):
    """A database of one worker."""

    url: URL
    real: Any
    driver: Any

    def save(self) -> object:
        """Return the whole content, for ``restore``."""

    def restore(self, saved: Any) -> None:
        """Put the content back as ``save`` returned it, schema included."""

    def close(self) -> None:
        """Close the real connection and remove what was made."""


class SqliteStore:
    """A database in memory, or in a file of this worker's temporary folder."""

    def __init__(self, path: Path | None, make_schema: MakeSchema) -> None:
        self.url = URL.create("sqlite", database=None if path is None else os.fspath(path))
        self.real = SqliteReal(path)
        self.driver = SqliteDriver(self.real)
        engine = create_engine(
            "sqlite://", creator=lambda: _Uncloseable(self.real.connection), poolclass=NullPool
        )
        make_schema(engine)
        if self.real.in_transaction():
            self.real.control("COMMIT")

    def save(self) -> sqlite3.Connection:
        """Return a copy of all pages in memory."""
        copy = open_connection(None)
        self.real.connection.backup(copy)
        return copy

    def restore(self, saved: sqlite3.Connection) -> None:
        """Copy the pages back, schema included."""
        saved.backup(self.real.connection)
        self.real.control("PRAGMA foreign_keys = ON")

    def close(self) -> None:
        """Close the real connection; the folder is pytest's to remove."""
        self.real.close()


class _Uncloseable:
    """The real connection for the engine that makes the schema, which must not close it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        """Leave the connection open: it is the database."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _parameters(url: URL) -> dict[str, Any]:
    """Return psycopg's keyword arguments for ``url``."""
    pairs: dict[str, Any] = {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "dbname": url.database,
        **url.query,
    }
    return {key: value for key, value in pairs.items() if value not in (None, "")}


class PostgresStore:
    """A database of its own on a server, copied from a template that has the schema."""

    def __init__(
        self, url: URL | None, make_schema: MakeSchema, *, worker: str, fingerprint: str
    ) -> None:
        self._server = TemporaryPostgres().start() if url is None else None
        self._admin_url = sync_url(self._server.url if self._server else url or URL.create(""))
        base = "pp_test" if url is None else url.database or "pp_test"
        digest = hashlib.sha256(fingerprint.encode()).hexdigest()[:10]
        self._template = f"{base}_tpl_{digest}"
        self._name = re.sub(r"\W", "_", f"{base}_{worker}_{os.getpid()}")
        self.url = self._admin_url.set(database=self._name)
        try:
            self._ensure_template(make_schema)
            self._create()
        except BaseException:
            if self._server:
                self._server.stop()
            raise
        self.real = PostgresReal(_parameters(self.url))
        self.driver = PostgresDriver(self.real)

    def _admin(self) -> psycopg.Connection[Any]:
        try:
            return psycopg.connect(**_parameters(self._admin_url), autocommit=True)
        except psycopg.OperationalError:
            # the base name is only a name: it need not exist on the server
            fallback = self._admin_url.set(database="postgres")
            return psycopg.connect(**_parameters(fallback), autocommit=True)

    def _ensure_template(self, make_schema: MakeSchema) -> None:
        with self._admin() as admin:
            admin.execute("SELECT pg_advisory_lock(%s)", [TEMPLATE_LOCK])
            if self._is_complete(admin):
                return
            name = sql.Identifier(self._template)
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))
            admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
            engine = create_engine(self._admin_url.set(database=self._template), poolclass=NullPool)
            make_schema(engine)
            engine.dispose()
            comment = sql.SQL("COMMENT ON DATABASE {} IS 'pytest-proxmox template, complete'")
            admin.execute(comment.format(name))

    def _is_complete(self, admin: psycopg.Connection[Any]) -> bool:
        row = admin.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
            [self._template],
        ).fetchone()
        return row is not None and row[0] == "pytest-proxmox template, complete"

    def _create(self) -> None:
        with self._admin() as admin:
            admin.execute("SELECT pg_advisory_lock(%s)", [TEMPLATE_LOCK])
            self._drop(admin)
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(self._name), sql.Identifier(self._template)
                )
            )

    def _drop(self, admin: psycopg.Connection[Any]) -> None:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        admin.execute(drop.format(sql.Identifier(self._name)))

    def save(self) -> PostgresContent:
        """Return all rows as COPY writes them, and where the sequences stand."""
        return PostgresContent.read(self.real.connection)

    def restore(self, saved: PostgresContent) -> None:
        """Put the rows back; a changed schema means a new copy of the template first."""
        if PostgresContent.tables_of(self.real.connection) != saved.tables:
            self.real.close()
            self._create()
            self.real.connect()
        saved.write(self.real.connection)

    def close(self) -> None:
        """Close the real connection, drop the worker's database, stop our own server."""
        self.real.close()
        if self._server is not None:
            self._server.stop()
            return
        with suppress(psycopg.OperationalError), self._admin() as admin:
            self._drop(admin)


class PostgresContent:
    """The rows of all tables, as the server itself writes them, and its sequences."""

    def __init__(
        self,
        tables: Sequence[tuple[str, str]],
        rows: dict[str, bytes],
        sequences: Sequence[tuple[str, int | None]],
    ) -> None:
        self.tables = list(tables)
        self.rows = rows
        self.sequences = list(sequences)

    @staticmethod
    def tables_of(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
        """Return each table with its columns: what decides whether rows can be put back."""
        found = connection.execute(
            "SELECT format('%I.%I', n.nspname, c.relname), "
            "string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ',' "
            "ORDER BY a.attnum) FILTER (WHERE a.attgenerated = '') "
            "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
            "WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') "
            "AND n.nspname NOT LIKE 'pg_%' GROUP BY 1 ORDER BY 1"
        ).fetchall()
        return [(str(name), str(columns)) for name, columns in found]

    @classmethod
    def read(cls, connection: psycopg.Connection[Any]) -> PostgresContent:
        """Return the content that ``connection`` sees."""
        tables = cls.tables_of(connection)
        rows = {name: _copy_out(connection, name) for name, _ in tables}
        sequences = connection.execute(
            "SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences"
        ).fetchall()
        return cls(tables, rows, sequences)

    def write(self, connection: psycopg.Connection[Any]) -> None:
        """Replace all rows; keys between tables are checked again afterwards."""
        names = [name for name, _ in self.tables]
        if not names:
            return
        with connection.transaction():
            connection.execute(f"TRUNCATE {', '.join(names)} CASCADE".encode())
            connection.execute("SET LOCAL session_replication_role = replica")
            for name, data in self.rows.items():
                if data:
                    with connection.cursor().copy(f"COPY {name} FROM STDIN".encode()) as copy:
                        copy.write(data)
            for name, value in self.sequences:
                connection.execute(
                    "SELECT setval(%s::regclass, %s, %s)", [name, value or 1, value is not None]
                )


def _copy_out(connection: psycopg.Connection[Any], table: str) -> bytes:
    with connection.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copy:
        return b"".join(bytes(part) for part in copy)
