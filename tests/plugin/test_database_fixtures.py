"""The database fixtures in a project of their own: isolated, caught, refused, overridden."""

from __future__ import annotations

import sqlite3

import pytest

from tests.plugin.conftest import Project

MODELS = """
from sqlalchemy import ForeignKey, String, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

class Base(DeclarativeBase):
    pass

class Shelf(Base):
    __tablename__ = "shelves"
    id: Mapped[int] = mapped_column(primary_key=True)

class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    shelf_id: Mapped[int | None] = mapped_column(ForeignKey("shelves.id"))

engine = create_engine("URL")
SessionLocal = sessionmaker(engine)

def add(name):
    with SessionLocal() as session:
        session.add(Item(name=name))
        session.commit()
"""

ISOLATED = """
import pytest
from app import Item, SessionLocal, add
from sqlalchemy import func, select

@pytest.mark.parametrize("number", range(4))
def test_commit_of_the_app(number, db_session):
    add("a")
    assert db_session.scalar(select(func.count(Item.id))) == 1

@pytest.mark.asyncio
@pytest.mark.parametrize("number", range(2))
async def test_async(number, async_db_session):
    async_db_session.add(Item(name="a"))
    await async_db_session.commit()
    add("b")

@pytest.mark.parametrize("number", range(2))
def test_connection(number, db_connection):
    db_connection.execute(Item.__table__.insert().values(name="a"))
    db_connection.commit()

@pytest.mark.db(transaction=False)
@pytest.mark.parametrize("number", range(2))
def test_for_real(number, db_session, db_state):
    add("a")
    assert db_state.counts()["items"] == 1
"""

ESCAPE = """
from app import add

def test_careless(db_session):
    add("escaped")

def test_swallowing(db_session):
    try:
        add("escaped")
    except Exception:
        pass

def test_innocent(db_session):
    pass
"""

URLS = ["sqlite", "sqlite:///test.db", "postgresql"]
IDS = ["sqlite-memory", "sqlite-file", "postgresql"]


def app(project: Project, url: str = "sqlite:///real.db") -> None:
    """Write an application with its own engine on ``url``."""
    project.write("app.py", MODELS.replace("URL", url))


@pytest.mark.parametrize("url", URLS, ids=IDS)
def test_app_that_commits_is_isolated(project: Project, how: tuple[str, ...], url: str) -> None:
    app(project, "postgresql+psycopg://localhost/real" if url == "postgresql" else "sqlite://")
    project.ini("db_metadata = app:Base", f"db_url = {url}", "db_bind = app:SessionLocal")
    project.write("test_it.py", ISOLATED)
    project.run_apart(*how).assert_outcomes(passed=10)


@pytest.mark.parametrize("url", URLS, ids=IDS)
def test_commit_through_an_unbound_engine_fails_the_test_by_name(
    project: Project, url: str
) -> None:
    project.write(
        "app.py", MODELS.replace("URL", "sqlite://") + "\nBase.metadata.create_all(engine)\n"
    )
    project.ini("db_metadata = app:Base", f"db_url = {url}")
    project.write("test_it.py", ESCAPE)
    result = project.run_apart()
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        ["*EscapedCommit*is not isolated*", "*INSERT INTO items*", "*app.py:* add()*"]
    )


def test_url_without_the_word_test_is_refused(project: Project) -> None:
    app(project)
    project.ini("db_metadata = app:Base", "db_url = postgresql://localhost/production")
    project.write("test_it.py", "def test_it(db_session): pass")
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*postgresql://localhost/production is not marked as a test database*db_allow*"]
    )


def test_url_can_be_allowed(project: Project) -> None:
    app(project)
    project.ini(
        "db_metadata = app:Base", "db_url = sqlite:////srv/dev.db", "db_allow = sqlite:////srv/*"
    )
    project.write("test_it.py", "def test_it(db_session): pass")
    project.run_apart().assert_outcomes(passed=1)


