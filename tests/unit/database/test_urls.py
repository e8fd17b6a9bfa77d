"""Which database a URL means, and whether it may be used for tests."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from pytest_proxmox.database.urls import Place, guard, parse
from pytest_proxmox.errors import DatabaseRefused

TEMPORARY = f"sqlite:///{tempfile.gettempdir()}/anything.db"
FINE = [
    "sqlite://",
    "sqlite:///test.db",
    "sqlite:////srv/app_test.db",
    TEMPORARY,
    "postgresql+psycopg://u:p@db/test_app",
    "postgresql://db/app-test",
    "postgresql://",
]
REFUSED = [
    "sqlite:////srv/app.db",
    "sqlite:////srv/latest.db",
    "postgresql://u:secret@db/production",
    "postgresql://db/contest",
    "postgresql://test.example.org/app",
]


@pytest.mark.parametrize("url", FINE)
def test_marked_database_is_accepted(url: str) -> None:
    guard(parse(url), allow=[], origin="here")
    with pytest.raises(DatabaseRefused):
        guard(parse("sqlite:////srv/app.db"), allow=[url], origin="here")


@pytest.mark.parametrize("url", REFUSED)
def test_other_database_is_refused(url: str) -> None:
    with pytest.raises(DatabaseRefused, match="is not marked as a test database") as caught:
        guard(parse(url), allow=[], origin="ini key db_url")
    assert "secret" not in str(caught.value)
    assert "ini key db_url" in str(caught.value)


@pytest.mark.parametrize("pattern", ["sqlite:////srv/app.db", "sqlite:////srv/*"])
def test_database_can_be_allowed(pattern: str) -> None:
    url = parse("sqlite:////srv/app.db")
    guard(url, allow=[pattern], origin="here")
    with pytest.raises(DatabaseRefused):
        guard(url, allow=["sqlite:////other/*"], origin="here")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("postgresql+psycopg://u:p@localhost/a_test", "postgresql+asyncpg://127.0.0.1:5432/a_test"),
        ("sqlite:///./test.db", "sqlite+aiosqlite:///test.db"),
        ("sqlite://", "sqlite:///:memory:"),
    ],
    ids=["postgresql", "file", "memory"],
)
def test_two_spellings_are_one_place(one: str, two: str) -> None:
    assert Place.of(make_url(one)) == Place.of(make_url(two))


@pytest.mark.parametrize("url", ["postgresql+psycopg://u:p@localhost:5433/a", "sqlite:///a.db"])
def test_place_of_a_url_is_that_of_its_connection(url: str) -> None:
    engine = create_engine(url)
    args, params = engine.dialect.create_connect_args(engine.url)
    name = engine.dialect.name
    assert Place.of_connect(name, args, params) == Place.of(engine.url)


def test_word_alone_is_a_url(tmp_path: Path) -> None:
    assert parse("postgresql").get_backend_name() == "postgresql"
    assert parse("sqlite").get_backend_name() == "sqlite"


@pytest.mark.parametrize("text", ["mysql://db/test", "::::", "nonsense test"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(DatabaseRefused):
        parse(text, origin="ini key db_url")
