"""Which database a URL means, and whether it may be used for tests."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from pytest_proxmox.errors import DatabaseRefused

_TEST_WORD = re.compile(r"(^|[^a-z])tests?([^a-z]|$)")
SUPPORTED = ("sqlite", "postgresql")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a database is, whatever the driver and the user: what two URLs share."""

    backend: str
    host: str
    port: str
    name: str

    @classmethod
    def of(cls, url: URL) -> Place:
        """Return the place that ``url`` names."""
        backend = url.get_backend_name()
        if backend == "sqlite":
            return cls(backend, "", "", _sqlite_path(url.database))
        host = _host(url.host or str(url.query.get("host", "")))
        return cls(backend, host, str(url.port or 5432), url.database or "")

    @classmethod
    def of_connect(cls, backend: str, args: Sequence[Any], params: Mapping[str, Any]) -> Place:
        """Return the place that a driver is asked to connect to."""
        if backend == "sqlite":
            return cls(backend, "", "", _sqlite_path(str(args[0]) if args else None))
        return cls(
            backend,
            _host(str(params.get("host") or "")),
            str(params.get("port") or 5432),
            str(params.get("dbname") or params.get("database") or ""),
        )


def _host(host: str) -> str:
    return "127.0.0.1" if host in ("", "localhost", "::1") else host


def _sqlite_path(database: str | None) -> str:
    if not database or database == ":memory:" or "mode=memory" in database:
        return ":memory:"
    return os.path.realpath(database.removeprefix("file:").partition("?")[0])


def parse(text: str, *, origin: str = "") -> URL:
    """Return the URL in ``text``; ``sqlite`` and ``postgresql`` alone are enough.

    Raises:
        DatabaseRefused: not a URL, or not one of a database we isolate.
    """
    try:
        url = make_url(text if ":" in text else f"{text}://")
    except ArgumentError as exc:
        raise DatabaseRefused(
            f'"{text}" is not a database URL', origin=origin, hint="Write e.g. sqlite://"
        ) from exc
    if url.get_backend_name() not in SUPPORTED:
        raise DatabaseRefused(
            f"database {url.get_backend_name()!r} is not isolated by this plugin",
            origin=origin,
            hint=f"Use one of {', '.join(SUPPORTED)}",
        )
    return url


def sync_url(url: URL) -> URL:
    """Return ``url`` with the driver that the isolation itself uses."""
    backend = url.get_backend_name()
    return url.set(drivername="sqlite" if backend == "sqlite" else "postgresql+psycopg")


def is_temporary(path: str) -> bool:
    """Whether a file lies in the machine's folder for temporary files."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(tempfile.gettempdir()))


def is_allowed(url: URL, allow: Sequence[str]) -> bool:
    """Whether ``url`` without its password matches a pattern of ini ``db_allow``."""
    plain = url.set(password=None).render_as_string()
    return any(fnmatchcase(plain, pattern) or plain == pattern for pattern in allow)


def guard(url: URL, *, allow: Sequence[str], origin: str) -> None:
    """Return when ``url`` is marked as a test database.

    Raises:
        DatabaseRefused: neither its name nor ini ``db_allow`` says so.
    """
    place = Place.of(url)
    if place.name in (":memory:", "") or is_allowed(url, allow):
        return
    if place.backend == "sqlite" and is_temporary(place.name):
        return
    name = os.path.basename(place.name).lower()
    if _TEST_WORD.search(name.replace("_", "-")):
        return
    plain = url.render_as_string()
    raise DatabaseRefused(
        f"{plain} is not marked as a test database: its name {name!r} has no word 'test'",
        origin=origin,
        hint=f"Use another database, or allow this one with the ini key db_allow = {plain}",
    )