def test_missing_metadata_says_which_key_to_set(project: Project) -> None:
    project.write("test_it.py", "def test_it(db_session): pass\ndef test_other(): pass")
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ini key db_metadata*Set db_metadata = *"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "setup.py" not in result.stdout.str()  # no traceback


def test_unbound_engine_that_finds_no_server_says_how_to_bind_it(project: Project) -> None:
    app(project, "postgresql+psycopg://127.0.0.1:1/prod")
    project.ini("db_metadata = app:Base", "db_url = sqlite")
    project.write("test_it.py", "from app import add\ndef test_it(db_session): add('a')")
    result = project.run_apart()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*127.0.0.1:1/prod is not the test database*db_bind*"])


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("db_bind = nowhere:SessionLocal", "*there is no module 'nowhere'*ini key db_bind*"),
        ("db_bind = app:Nothing", "*has no attribute 'Nothing'*"),
        ("db_bind = app:Item", "*not an engine or a session factory*"),
        ("db_url = mysql://test", "*'mysql' is not isolated by this plugin*"),
        ("db_override = app:add", "*names no app*"),
    ],
    ids=["no module", "no attribute", "no engine", "other database", "no app"],
)
def test_wrong_ini_value_is_explained(project: Project, line: str, text: str) -> None:
    app(project)
    project.ini("db_metadata = app:Base", line)
    project.write("test_it.py", "def test_it(db_session): pass")
    result = project.run_apart()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([text])


def test_engine_of_another_kind_is_refused(project: Project) -> None:
    app(project, "postgresql+psycopg://localhost/real")
    project.ini("db_metadata = app:Base", "db_url = sqlite", "db_bind = app:engine")
    project.write("test_it.py", "def test_it(db_session): pass")
    result = project.run_apart()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*app:engine is an engine of postgresql*Set db_url = postgresql*"])


def test_wrong_argument_of_the_mark_is_refused(project: Project) -> None:
    app(project)
    project.ini("db_metadata = app:Base")
    project.write(
        "test_it.py",
        "import pytest\n@pytest.mark.db(transactions=False)\ndef test_it(db_session): pass",
    )
    result = project.run_apart()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the mark db takes transaction=True or transaction=False*"])


def test_missing_extra_says_what_to_install(project: Project) -> None:
    project.write("conftest.py", "import sys\nsys.modules['sqlalchemy'] = None")
    project.write("test_it.py", "def test_it(db_session): pass")
    result = project.run_apart()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*pip install 'pytest-proxmox[[]db[]]'*"])


def test_own_fixture_wins(project: Project) -> None:
    project.write(
        "conftest.py", "import pytest\n@pytest.fixture\ndef db_session():\n    return 'mine'"
    )
    project.write("test_it.py", "def test_it(db_session): assert db_session == 'mine'")
    project.run().assert_outcomes(passed=1)


def test_own_metadata_and_url_fixtures_win(project: Project) -> None:
    app(project)
    project.write(
        "conftest.py",
        """
import pytest
from app import Base

@pytest.fixture(scope="session")
def db_metadata():
    return Base.metadata

@pytest.fixture(scope="session")
def db_url():
    return "sqlite:///mine-test.db"
""",
    )
    project.write(
        "test_it.py",
        "def test_it(db_engine): assert 'mine-test.db' in str(db_engine.url)",
    )
    project.run_apart().assert_outcomes(passed=1)


ORPHANS = """
import sqlite3
import pytest

def plant(engine):
    connection = sqlite3.connect(engine.url.database)
    connection.execute("INSERT INTO items (id, name, shelf_id) VALUES (7, 'lost', 4711)")
    connection.commit()
    connection.close()

def test_planting(db_session, db_engine):
    plant(db_engine)

def test_after(db_session):
    pass

@pytest.fixture(scope="module")
def planted(db_engine):
    connection = sqlite3.connect(db_engine.url.database)
    connection.execute("UPDATE items SET shelf_id = 4712")
    connection.commit()
    connection.close()

def test_before(planted, db_session):
    pass
"""


