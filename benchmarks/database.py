"""What the database fixtures cost a test, against recipes and a plugin that people use today.

Every side is its own pytest run of many tests on the same kind of database. A fixture's cost is
the time of its tests' setup and teardown, less that of tests without it in the same run: the
bodies are left out on both sides, so that their noise is too.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from benchmarks.harness import Measure, Row, at_least, at_most, compare, run

TESTS = 200
SLOW_TESTS = 10  # create_all and drop_all take up to half a second: each is many synced writes
TABLES = 12
ROOT = Path(__file__).parents[1]

MODELS = f"""
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

def model(n):
    return type(f"T{{n}}", (Base,), {{
        "__tablename__": f"t{{n}}",
        "__annotations__": {{"id": Mapped[int], "name": Mapped[str], "value": Mapped[int]}},
        "id": mapped_column(primary_key=True),
        "name": mapped_column(String(50)),
    }})

TABLES = [model(n) for n in range({TABLES})]
T0 = TABLES[0]
"""

TIMES = """
import statistics
import time
import pytest

SPENT = {True: [], False: []}  # with the fixture, without it
BEGAN = {}

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    began = time.perf_counter()
    result = yield
    BEGAN[item.nodeid] = time.perf_counter() - began
    return result

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item):
    began = time.perf_counter()
    result = yield
    spent = BEGAN.pop(item.nodeid) + time.perf_counter() - began
    SPENT["test_work" in item.name].append(spent)
    return result

def pytest_sessionfinish():  # the median: the first tests make the database
    print("SPENT", statistics.median(SPENT[True]) - statistics.median(SPENT[False]))
"""

BODY = """
import pytest
from models import T0

@pytest.mark.parametrize("n", range({tests}))
def test_work({fixture}, n):
    {fixture}.add(T0(name="a", value=n))
    {fixture}.commit()
    assert {fixture}.query(T0).count() == 1
"""

NOTHING = f"""
import pytest

@pytest.mark.parametrize("n", range({TESTS}))
def test_nothing(n):
    assert n >= 0
"""

RECIPE = """
import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session
from models import Base

@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    engine = create_engine({url})
    if engine.dialect.name == "sqlite":
        @event.listens_for(engine, "connect")
        def connect(connection, _):
            connection.isolation_level = None
        @event.listens_for(engine, "begin")
        def begin(connection):
            connection.exec_driver_sql("BEGIN")
    Base.metadata.create_all(engine)
    yield engine
    Base.metadata.drop_all(engine)
    engine.dispose()

@pytest.fixture
def session(engine):
    connection = engine.connect()
    transaction = connection.begin()
    session = Session(bind=connection, join_transaction_mode="create_savepoint")
    yield session
    session.close()
    transaction.rollback()
    connection.close()
"""

CREATE_ALL = """
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from models import Base

@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    engine = create_engine({url})
    yield engine
    engine.dispose()

@pytest.fixture
def session(engine):
    Base.metadata.create_all(engine)
    session = Session(engine)
    yield session
    session.close()
    Base.metadata.drop_all(engine)
"""

DJANGO = """
import django
from django.conf import settings

def pytest_configure():
    settings.configure(
        DATABASES={"default": {databases}},
        INSTALLED_APPS=["shelf"], DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True,
    )
    django.setup()
"""

DJANGO_MODELS = "".join(
    f"""
class T{n}(models.Model):
    name = models.CharField(max_length=50)
    value = models.IntegerField()
"""
    for n in range(TABLES)
)

DJANGO_BODY = """
import pytest
from shelf.models import T0

@pytest.mark.parametrize("n", range({tests}))
def test_work(db, n):
    T0.objects.create(name="a", value=n)
    assert T0.objects.count() == 1
