"""An application with its own engines, on one kind of database, under isolation."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psycopg
from sqlalchemy import ForeignKey, QueuePool, String, create_engine, func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from pytest_proxmox.database.bindings import bind_of
from pytest_proxmox.database.catalogs import TableState
from pytest_proxmox.database.isolation import Isolation
from pytest_proxmox.database.sessions import IsolatedTest
from pytest_proxmox.database.state import Inspector
from pytest_proxmox.database.stores import PostgresStore, SqliteStore

Variant = Literal["sqlite-memory", "sqlite-file", "postgresql"]
Style = Literal["sync", "async", "asyncpg"]  # the last: another driver of the application
VARIANTS: tuple[Variant, ...] = ("sqlite-memory", "sqlite-file", "postgresql")
STYLES: tuple[Style, ...] = ("sync", "async")


class Base(DeclarativeBase):
    """The models of the small application."""


class Shelf(Base):
    """Something that items stand on; the baseline has one, named ``base``."""

    __tablename__ = "shelves"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)


class Item(Base):
    """Something on a shelf."""

    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    shelf_id: Mapped[int | None] = mapped_column(ForeignKey("shelves.id"))


def make_schema(engine: Any) -> None:
    """Make the tables and the baseline row."""
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Shelf(name="base"))
        session.commit()


@dataclass
class World:
    """One variant: the isolated database, and an application that knows nothing of it."""

    variant: Variant
    isolation: Isolation
    engine: Any
    local: sessionmaker[Session]
    engines: dict[Style, Any]
    locals: dict[Style, async_sessionmaker[Any]]
    style: Style = "sync"
    code: Any = None
    baseline: dict[str, TableState] = field(default_factory=dict)

    @property
    def async_local(self) -> async_sessionmaker[Any]:
        """The application's factory of asynchronous sessions."""
        return self.locals.get(self.style, self.locals["async"])

    @property
    def async_engine(self) -> Any:
        """The application's asynchronous engine."""
        return self.engines.get(self.style, self.engines["async"])

    def session(self) -> Any:
        """A new session of the application, in this style."""
        return self.local() if self.style == "sync" else self.async_local()

    @contextmanager
    def test(self, *, transaction: bool = True) -> Iterator[IsolatedTest]:
        """A test; when it has ended the database is the baseline again."""
        test = IsolatedTest(self.isolation, "a test", transaction=transaction, code=self.code)
        try:
            yield test
        finally:
            test.end()
        assert self.outside() == self.baseline

    def own(self, test: IsolatedTest) -> Any:
        """The test's own session, in this style."""
        return test.session() if self.style == "sync" else test.async_session()

    def outside(self) -> dict[str, TableState]:
        """What is really in the database, seen past SQLAlchemy."""
        return self.isolation.inspector.catalog.fingerprint()

    def raw(self) -> Any:
        """A connection of the driver itself, past SQLAlchemy."""
        url = self.isolation.store.url
        if url.get_backend_name() == "sqlite":
            return sqlite3.connect(str(url.database), timeout=1)
        return psycopg.connect(url.set(drivername="postgresql").render_as_string(False))


async def done(value: Any) -> Any:
    """The value, awaited where the style is asynchronous."""
    return await value if inspect.isawaitable(value) else value


async def add(session: Any, name: str) -> None:
    """Add an item and write it."""
    session.add(Item(name=name))
    await done(session.flush())


async def names(session: Any) -> list[str]:
    """The items that ``session`` sees."""
    result = await done(session.execute(select(Item.name).order_by(Item.name)))
    return list(result.scalars())


async def count(session: Any) -> int:
    """How many items ``session`` sees."""
    return int((await done(session.execute(select(func.count(Item.id))))).scalar_one())


def drive(style: Style, body: Coroutine[Any, Any, None]) -> None:
    """Run a behaviour: without a loop, or in one."""
    if style != "sync":
        asyncio.run(body)
        return
    try:
        body.send(None)
    except StopIteration:
        return
    raise AssertionError("a synchronous behaviour awaited something")


Behaviour = Callable[[World], Coroutine[Any, Any, None]]


@contextmanager
def world(variant: Variant, folder: Path) -> Iterator[World]:
    """Make the database of ``variant``, an application on it, and isolate both."""
    if variant == "postgresql":
        store: Any = PostgresStore(None, make_schema, worker="gw0", fingerprint="isolation suite")
    else:
        store = SqliteStore(None if variant == "sqlite-memory" else folder / "t.db", make_schema)
    lite = variant != "postgresql"
    # the default pool for memory gives both sessions of a thread one connection: not our subject
    engine = create_engine(store.url, poolclass=QueuePool)
    drivers: dict[Style, str] = (
        {"async": "sqlite+aiosqlite"}
        if lite
        else {"async": "postgresql+psycopg", "asyncpg": "postgresql+asyncpg"}
    )
    engines = {s: create_async_engine(store.url.set(drivername=d)) for s, d in drivers.items()}
    local = sessionmaker(engine)
    locals_ = {s: async_sessionmaker(e, expire_on_commit=False) for s, e in engines.items()}
    with engine.connect():  # an application that connected before the tests began
        pass
    bindings = [
        bind_of("app:SessionLocal", local, origin="test"),
        *(bind_of(f"app:{s}", maker, origin="test") for s, maker in locals_.items()),
    ]
    isolation = Isolation(store, inspector=Inspector(store), bindings=bindings)
    isolation.install()
    made = World(variant, isolation, engine, local, engines, locals_)
    made.baseline = made.outside()
    try:
        yield made
    finally:
        isolation.close()
