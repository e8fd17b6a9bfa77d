"""Commits that leave the test's transaction: refused, named, found."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import Engine, StaticPool, create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from pytest_proxmox.database import escapes as watch
from pytest_proxmox.database.sessions import IsolatedTest
from pytest_proxmox.errors import EscapedCommit, StateChanged
from tests.unit.database.isolation.registry import behaviour
from tests.unit.database.isolation.worlds import Base, Item, World, make_schema, names


@contextlib.contextmanager
def foreign(w: World, **options: Any) -> Iterator[Engine]:
    """An engine the isolation was not told of: the application's own, on its own database."""
    if w.variant == "postgresql":
        # on the same server, the maintenance database: as real as a developer's own
        engine = create_engine(w.isolation.store.url.set(database="postgres"), **options)
    elif w.variant == "sqlite-file":
        path = Path(__file__).parent / f"escaped-{os.getpid()}.db"
        engine = create_engine(f"sqlite:///{path}", **options)
    else:
        engine = create_engine("sqlite://", poolclass=StaticPool, **options)
    make_schema(engine)
    try:
        # what lies in the temporary folder is harmless, and this checkout may lie there too
        with mock.patch.object(watch, "is_temporary", return_value=False):
            yield engine
    finally:
        _remove(w, engine)


def _remove(w: World, engine: Engine) -> None:
    if w.variant == "postgresql":
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE items, shelves"))
    engine.dispose()
    if w.variant == "sqlite-file":
        Path(str(engine.url.database)).unlink()


def write(w: World, sql: str) -> None:
    """Commit ``sql`` past SQLAlchemy."""
    raw = w.raw()
    raw.execute(sql)
    raw.commit()
    raw.close()


def rows(engine: Engine) -> int:
    """How many items the foreign database really has."""
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM items")).scalar_one())


@behaviour(styles=["sync"])
async def commit_through_an_unbound_engine_is_refused_by_name(w: World) -> None:
    with foreign(w) as engine:
        with w.test() as test:
            session = Session(engine)
            session.add(Item(name="escaped"))
            with pytest.raises(EscapedCommit) as caught:
                session.commit()
            session.close()
            test.isolation.escape()
        assert rows(engine) == 0
    text_ = str(caught.value)
    assert "INSERT INTO items" in text_
    assert "escapes.py" in text_
    assert "commit_through_an_unbound_engine_is_refused_by_name" in text_
    assert "db_bind" in text_


@behaviour(styles=["async"])
async def commit_through_an_unbound_async_engine_is_refused_by_name(w: World) -> None:
    with foreign(w) as engine:
        url = engine.url.set(drivername=w.async_engine.url.drivername)
        other = create_async_engine(url, poolclass=StaticPool)
        if w.variant == "sqlite-memory":  # a memory of its own
            async with other.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
        with w.test() as test:
            async with AsyncSession(other) as session:
                session.add(Item(name="escaped"))
                with pytest.raises(EscapedCommit, match="INSERT INTO items") as caught:
                    await session.commit()
            test.isolation.escape()
        async with other.connect() as reading:
            assert (await reading.execute(text("SELECT count(*) FROM items"))).scalar_one() == 0
        await other.dispose()
    assert "commit_through_an_unbound_async_engine_is_refused_by_name" in str(caught.value)


@behaviour(styles=["sync"])
async def swallowed_escape_still_fails_the_test(w: World) -> None:
    def swallow(engine: Engine) -> None:
        with w.test(), contextlib.suppress(Exception), Session(engine) as session:
            session.add(Item(name="escaped"))
            session.commit()

    with foreign(w) as engine:
        with pytest.raises(EscapedCommit, match="INSERT INTO items"):
            swallow(engine)
        assert rows(engine) == 0


@behaviour(styles=["sync"])
async def commit_through_a_creator_engine_is_refused_by_name(w: World) -> None:
    with foreign(w) as engine:
        args, params = engine.dialect.create_connect_args(engine.url)
        raw = engine.raw_connection()

        def creator() -> Any:
            memory = w.variant == "sqlite-memory"
            return raw.driver_connection if memory else engine.dialect.connect(*args, **params)

        other = create_engine(f"{engine.url.drivername}://", creator=creator, poolclass=StaticPool)
        with w.test() as test:
            with pytest.raises(EscapedCommit, match="INSERT INTO items"), other.begin() as c:
                c.execute(text("INSERT INTO items (name) VALUES ('escaped')"))
            test.isolation.escape()
        assert rows(engine) == 0
        raw.close()
        other.dispose(close=w.variant != "sqlite-memory")


