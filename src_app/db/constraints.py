"""From a database's refusal to the field it is about, in words a user can act on."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Constraint,
    ForeignKeyConstraint,
    Table,
)
from sqlalchemy.exc import IntegrityError

from src_app.db.errors import ConflictError, FieldError, RepositoryError, ValidationError
from src_app.db.models import Base

_SQLITE_UNIQUE = re.compile(r"UNIQUE constraint failed: (.+)")
_SQLITE_CHECK = re.compile(r"CHECK constraint failed: (\w+)")
_SQLITE_NULL = re.compile(r"NOT NULL constraint failed: (\w+)\.(\w+)")
_BETWEEN = re.compile(r"BETWEEN (-?\d+) AND (-?\d+)")
_WORDS = re.compile(r"'([^']+)'")


def translate(error: IntegrityError, entity: str, table: Table) -> RepositoryError:
    """Return the error that names the field; one about the row itself where none is known."""
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is not None:
        return _from_postgresql(diagnosis, entity, table)
    return _from_sqlite(str(error.orig), entity, table)


def _from_postgresql(diagnosis: Any, entity: str, table: Table) -> RepositoryError:
    if diagnosis.constraint_name is None and diagnosis.column_name:
        return ValidationError(entity, [FieldError(diagnosis.column_name, "is missing")])
    owner = Base.metadata.tables.get(diagnosis.table_name or table.name, table)
    found = _named(owner, str(diagnosis.constraint_name))
    if found is None:
        return ConflictError(entity, "", str(diagnosis.message_primary))
    is_parent = owner is not table
    return _describe(entity, found, still_used=is_parent)


def _from_sqlite(text: str, entity: str, table: Table) -> RepositoryError:
    if missing := _SQLITE_NULL.match(text):
        return ValidationError(entity, [FieldError(missing[2], "is missing")])
    if unique := _SQLITE_UNIQUE.match(text):
        columns = [part.rpartition(".")[2] for part in unique[1].split(", ")]
        return _taken(entity, columns)
    if check := _SQLITE_CHECK.match(text):
        found = _named(table, check[1])
        if found is not None:
            return _describe(entity, found)
    return ConflictError(entity, "", "refers to a row that is not there, or is referred to")


def _named(table: Table, name: str) -> Constraint | None:
    named = [c for c in table.constraints if str(c.name) == name]
    return named[0] if named else None


def _describe(entity: str, found: Constraint, *, still_used: bool = False) -> RepositoryError:
    if isinstance(found, CheckConstraint):
        return ValidationError(entity, [check_error(found)])
    if isinstance(found, ForeignKeyConstraint):
        return foreign_error(entity, found, still_used=still_used)
    columns = [column.name for column in found.columns]  # type: ignore[attr-defined]
    return _taken(entity, columns)


def _taken(entity: str, columns: list[str]) -> ConflictError:
    others = f" together with {', '.join(columns[:-1])}" if len(columns) > 1 else ""
    return ConflictError(entity, columns[-1], f"is taken{others}")


def foreign_error(
    entity: str, key: ForeignKeyConstraint, *, still_used: bool = False
) -> RepositoryError:
    """Return the error for a foreign key that leads nowhere, or that still leads here."""
    column, parent = key.column_keys[0], key.referred_table.name
    if still_used:
        return ConflictError(entity, "id", f"is still used by {key.table.name}")
    return ValidationError(entity, [FieldError(column, f"is not in {parent}")])


def check_error(found: CheckConstraint) -> FieldError:
    """Return which field a check is about, and what it wants."""
    prefix = f"ck_{found.table.name}_"
    name = str(found.name).removeprefix(prefix)
    field, _, rule = name.rpartition("_")
    text = str(found.sqltext)
    if rule == "word":
        return FieldError(field, f"must be one of {', '.join(_WORDS.findall(text))}")
    if rule == "range" and (span := _BETWEEN.search(text)):
        return FieldError(field, f"must be {span[1]} to {span[2]}")
    if rule == "length" and (span := _BETWEEN.search(text)):
        return FieldError(field, f"must have {span[1]} to {span[2]} characters")
    if rule == "lower":
        return FieldError(field, "must be in lower case")
    if rule == "upid":
        return FieldError(field, "must be a UPID")
    field = name.removesuffix("_not_negative").removesuffix("_not_empty")
    return FieldError(field, "must not be empty" if name.endswith("empty") else "must be 0 or more")
