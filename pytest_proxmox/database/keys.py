"""The ini keys and the mark of the database room: declared when pytest starts, so this is light."""

from __future__ import annotations

from typing import Literal

import pytest

MARK = (
    "db(transaction=True): without the transaction the test commits for real, each session on "
    "its own connection, and the database is reset afterwards"
)
KEYS: dict[str, tuple[Literal["string", "linelist"], str]] = {
    "db_metadata": ("string", "the app's MetaData, e.g. pkg.models:Base.metadata"),
    "db_url": (
        "string",
        "the test database: sqlite (in memory), sqlite:///test.db (a file per worker), "
        "postgresql (a temporary server), or the URL of a server with a test database",
    ),
    "db_bind": ("linelist", "the app's SessionLocal or engine, e.g. pkg.db:SessionLocal"),
    "db_override": ("linelist", "a FastAPI app and its get_db, one a line"),
    "db_allow": ("linelist", "URLs (patterns) that tests may use and commit to"),
    "db_migrations": ("string", "an alembic.ini that makes the schema by upgrade head"),
}


def add_options(parser: pytest.Parser) -> None:
    """Declare the keys."""
    for name, (kind, help) in KEYS.items():
        parser.addini(name, help, type=kind, default=None)
