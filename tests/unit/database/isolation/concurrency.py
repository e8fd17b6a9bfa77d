"""Errors, second sessions, threads, tasks and live servers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from pytest_proxmox.errors import SessionsEntangled, StaleTransaction
from tests.unit.database.isolation.registry import behaviour
from tests.unit.database.isolation.worlds import Item, World, add, count, done, names


def in_threads(*jobs: Callable[[], None]) -> None:
    """Run the jobs at the same time and raise what they raised."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        for future in [pool.submit(job) for job in jobs]:
            future.result(timeout=20)


def commit_one(w: World, name: str) -> None:
    """Commit an item in a synchronous session of the application."""
    with w.local() as session:
        session.add(Item(name=name))
        session.commit()


# -- errors ---------------------------------------------------------------------------


@behaviour()
async def integrity_error_then_rollback_then_commit(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await add(session, "a")
        await done(session.commit())
        with pytest.raises(IntegrityError):
            await add(session, "a")
        await done(session.rollback())
        await add(session, "b")
        await done(session.commit())
        assert await names(session) == ["a", "b"]


@behaviour()
async def integrity_error_inside_a_nested_block(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await add(session, "a")
        nested = await done(session.begin_nested())
        with pytest.raises(IntegrityError):
            await add(session, "a")
        await done(nested.rollback())
        await add(session, "b")
        await done(session.commit())
        assert await names(session) == ["a", "b"]


@behaviour()
async def syntax_error_then_rollback_then_commit(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        with pytest.raises(DBAPIError):
            await done(session.execute(text("SELEKT 1")))
        await done(session.rollback())
        await add(session, "a")
        await done(session.commit())
        assert await names(session) == ["a"]


@behaviour()
async def error_of_one_session_leaves_the_other_alone(w: World) -> None:
    with w.test():
        good, bad = w.session(), w.session()
        await add(good, "good")
        with pytest.raises(DBAPIError):
            await done(bad.execute(text("INSERT INTO nowhere VALUES (1)")))
        assert await names(good) == ["good"]
        await done(bad.rollback())
        await done(good.commit())
        assert await names(good) == ["good"]
        await done(bad.close())
        await done(good.close())


@behaviour()
async def foreign_keys_are_enforced(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        session.add(Item(name="a", shelf_id=4711))
        with pytest.raises(IntegrityError):
            await done(session.commit())
        await done(session.rollback())


@behaviour(variants=["postgresql"])
async def failed_transaction_refuses_statements_until_rollback(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await add(session, "a")
        with pytest.raises(DBAPIError):
            await done(session.execute(text("SELECT 1/0")))
        with pytest.raises(DBAPIError, match="aborted"):
            await done(session.execute(text("SELECT 1")))
        await done(session.rollback())
        assert await count(session) == 0


# -- second session -------------------------------------------------------------------


@behaviour()
async def two_sessions_that_interleave_both_commit(w: World) -> None:
    with w.test() as test:
        first, second = w.session(), w.session()
        await add(first, "a")
        await add(second, "b")
        await done(first.commit())
        await add(second, "c")
        await done(second.commit())
        await done(first.close())
        await done(second.close())
        assert await names(w.own(test)) == ["a", "b", "c"]


@behaviour()
async def older_rollback_over_a_younger_reader_works(w: World) -> None:
    with w.test() as test:
        older, younger = w.session(), w.session()
        await add(older, "a")
        assert await count(younger) == 1
        await done(older.rollback())
        assert await count(younger) == 0
        await done(younger.commit())
        await done(older.close())
        await done(younger.close())
        assert await count(w.own(test)) == 0


@behaviour()
async def older_rollback_under_a_younger_writer_is_refused_by_name(w: World) -> None:
    with w.test() as test:
        older, younger = w.session(), w.session()
        await add(older, "a")
        await add(younger, "b")
        with pytest.raises(SessionsEntangled, match=r"by worlds\.py:\d+"):
            await done(older.rollback())
        await done(younger.commit())
        await done(younger.close())
        assert await names(w.own(test)) == ["a", "b"]
    await done(older.close())


@behaviour()
async def write_below_a_younger_session_survives_its_commit(w: World) -> None:
    with w.test() as test:
        older, younger = w.session(), w.session()
        await add(older, "a")
        await add(younger, "b")
        await add(older, "c")
        await done(younger.commit())
        await done(older.commit())
        await done(older.close())
        await done(younger.close())
        assert await names(w.own(test)) == ["a", "b", "c"]


@behaviour()
async def rollback_that_would_take_a_foreign_write_is_refused_by_name(w: World) -> None:
    with w.test() as test:
        older, younger = w.session(), w.session()
        await add(older, "a")
        await add(younger, "b")
        await add(older, "c")  # lies above the younger one's savepoint
        with pytest.raises(SessionsEntangled, match=r"by worlds\.py:\d+"):
            await done(younger.rollback())
        await done(older.commit())
        await done(older.close())
        assert await names(w.own(test)) == ["a", "b", "c"]
    await done(younger.close())


@behaviour()
async def session_left_open_by_another_test_is_refused_by_name(w: World) -> None:
    session = w.session()
    with w.test():
        await add(session, "a")
    with w.test():
        with pytest.raises(StaleTransaction, match="a test"):
            await add(session, "b")
        await done(session.rollback())
        await add(session, "c")
        await done(session.commit())
        await done(session.close())


# -- threads --------------------------------------------------------------------------


@behaviour()
async def commit_in_a_thread_is_undone(w: World) -> None:
    with w.test() as test:
        in_threads(lambda: commit_one(w, "a"))
        assert await names(w.own(test)) == ["a"]


@behaviour()
async def four_threads_that_commit_are_undone(w: World) -> None:
    with w.test() as test:
        in_threads(*[lambda name=name: commit_one(w, name) for name in "abcd"])
        assert await names(w.own(test)) == ["a", "b", "c", "d"]


@behaviour()
async def rollback_in_a_thread_keeps_the_tests_open_rows(w: World) -> None:
    def job() -> None:
        with w.local() as session:
            session.add(Item(name="thread"))
            session.flush()
            session.rollback()

    with w.test() as test:
        session = w.own(test)
        await add(session, "open")
        in_threads(job)
        await done(session.commit())
        assert await names(session) == ["open"]


@behaviour()
async def threads_wait_for_each_others_transaction(w: World) -> None:
    written, order = threading.Event(), []

    def first() -> None:
        with w.local() as session:
            session.add(Item(name="first"))
            session.flush()
            written.set()
            order.append("first")
            session.rollback()  # would be refused if the second had written above it

    def second() -> None:
        assert written.wait(10)
        commit_one(w, "second")
        order.append("second")

    with w.test() as test:
        in_threads(first, second)
        assert order == ["first", "second"]
        assert await names(w.own(test)) == ["second"]


@behaviour()
async def thread_sees_the_tests_uncommitted_rows(w: World) -> None:
    seen: list[int] = []

    def job() -> None:
        with w.local() as session:
            seen.append(session.scalar(select(func.count(Item.id))) or 0)

    with w.test() as test:
        session = w.own(test)
        await add(session, "open")
        in_threads(job)
        assert seen == [1]


# -- tasks ----------------------------------------------------------------------------


@behaviour(styles=["async"])
async def five_tasks_that_commit_are_undone(w: World) -> None:
    async def job(name: str) -> None:
        async with w.async_local() as session:
            await add(session, name)
            await asyncio.sleep(0)
            await session.commit()

    with w.test() as test:
        await asyncio.gather(*[job(name) for name in "abcde"])
        assert await count(w.own(test)) == 5


@behaviour(styles=["async"])
async def rollback_of_one_task_keeps_the_others_rows(w: World) -> None:
    async def job(name: str) -> None:
        async with w.async_local() as session:
            await add(session, name)
            await asyncio.sleep(0)
            await done(session.rollback() if name == "b" else session.commit())

    with w.test() as test:
        await asyncio.gather(*[job(name) for name in "abcd"])
        assert await names(w.own(test)) == ["a", "c", "d"]


@behaviour(styles=["async"])
async def stream_of_rows_is_read_whole(w: World) -> None:
    with w.test():
        async with w.async_local() as session:
            session.add_all([Item(name=f"n{i}") for i in range(250)])
            await session.commit()
            stream = await session.stream(select(Item.name), execution_options={"yield_per": 100})
            assert len([name async for (name,) in stream]) == 250


@behaviour(styles=["async"])
async def sync_and_async_sessions_share_one_transaction(w: World) -> None:
    with w.test() as test:
        plain = test.session()
        plain.add(Item(name="sync"))
        plain.flush()
        async with w.async_local() as session:
            assert await names(session) == ["sync"]
            await add(session, "async")
            await session.commit()
        assert await names(plain) == ["async", "sync"]


@behaviour(styles=["async"])
async def run_sync_is_contained(w: World) -> None:
    with w.test() as test:
        async with w.async_local() as session:
            await session.run_sync(lambda s: s.add(Item(name="a")))
            await session.run_sync(lambda s: s.commit())
        async with w.async_engine.begin() as connection:
            await connection.run_sync(lambda c: c.execute(text("UPDATE items SET name = 'b'")))
        assert await names(w.own(test)) == ["b"]


# -- live servers ---------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """POST commits an item, GET lists them."""

    world: World

    def do_POST(self) -> None:
        commit_one(self.world, self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        with self.world.local() as session:
            body = json.dumps(list(session.scalars(select(Item.name).order_by(Item.name)))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def served(w: World, talk: Callable[[str], object]) -> object:
    """What ``talk`` returns while a server of the application runs in a thread."""
    handler = type("BoundHandler", (Handler,), {"world": w})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            return talk(f"http://127.0.0.1:{server.server_port}/")
        finally:
            server.shutdown()
            thread.join(10)


def ask(url: str, post: str = "") -> object:
    """The names that the server answers with."""
    request = Request(url, data=post.encode() if post else None)
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)


@behaviour()
async def server_in_a_thread_commits_and_is_undone(w: World) -> None:
    def talk(url: str) -> object:
        for name in ("a", "b"):
            ask(url, name)
        return ask(url)

    with w.test() as test:
        assert served(w, talk) == ["a", "b"]
        assert await names(w.own(test)) == ["a", "b"]


@behaviour()
async def server_in_a_thread_sees_uncommitted_rows(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await add(session, "open")
        assert served(w, lambda url: ask(url, "served")) == ["open", "served"]
        await done(session.commit())
        assert await names(session) == ["open", "served"]


OTHER = """
import sys
from sqlalchemy import create_engine, text
with create_engine(sys.argv[1]).begin() as connection:
    connection.execute(text("INSERT INTO items (name) VALUES ('other process')"))
"""


def insert_elsewhere(url: str) -> None:
    """Commit an item in another process, which knows nothing of us."""
    subprocess.run([sys.executable, "-c", OTHER, url], check=True, timeout=60)


@behaviour(variants=["sqlite-file", "postgresql"])
async def server_in_another_process_is_reset(w: World) -> None:
    url = w.isolation.store.url.render_as_string(hide_password=False)
    with w.test(transaction=False):
        insert_elsewhere(url)
        session = w.session()
        assert await names(session) == ["other process"]
        await done(session.close())
