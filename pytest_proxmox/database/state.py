"""What the database holds: checks before and after a test, and the whole put aside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Column, MetaData, inspect
from sqlalchemy.engine import Connection, Dialect

from pytest_proxmox.database.catalogs import (
    Catalog,
    Orphan,
    PostgresCatalog,
    Sequence_,
    SqliteCatalog,
    TableState,
)
from pytest_proxmox.database.sqlite import SqliteReal
from pytest_proxmox.database.stores import Store
from pytest_proxmox.errors import IsolationError, StateChanged


class Inspector:
    """Remembers the state between tests and tells what differs."""

    def __init__(self, store: Store) -> None:
        real = store.real
        self.catalog: Catalog = (
            SqliteCatalog(real) if isinstance(real, SqliteReal) else PostgresCatalog(real)
        )
        self._before: Mapping[str, TableState] = {}

    def remember(self) -> None:
        """Take the present state as what every test must leave behind."""
        self._before = self.catalog.fingerprint()

    def changes(self) -> list[str]:
        """Return how the tables differ from what was remembered, one line each."""
        return list(differences(self._before, self.catalog.fingerprint()))

    def inconsistencies(self) -> list[str]:
        """Return the orphaned rows, one line each."""
        return [str(orphan) for orphan in self.catalog.orphans()]


def differences(before: Mapping[str, TableState], after: Mapping[str, TableState]) -> Iterator[str]:
    """Yield one line for each table that is not what it was."""
    for table in sorted({*before, *after}):
        old, new = before.get(table), after.get(table)
        if old == new:
            continue
        if old is None or new is None:
            yield f"table {table}: {'new' if old is None else 'gone'}"
        elif old.rows != new.rows:
            yield f"table {table}: {old.rows} rows before, {new.rows} after"
        else:
            yield f"table {table}: still {new.rows} rows, but their content differs"


class DbState:
    """The state that the test sees: ``verify()``, counts, orphans, schema, sequences."""

    def __init__(self, isolation: Any, metadata: MetaData | None) -> None:
        self._isolation = isolation
        self._catalog: Catalog = isolation.inspector.catalog
        self._metadata = metadata

    def _locked(self) -> Any:
        return self._isolation.wire.lock

    def fingerprint(self) -> dict[str, TableState]:
        """Return rows and checksum of every table, as the test sees them now."""
        with self._locked():
            return self._catalog.fingerprint()

    def counts(self) -> dict[str, int]:
        """Return how many rows each table has."""
        return {name: state.rows for name, state in self.fingerprint().items()}

    def changes(self, since: Mapping[str, TableState]) -> list[str]:
        """Return how the tables differ from an earlier ``fingerprint()``, one line each."""
        return list(differences(since, self.fingerprint()))

    def orphans(self) -> list[Orphan]:
        """Return the rows whose foreign key leads nowhere."""
        with self._locked():
            return self._catalog.orphans()

    def sequences(self) -> list[Sequence_]:
        """Return where the counters of ids stand."""
        with self._locked():
            return self._catalog.sequences()

    def schema(self) -> list[str]:
        """Return how the schema differs from the metadata, one line each."""
        if self._metadata is None:
            return []
        with self._isolation.engine.connect() as connection:
            return list(schema_differences(connection, self._metadata))

    def verify(self) -> None:
        """Return when the database is consistent and has the metadata's schema.

        Raises:
            StateChanged: orphans, a counter behind its table, or another schema.
        """
        findings = [str(orphan) for orphan in self.orphans()]
        findings += [
            f"sequence {s.name} stands at {s.last}, but id {s.used} is in use"
            for s in self.sequences()
            if s.behind and s.last
        ]
        findings += self.schema()
        if findings:
            raise StateChanged(
                "the database is not what it should be",
                findings=findings,
                hint="Delete or mend the rows where they are written, move a counter with "
                "db_helper.reset_sequences(), and migrate where the schema differs",
            )

    def refuse_orphans(self, when: str) -> None:
        """Return when every foreign key leads somewhere.

        Raises:
            StateChanged: names the rows and the constraints.
        """
        findings = [str(orphan) for orphan in self.orphans()]
        if findings:
            raise StateChanged(
                f"there are orphaned rows {when} the test",
                findings=findings,
                hint="Delete these rows together with those they refer to, e.g. with ON DELETE "
                "CASCADE in the model",
            )

    def backup(self) -> object:
        """Return the whole content, for ``restore``.

        Raises:
            IsolationError: the test runs in the outer transaction, which undoes all anyway.
        """
        self._refuse_transaction("backup")
        return self._isolation.store.save()

    def restore(self, saved: object) -> None:
        """Put back what ``backup`` returned.

        Raises:
            IsolationError: the test runs in the outer transaction.
        """
        self._refuse_transaction("restore")
        self._isolation.drop_connections()
        self._isolation.store.restore(saved)

    def _refuse_transaction(self, what: str) -> None:
        if self._isolation.wire.outer:
            raise IsolationError(
                f"db_state.{what}() is for tests that commit for real, and this one runs in a "
                "transaction that is undone",
                hint="Mark it @pytest.mark.db(transaction=False)",
            )


def schema_differences(connection: Connection, metadata: MetaData) -> Iterator[str]:
    """Yield one line for each table or column that is missing, extra or changed."""
    inspector = inspect(connection)
    present = set(inspector.get_table_names())
    wanted = {table.name: table for table in metadata.sorted_tables if table.schema is None}
    for name in sorted({*present, *wanted} - {"alembic_version"}):
        if name not in present:
            yield f"table {name} is missing"
        elif name not in wanted:
            yield f"table {name} is not in the metadata"
        else:
            columns = {c["name"]: c for c in inspector.get_columns(name)}
            primary = set(inspector.get_pk_constraint(name)["constrained_columns"])
            for line in _columns(wanted[name].columns, columns, primary, connection.dialect):
                yield f"table {name}: {line}"


def _columns(
    wanted: Any, present: Mapping[str, Any], primary: set[str], dialect: Dialect
) -> Iterator[str]:
    names = {column.name for column in wanted}
    for extra in sorted(present.keys() - names):
        yield f"column {extra} is not in the metadata"
    for column in wanted:
        found = present.get(column.name)
        if found is None:
            yield f"column {column.name} is missing"
            continue
        old, new = _type(column.type, dialect), _type(found["type"], dialect)
        if old != new:
            yield f"column {column.name} is {new}, the metadata says {old}"
        if bool(column.nullable) != bool(found["nullable"]) and column.name not in primary:
            yield f"column {column.name} is {_null(found['nullable'])}, {_says(column)}"


def _null(nullable: object) -> str:
    return "nullable" if nullable else "not null"


def _says(column: Column[Any]) -> str:
    return f"the metadata says {_null(bool(column.nullable))}"


_SAME = {
    "FLOAT": "DOUBLE PRECISION",
    "FLOAT(53)": "DOUBLE PRECISION",
    "DOUBLE": "DOUBLE PRECISION",
    "FLOAT(24)": "REAL",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP",
    "DECIMAL": "NUMERIC",
    "INT": "INTEGER",
}


def _type(kind: Any, dialect: Dialect) -> str:
    text = str(kind.compile(dialect=dialect)).upper()
    return _SAME.get(text, text)