"""

PLAIN_INI = "[pytest]\nasyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n"


class Suite:
    """A project in a folder of its own, and what one of its tests spends in fixtures."""

    def __init__(self, folder: Path, files: dict[str, str], *, python: str, ours: bool) -> None:
        self._folder = folder
        self._python = python
        self._switches = [] if ours else ["-p", "no:proxmox", "-p", "no:asyncio"]
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def seconds_per_test(self) -> float:
        """Return the median time of setup and teardown, less that of tests without fixture."""
        done = subprocess.run(
            [self._python, "-m", "pytest", "-q", "-s", "-p", "times", *self._switches],
            cwd=self._folder,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(self._folder), "HOME": "/tmp"},  # noqa: S108 - nobody writes there
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the suite in {self._folder} failed: {done.stdout}{done.stderr}")
        return max(float(done.stdout.rpartition("SPENT")[2].split()[0]), 1e-9)


def _files(body: str, conftest: str, ini: str = "[pytest]\n") -> dict[str, str]:
    return {
        "models.py": MODELS,
        "times.py": TIMES,
        "conftest.py": conftest,
        "test_nothing.py": NOTHING,
        "test_work.py": body,
        "pytest.ini": ini,
    }


def _body(fixture: str, tests: int = TESTS) -> str:
    return BODY.format(tests=tests, fixture=fixture)


def _ours(folder: Path, url: str) -> Measure:
    ini = f"{PLAIN_INI}db_metadata = models:Base\ndb_url = {url}\n"
    files = _files(_body("db_session"), "", ini)
    return Suite(folder, files, python=sys.executable, ours=True).seconds_per_test


def _peer(folder: Path, text: str, url: str, tests: int = TESTS) -> Measure:
    files = _files(_body("session", tests), text.replace("{url}", url))
    return Suite(folder, files, python=sys.executable, ours=False).seconds_per_test


@lru_cache(maxsize=1)
def _django_python() -> str:
    """Return the Python of an environment of its own: pytest-django changes every run it is in."""
    folder = Path(tempfile.gettempdir()) / "pytest-proxmox-benchmark-django"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(
            [
                str(python),
                "-m",
                "pip",
                "install",
                "-q",
                "django",
                "pytest",
                "pytest-django",
                "psycopg[binary]",
            ],
            check=True,
        )
        (folder / "complete").touch()
    return str(python)


def _django(folder: Path, databases: str) -> Measure:
    files = _files(DJANGO_BODY.format(tests=TESTS), DJANGO.replace("{databases}", databases))
    files["shelf/__init__.py"] = ""
    files["shelf/models.py"] = f"from django.db import models\n{DJANGO_MODELS}"
    return Suite(folder, files, python=_django_python(), ours=False).seconds_per_test


def main() -> Sequence[Row]:
    """Return the rows: SQLite file and PostgreSQL against each peer, then the state checks."""
    from pytest_proxmox.database.server import TemporaryPostgres

    server = TemporaryPostgres().start()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            rows = _sqlite_rows(folder) + _postgresql_rows(folder, server.url)
    finally:
        server.stop()
    return rows + _state_rows()


def _sqlite_rows(folder: Path) -> list[Row]:
    url = "f\"sqlite:///{tmp_path_factory.mktemp('db')}/t.db\""
    ours = _ours(folder / "a", "sqlite:///test.db")
    # in a file, as the others: pytest-django's own default is memory
    database = (
        '{"ENGINE": "django.db.backends.sqlite3", "NAME": "x.db", "TEST": {"NAME": "test.db"}}'
    )
    return _against(
        "SQLite file",
        ours,
        _peer(folder / "b", RECIPE, url),
        _peer(folder / "c", CREATE_ALL, url, SLOW_TESTS),
        _django(folder / "d", database),
    )


def _postgresql_rows(folder: Path, url: object) -> list[Row]:
    from sqlalchemy import URL

    assert isinstance(url, URL)  # for the type checker
    plain = url.render_as_string(hide_password=False)
    database = repr(
        {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": url.database,
            "USER": url.username,
            "PASSWORD": url.password,
            "HOST": url.host,
            "PORT": url.port,
        }
    )
    return _against(
        "PostgreSQL",
        _ours(folder / "pa", plain.replace("/postgres", "/bench_test")),
        _peer(folder / "pb", RECIPE, repr(plain)),
        _peer(folder / "pc", CREATE_ALL, repr(plain), SLOW_TESTS),
        _django(folder / "pd", database),
    )


def _against(
    name: str, ours: Measure, recipe: Measure, create_all: Measure, django: Measure
) -> list[Row]:
    return [
        compare(
            f"db_session, {name}", ours, recipe, against="savepoint recipe", bound=at_most(1.3)
        ),
        compare(
            f"speed of db_session, {name}",
            create_all,
            ours,
            against="create_all/drop_all",
            bound=at_least(8),
        ),
        compare(
            f"db_session, {name}", ours, django, against="pytest-django db", bound=at_most(1.0)
        ),
    ]


def _state_rows() -> list[Row]:
    """Return what the checks of the state cost, inside one process."""
    from benchmarks.database_state import rows

    return rows()


if __name__ == "__main__":
    sys.exit(run([main]))