def test_planted_orphan_is_found_before_and_after_a_test(project: Project) -> None:
    app(project)
    project.ini("db_metadata = app:Base", "db_url = sqlite:///test.db")
    project.write("test_it.py", ORPHANS)
    result = project.run_apart("-v")
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*test_planting left something in the database*",
            "*items id=7 breaks items.shelf_id -> shelves.id: no such row in shelves*",
            "*the database is not consistent before *test_before*",
            "*items id=7 breaks items.shelf_id -> shelves.id: no such row in shelves*",
        ]
    )


MIGRATED = """
from alembic import context
from sqlalchemy import create_engine, text

config = context.config
given = config.attributes.get("connection")

def run(connection):
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()

if given is not None:
    run(given)
else:
    with create_engine(config.get_main_option("sqlalchemy.url")).begin() as connection:
        run(connection)
"""
VERSION = """
from alembic import op
import sqlalchemy as sa
revision = "1"
down_revision = None
branch_labels = depends_on = None

def upgrade():
    op.create_table("lamps", sa.Column("id", sa.Integer, primary_key=True))
"""


@pytest.mark.parametrize("url", URLS, ids=IDS)
def test_migrations_make_the_schema(project: Project, url: str) -> None:
    project.write(
        "alembic.ini", "[alembic]\nscript_location = %(here)s/moves\npath_separator = os\n"
    )
    project.write("moves/env.py", MIGRATED)
    project.write("moves/versions/1.py", VERSION)
    project.ini("db_migrations = alembic.ini", f"db_url = {url}")
    project.write("test_it.py", "def test_it(db_state): assert db_state.counts()['lamps'] == 0")
    project.run_apart().assert_outcomes(passed=1)


OVERRIDDEN = """
from app import Base, Item
from fastapi import Depends, FastAPI
from sqlalchemy.orm import Session

def get_db():
    raise RuntimeError("the real database")
    yield

async def aget_db():
    raise RuntimeError("the real database")
    yield

api = FastAPI()

@api.post("/items/{name}")
def add(name: str, db: Session = Depends(get_db)):
    db.add(Item(name=name))
    db.commit()

@api.post("/async/{name}")
async def add_async(name: str, db = Depends(aget_db)):
    db.add(Item(name=name))
    await db.commit()
"""


def test_fastapi_dependencies_are_overridden(project: Project) -> None:
    pytest.importorskip("fastapi")
    app(project)
    project.write("web.py", OVERRIDDEN)
    project.ini(
        "db_metadata = app:Base",
        "db_override =",
        "    web:api",
        "    web:get_db",
        "    web:aget_db",
    )
    project.write(
        "test_it.py",
        """
import pytest
from app import Item
from fastapi.testclient import TestClient
from sqlalchemy import select
from web import api

@pytest.mark.parametrize("number", range(3))
def test_it(number, db_session):
    with TestClient(api) as client:
        assert client.post("/items/a").status_code == 200
        assert client.post("/async/b").status_code == 200
    assert sorted(db_session.scalars(select(Item.name))) == ["a", "b"]
""",
    )
    project.run_apart().assert_outcomes(passed=3)


def test_real_database_of_the_app_is_never_touched(project: Project) -> None:
    app(project)
    real = project.path / "real.db"
    connection = sqlite3.connect(real)
    connection.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, shelf_id INTEGER)")
    connection.commit()
    before = real.read_bytes()
    project.ini("db_metadata = app:Base", "db_bind = app:SessionLocal", "db_url = sqlite")
    project.write("test_it.py", ISOLATED)
    project.run_apart().assert_outcomes(passed=10)
    assert real.read_bytes() == before
    assert connection.execute("SELECT count(*) FROM items").fetchone() == (0,)
    connection.close()
