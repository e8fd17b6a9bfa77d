"""The ini keys of the database room; nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

DEFAULT_URL = "sqlite://"
MARK = (
    "db(transaction=True): without the transaction the test commits for real, each session on "
    "its own connection, and the database is reset afterwards"
)


class IniKey(NamedTuple):
    """One ini key: its name, its type for pytest, and what it is for."""

    name: str
    kind: Literal["string", "linelist"]
    help: str


KEYS = (
    IniKey("db_metadata", "string", "the app's MetaData, e.g. pkg.models:Base.metadata"),
    IniKey(
        "db_url",
        "string",
        "the test database: sqlite (in memory), sqlite:///test.db (a file per worker), "
        "postgresql (a temporary server), or the URL of a server with a test database",
    ),
    IniKey("db_bind", "linelist", "the app's SessionLocal or engine, e.g. pkg.db:SessionLocal"),
    IniKey("db_override", "linelist", "a FastAPI app and its get_db, one a line"),
    IniKey("db_allow", "linelist", "URLs (patterns) that tests may use and commit to"),
    IniKey("db_migrations", "string", "an alembic.ini that makes the schema by upgrade head"),
)


class DatabaseOptions(NamedTuple):
    """The values of the ini keys."""

    metadata: str = ""
    url: str = ""
    bind: Sequence[str] = ()
    override: Sequence[str] = ()
    allow: Sequence[str] = ()
    migrations: str = ""


def resolve_transaction(args: Sequence[object], kwargs: dict[str, object]) -> bool:
    """Return the ``transaction`` of a ``db`` mark.

    Raises:
        ValueError: the mark has other arguments, or a value that is not a bool.
    """
    value = kwargs.get("transaction", True)
    if args or set(kwargs) - {"transaction"} or not isinstance(value, bool):
        raise ValueError("the mark db takes transaction=True or transaction=False, nothing else")
    return value