@behaviour(styles=["sync"])
async def autocommit_write_through_an_unbound_engine_is_refused(w: World) -> None:
    with foreign(w, isolation_level="AUTOCOMMIT") as engine:
        with w.test() as test:
            with pytest.raises(EscapedCommit, match="INSERT INTO items"), engine.connect() as c:
                c.execute(text("INSERT INTO items (name) VALUES ('escaped')"))
            test.isolation.escape()
        assert rows(engine) == 0


@behaviour(variants=["sqlite-file", "postgresql"], styles=["sync"])
async def raw_driver_write_is_found_by_table(w: World) -> None:
    def dirty_test() -> None:
        with w.test():
            write(w, "INSERT INTO items (name) VALUES ('raw')")

    with pytest.raises(StateChanged, match="table items: 0 rows before, 1 after"):
        dirty_test()
    write(w, "DELETE FROM items")
    assert w.outside() == w.baseline
    with w.test():  # the next test is not blamed
        pass


@behaviour(variants=["sqlite-file", "postgresql"], styles=["sync"])
async def raw_write_before_the_tests_first_statement_is_found(w: World) -> None:
    async def dirty_test() -> None:
        with w.test() as test:
            write(w, "INSERT INTO items (name) VALUES ('raw')")
            assert await names(w.own(test)) == ["raw"]

    with pytest.raises(StateChanged, match="table items: 0 rows before, 1 after"):
        await dirty_test()
    write(w, "DELETE FROM items")


@behaviour(variants=["sqlite-file", "postgresql"], styles=["sync"])
async def raw_commit_of_a_transaction_from_before_the_test_is_found(w: World) -> None:
    raw = w.raw()
    raw.execute("INSERT INTO items (name) VALUES ('raw')")

    async def reading_test(*, commits: bool) -> None:
        with w.test() as test:
            assert await names(w.own(test)) == []
            if commits:
                raw.commit()

    await reading_test(commits=False)
    with pytest.raises(StateChanged, match="table items: 0 rows before, 1 after"):
        await reading_test(commits=True)
    raw.close()
    write(w, "DELETE FROM items")


@behaviour(variants=["sqlite-file", "postgresql"], styles=["sync"])
async def raw_write_between_tests_is_the_next_tests_baseline(w: World) -> None:
    write(w, "INSERT INTO items (name) VALUES ('seed')")
    test = IsolatedTest(w.isolation, "a test")
    assert await names(w.own(test)) == ["seed"]
    test.end()
    write(w, "DELETE FROM items")
    with w.test():
        pass


@behaviour(variants=["postgresql"], styles=["sync"])
async def deallocate_all_does_not_blind_the_watch(w: World) -> None:
    for _ in range(2):  # at the test's end, and at the next one's start
        with w.test() as test:
            w.own(test).execute(text("DEALLOCATE ALL"))
    with w.test() as test:
        assert await names(w.own(test)) == []


@behaviour(styles=["sync"])
async def reading_through_an_unbound_engine_is_allowed(w: World) -> None:
    with foreign(w) as engine, w.test(), Session(engine) as session:
        assert await names(session) == []
        session.commit()


@behaviour(styles=["sync"])
async def allowed_url_may_commit(w: World) -> None:
    with foreign(w) as engine:
        watch = w.isolation.watch
        before = watch.allow
        watch.allow = (engine.url.set(password=None).render_as_string(),)
        watch.forget()
        try:
            with w.test(), Session(engine) as session:
                session.add(Item(name="allowed"))
                session.commit()
            assert rows(engine) == 1
        finally:
            watch.allow = before
            watch.forget()


@behaviour(styles=["sync"])
async def write_from_a_thread_between_tests_is_refused(w: World) -> None:
    caught: list[BaseException] = []

    def job() -> None:
        try:
            with w.local() as session:
                session.add(Item(name="late"))
                session.commit()
        except EscapedCommit as exc:
            caught.append(exc)

    with w.test():
        pass
    thread = threading.Thread(target=job)
    thread.start()
    thread.join(10)
    assert "job()" in str(caught[0])
    assert w.outside() == w.baseline
