"""A database in a file of its own: made, copied while in use, and looked at for damage."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from src_app.db.engine import HERE, make_engine
from src_app.db.engine import migrate as migrate_engine

HEADER = b"SQLite format 3\x00"


def url(path: Path) -> str:
    """Return the URL under which engines open the file."""
    return f"sqlite:///{path}"


def migrate(path: Path, revision: str = "head") -> None:
    """Bring the database to a revision, made where it is not there; all goes into one file."""
    engine = make_engine(url(path))
    try:
        migrate_engine(engine, revision)
    finally:
        engine.dispose()  # the last connection that closes takes the write-ahead log along


def copy(source: Path, target: Path) -> None:
    """Copy all that is committed into a new file, also while others write to the source.

    Raises:
        DatabaseDamaged: the source cannot be read.
    """
    target.unlink(missing_ok=True)
    try:
        with (
            contextlib.closing(sqlite3.connect(source)) as old,
            contextlib.closing(sqlite3.connect(target)) as new,
        ):
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # so that one file holds everything
            old.backup(new)
    except sqlite3.DatabaseError as exc:
        raise DatabaseDamaged(f"{source}: {exc}") from exc


@functools.cache
def head() -> str:
    """Return the newest revision that this program knows."""
    found = ScriptDirectory.from_config(Config(str(HERE / "alembic.ini"))).get_current_head()
    assert found is not None
    return found


def revision(path: Path) -> str:
    """Return the revision of a database, ``""`` where it has none."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError:
        return ""
    return str(row[0]) if row else ""


def damage(path: Path) -> str | None:
    """Return what is wrong with a database's file, None where it is whole."""
    try:
        with path.open("rb") as file:
            if file.read(len(HEADER)) != HEADER:
                return "it is not a database"
        with contextlib.closing(sqlite3.connect(path)) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
            broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    except FileNotFoundError:
        return "it is not there"
    except (sqlite3.DatabaseError, OSError) as exc:
        return str(exc)
    if found != ["ok"]:
        return "; ".join(found)
    return None if broken is None else f"a row of {broken[0]} refers to one that is not there"


class DatabaseDamaged(Exception):
    """A database's file cannot be read."""
