"""What each kind of database says about itself: tables, checksums, orphans, sequences."""

from __future__ import annotations

import hashlib
import marshal
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pytest_proxmox.database.postgresql import PostgresReal
from pytest_proxmox.database.sqlite import SqliteReal

SHOWN = 5  # orphans named for each constraint


@dataclass(frozen=True, slots=True)
class TableState:
    """How many rows a table has, and a checksum of them all."""

    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Orphan:
    """A row that refers to one that is not there."""

    table: str
    row: str
    constraint: str
    parent: str

    def __str__(self) -> str:
        return f"{self.table} {self.row} breaks {self.constraint}: no such row in {self.parent}"


@dataclass(frozen=True, slots=True)
class Sequence_:
    """A counter of ids: the last it gave, and the largest id that is in use."""

    name: str
    last: int
    used: int

    @property
    def behind(self) -> bool:
        """Whether the next id it gives is taken already."""
        return self.last < self.used


class Catalog(Protocol):
    """What a database can tell about itself, on the real connection."""

    def fingerprint(self) -> dict[str, TableState]:
        """Return the state of every table."""

    def orphans(self) -> list[Orphan]:
        """Return the rows whose foreign key leads nowhere, at most five a constraint."""

    def sequences(self) -> list[Sequence_]:
        """Return where the counters of ids stand."""


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class SqliteCatalog:
    """SQLite's own tables and pragmas."""

    def __init__(self, real: SqliteReal) -> None:
        self._real = real

    def _all(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        cursor = sqlite3.Cursor(self._real.connection)
        cursor.row_factory = None
        return cursor.execute(sql, parameters).fetchall()

    def _tables(self) -> list[str]:
        rows = self._all(
            "SELECT name FROM sqlite_master WHERE type = 'table' "
            "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
        )
        return [str(name) for (name,) in rows]

    def fingerprint(self) -> dict[str, TableState]:
        """Return the state of every table."""
        return {name: self._state(name) for name in self._tables()}

    def _state(self, table: str) -> TableState:
        rows = self._all(f"SELECT * FROM {_quoted(table)}")
        # version 2 writes equal rows alike; later versions write shared objects as references
        digest = hashlib.blake2b(marshal.dumps(rows, 2), digest_size=8)
        return TableState(len(rows), digest.hexdigest())

    def orphans(self) -> list[Orphan]:
        """Return the rows whose foreign key leads nowhere, at most five a constraint."""
        found: dict[tuple[str, int], list[Any]] = {}
        for table, rowid, parent, key in self._all("PRAGMA foreign_key_check"):
            found.setdefault((table, key), []).append((rowid, parent))
        return [
            Orphan(table, self._row(table, rowid), self._constraint(table, key), parent)
            for (table, key), rows in found.items()
            for rowid, parent in rows[:SHOWN]
        ]

    def _row(self, table: str, rowid: int | None) -> str:
        keys = [r[1] for r in self._all(f"PRAGMA table_info({_quoted(table)})") if r[5]]
        if rowid is None or not keys:
            return f"rowid={rowid}"
        columns = ", ".join(map(_quoted, keys))
        row = self._all(f"SELECT {columns} FROM {_quoted(table)} WHERE rowid = ?", [rowid])
        return ", ".join(f"{k}={v!r}" for k, v in zip(keys, row[0], strict=True))

    def _constraint(self, table: str, key: int) -> str:
        parts = [r for r in self._all(f"PRAGMA foreign_key_list({_quoted(table)})") if r[0] == key]
        return ", ".join(f"{table}.{r[3]} -> {r[2]}.{r[4] or 'its key'}" for r in parts)

    def sequences(self) -> list[Sequence_]:
        """Return where the counters of AUTOINCREMENT tables stand."""
        if not self._all("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"):
            return []
        return [
            Sequence_(name, last, self._all(f"SELECT max(rowid) FROM {_quoted(name)}")[0][0] or 0)
            for name, last in self._all("SELECT name, seq FROM sqlite_sequence")
        ]


_TABLES = (
    "SELECT format('%I.%I', n.nspname, c.relname), "
    "CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') "
    "AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' ORDER BY 2"
)
_KEYS = (
    "SELECT k.conname, k.conrelid::regclass::text, k.confrelid::regclass::text, "
    "array(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY u(n, i) "
    "JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY i)::text[], "
    "array(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY u(n, i) "
    "JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY i)::text[], "
    "array(SELECT a.attname FROM pg_index x JOIN pg_attribute a ON a.attrelid = x.indrelid "
    "AND a.attnum = ANY (x.indkey) WHERE x.indrelid = k.conrelid AND x.indisprimary)::text[] "
    "FROM pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY 1"
)


class PostgresCatalog:
    """PostgreSQL's own catalog."""

    def __init__(self, real: PostgresReal) -> None:
        self._real = real

    def _all(self, sql: str) -> list[Any]:
        return self._real.connection.execute(sql.encode()).fetchall()

    def fingerprint(self) -> dict[str, TableState]:
        """Return the state of every table."""
        tables = self._all(_TABLES)
        parts = [
            f"SELECT {_literal(name)}, count(*), "
            f"coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM {quoted} t"
            for quoted, name in tables
        ]
        if not parts:
            return {}
        rows = self._all(" UNION ALL ".join(parts))
        return {str(name): TableState(int(count), str(total)) for name, count, total in rows}

    def orphans(self) -> list[Orphan]:
        """Return the rows whose foreign key leads nowhere, at most five a constraint."""
        keys = self._all(_KEYS)
        parts = [_orphan_query(*key) for key in keys]
        if not parts:
            return []
        rows = self._all(" UNION ALL ".join(f"({part})" for part in parts))
        return [Orphan(str(t), str(row), str(name), str(p)) for t, row, name, p in rows]

    def sequences(self) -> list[Sequence_]:
        """Return where the sequences that columns own stand."""
        rows = self._all(
            "SELECT s.oid::regclass::text, coalesce(pg_sequence_last_value(s.oid), 0), "
            "t.oid::regclass::text, a.attname FROM pg_class s "
            "JOIN pg_depend d ON d.objid = s.oid AND d.deptype IN ('a', 'i') "
            "JOIN pg_class t ON t.oid = d.refobjid "
            "JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid "
            "WHERE s.relkind = 'S' ORDER BY 1"
        )
        return [
            Sequence_(str(name), int(last), self._largest(table, column))
            for name, last, table, column in rows
        ]

    def _largest(self, table: str, column: str) -> int:
        return int(self._all(f"SELECT max({_quoted(column)}) FROM {table}")[0][0] or 0)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _orphan_query(
    name: str,
    table: str,
    parent: str,
    columns: Sequence[str],
    targets: Sequence[str],
    primary: Sequence[str],
) -> str:
    """Return the query for rows of ``table`` that break the foreign key ``name``."""
    shown: Iterable[str] = primary or columns
    row = " || ', ' || ".join(
        f"{_literal(c + '=')} || coalesce(quote_literal(c.{_quoted(c)}), 'NULL')" for c in shown
    )
    joined = " AND ".join(
        f"p.{_quoted(t)} = c.{_quoted(c)}" for c, t in zip(columns, targets, strict=True)
    )
    present = " AND ".join(f"c.{_quoted(c)} IS NOT NULL" for c in columns)
    return (
        f"SELECT {_literal(table)}, {row}, {_literal(name)}, {_literal(parent)} FROM {table} c "
        f"WHERE {present} AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE {joined}) LIMIT {SHOWN}"
    )
