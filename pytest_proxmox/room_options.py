"""The flags, ini keys and mark of the fixture rooms, which pytest must know before they open."""

from __future__ import annotations

from typing import Literal

import pytest

DB_MARK = (
    "db(transaction=True): without the transaction the test commits for real, each session on "
    "its own connection, and the database is reset afterwards"
)
_GUARD_DEST = "proxmox_guard_pages"
DB_KEYS: dict[str, tuple[Literal["string", "linelist"], str]] = {
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
    """Declare the flags and the keys."""
    for name, (kind, help) in DB_KEYS.items():
        parser.addini(name, help, type=kind, default=None)
    group = parser.getgroup("proxmox", "Proxmox VE")
    group.addoption(
        "--guard-pages",
        dest=_GUARD_DEST,
        action="store_true",
        default=None,
        help="let actions on a page that is gone say who closed it, and when (default)",
    )
    group.addoption(
        "--no-guard-pages",
        dest=_GUARD_DEST,
        action="store_false",
        default=None,
        help="leave Playwright's pages as they are; guarded_page is guarded still",
    )
    group.addoption(
        "--auth-debug",
        action="store_true",
        default=False,
        help="show the time line of each login, and log each page's life",
    )
    parser.addini("guard_pages", "what --guard-pages says (default: true)", "bool", True)
    parser.addini("app_server", "the app under test: pkg.mod:app, pkg.mod:create_app(), a command")
    parser.addini("app_server_health", "the path that tells it is up", default="/health")
    parser.addini("app_server_timeout", "seconds until it must be up", default="30")
    parser.addini("app_server_env", "NAME=value for it, one a line", type="linelist")


def guards_pages(config: pytest.Config) -> bool:
    """Return whether every page is guarded; the flag wins over the ini key."""
    given: bool | None = config.getoption(_GUARD_DEST)
    return bool(config.getini("guard_pages")) if given is None else given
