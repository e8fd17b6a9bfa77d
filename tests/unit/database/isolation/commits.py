"""Commits and rollbacks of every kind."""

from __future__ import annotations

import contextlib

from sqlalchemy import create_engine, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import scoped_session

from tests.unit.database.isolation.registry import behaviour
from tests.unit.database.isolation.worlds import Item, Shelf, World, add, count, done, names


@behaviour()
async def commit_is_undone(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await add(session, "a")
        await done(session.commit())
        assert await names(session) == ["a"]


@behaviour()
async def second_commit_is_undone(w: World) -> None:
    with w.test():
        session = w.session()
        for name in ("a", "b"):
            await add(session, name)
            await done(session.commit())
        assert await names(session) == ["a", "b"]
        await done(session.close())


@behaviour()
async def commit_of_core_connection_is_undone(w: World) -> None:
    with w.test():
        if w.style == "sync":
            with w.engine.connect() as connection:
                connection.execute(insert(Item).values(name="a"))
                connection.commit()
        else:
            async with w.async_engine.connect() as connection:
                await connection.execute(insert(Item).values(name="a"))
                await connection.commit()


@behaviour()
async def commit_of_engine_begin_is_undone(w: World) -> None:
    with w.test() as test:
        if w.style == "sync":
            with w.engine.begin() as connection:
                connection.execute(insert(Item).values(name="a"))
        else:
            async with w.async_engine.begin() as connection:
                await connection.execute(insert(Item).values(name="a"))
        assert await count(w.own(test)) == 1


@behaviour()
async def commit_through_the_apps_session_local_is_undone(w: World) -> None:
    with w.test() as test:
        session = w.session()
        await add(session, "a")
        await done(session.commit())
        await done(session.close())
        assert await names(w.own(test)) == ["a"]


@behaviour(styles=["sync"])
async def commit_through_the_apps_scoped_session_is_undone(w: World) -> None:
    with w.test() as test:
        scoped = scoped_session(w.local)
        scoped.add(Item(name="a"))
        scoped.commit()
        scoped.remove()
        assert await names(w.own(test)) == ["a"]


@behaviour()
async def commit_of_bulk_insert_is_undone(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await done(session.execute(insert(Item), [{"name": f"n{i}"} for i in range(50)]))
        await done(session.commit())
        assert await count(session) == 50


@behaviour()
async def commit_of_update_and_delete_is_undone(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await done(session.execute(update(Shelf).values(name="renamed")))
        await done(session.commit())
        await done(session.execute(delete(Shelf)))
        await done(session.commit())
        assert (await done(session.execute(select(Shelf)))).all() == []


@behaviour()
async def commit_in_autocommit_mode_is_undone(w: World) -> None:
    with w.test() as test:
        statement = insert(Item).values(name="a")
        if w.style == "sync":
            with w.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(statement)
        else:
            async with w.async_engine.connect() as plain:
                connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
                await connection.execute(statement)
        assert await names(w.own(test)) == ["a"]


@behaviour(variants=["sqlite-file", "postgresql"])
async def commit_through_a_late_engine_is_undone(w: World) -> None:
    with w.test() as test:
        statement = insert(Item).values(name="a")
        if w.style == "sync":
            late = create_engine(w.engine.url)
            with late.begin() as connection:
                connection.execute(statement)
            late.dispose()
        else:
            alate = create_async_engine(w.async_engine.url)
            async with alate.begin() as aconnection:
                await aconnection.execute(statement)
            await alate.dispose()
        assert await names(w.own(test)) == ["a"]


@behaviour(styles=["sync"])
async def commit_through_an_engine_that_was_connected_before_is_undone(w: World) -> None:
    with w.test() as test:  # w.engine was connected before the isolation was installed
        with w.engine.begin() as connection:
            connection.execute(text("INSERT INTO items (name) VALUES ('a')"))
        assert await names(w.own(test)) == ["a"]


@behaviour()
async def committed_rows_are_seen_by_the_next_session(w: World) -> None:
    with w.test():
        first = w.session()
        await add(first, "a")
        await done(first.commit())
        second = w.session()
        assert await names(second) == ["a"]
        await done(first.close())
        await done(second.close())


@behaviour()
async def next_test_starts_from_the_baseline(w: World) -> None:
    for _ in range(3):
        with w.test() as test:
            session = w.own(test)
            assert await count(session) == 0
            await add(session, "a")
            await done(session.commit())


@behaviour()
async def rollback_undoes_what_was_not_committed(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await add(session, "a")
        await done(session.rollback())
        assert await count(session) == 0


@behaviour()
async def rollback_keeps_what_was_committed_before(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await add(session, "kept")
        await done(session.commit())
        await add(session, "lost")
        await done(session.rollback())
        assert await names(session) == ["kept"]


@behaviour()
async def close_without_commit_rolls_back(w: World) -> None:
    with w.test() as test:
        session = w.session()
        await add(session, "a")
        await done(session.close())
        assert await count(w.own(test)) == 0


@behaviour()
async def session_that_is_never_closed_is_undone(w: World) -> None:
    with w.test():
        session = w.session()
        await add(session, "a")
    await done(session.close())


@behaviour()
async def rollback_of_a_reader_keeps_what_others_committed(w: World) -> None:
    with w.test() as test:
        reader = w.own(test)
        assert await count(reader) == 0
        writer = w.session()
        await add(writer, "a")
        await done(writer.commit())
        await done(writer.close())
        await done(reader.rollback())
        assert await names(reader) == ["a"]


@behaviour()
async def exception_in_a_begin_block_rolls_back(w: World) -> None:
    with w.test() as test:
        with contextlib.suppress(LookupError):
            if w.style == "sync":
                with w.local.begin() as session:
                    await add(session, "a")
                    raise LookupError
            else:
                async with w.async_local.begin() as session:
                    await add(session, "a")
                    raise LookupError
        assert await count(w.own(test)) == 0


@behaviour()
async def nested_commit_and_outer_commit_are_undone(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        nested = await done(session.begin_nested())
        await add(session, "a")
        await done(nested.commit())
        await done(session.commit())
        assert await names(session) == ["a"]


@behaviour()
async def nested_rollback_keeps_the_outer_rows(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await add(session, "outer")
        nested = await done(session.begin_nested())
        await add(session, "inner")
        await done(nested.rollback())
        await done(session.commit())
        assert await names(session) == ["outer"]


@behaviour()
async def nested_in_nested_rolls_back_alone(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        outer = await done(session.begin_nested())
        await add(session, "one")
        inner = await done(session.begin_nested())
        await add(session, "two")
        await done(inner.rollback())
        await done(outer.commit())
        await done(session.commit())
        assert await names(session) == ["one"]


@behaviour()
async def nested_blocks_of_two_sessions_do_not_clash(w: World) -> None:
    with w.test() as test:
        first, second = w.session(), w.session()
        one = await done(first.begin_nested())
        await add(first, "a")
        two = await done(second.begin_nested())
        await add(second, "b")
        await done(one.commit())  # both are sa_savepoint_1 to SQLAlchemy
        await done(two.rollback())
        await done(second.close())
        await done(first.commit())
        await done(first.close())
        assert await names(w.own(test)) == ["a"]


@behaviour()
async def raw_commit_statement_is_undone(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await done(session.execute(text("INSERT INTO items (name) VALUES ('a')")))
        await done(session.execute(text("COMMIT")))
        await done(session.execute(text("INSERT INTO items (name) VALUES ('b')")))
        await done(session.rollback())
        assert await names(session) == ["a"]


@behaviour()
async def raw_rollback_statement_works(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await done(session.execute(text("INSERT INTO items (name) VALUES ('a')")))
        await done(session.execute(text("ROLLBACK")))
        assert await count(session) == 0


@behaviour()
async def raw_savepoint_statements_work(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await add(session, "a")
        await done(session.execute(text("SAVEPOINT mine")))
        await add(session, "b")
        await done(session.execute(text("ROLLBACK TO SAVEPOINT mine")))
        await done(session.execute(text("RELEASE SAVEPOINT mine")))
        await done(session.commit())
        session.expunge_all()
        assert await names(session) == ["a"]


@behaviour(styles=["sync"])
async def driver_cursor_is_contained(w: World) -> None:
    with w.test() as test:
        raw = w.engine.raw_connection()
        cursor = raw.cursor()
        cursor.execute("INSERT INTO items (name) VALUES ('a')")
        cursor.connection.commit()
        cursor.close()
        raw.commit()
        raw.close()
        assert await names(w.own(test)) == ["a"]


@behaviour(variants=["sqlite-memory", "sqlite-file"], styles=["sync"])
async def driver_script_is_contained(w: World) -> None:
    with w.test() as test:
        raw = w.engine.raw_connection()
        raw.driver_connection.executescript(
            "INSERT INTO items (name) VALUES ('a;b');\n-- a comment; with a semicolon\n"
            "CREATE TABLE extra (x); INSERT INTO extra VALUES (1)"
        )
        raw.commit()
        raw.close()
        assert await names(w.own(test)) == ["a;b"]


@behaviour(variants=["sqlite-memory", "sqlite-file"])
async def pragma_journal_mode_does_not_fail(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await add(session, "a")
        await done(session.execute(text("PRAGMA journal_mode=WAL")))
        await done(session.execute(text("PRAGMA synchronous = OFF")))
        await done(session.commit())


@behaviour()
async def created_table_is_undone(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await done(session.execute(text("CREATE TABLE made (x INTEGER)")))
        await done(session.execute(text("INSERT INTO made VALUES (1)")))
        await done(session.commit())


@behaviour()
async def dropped_table_comes_back(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await done(session.execute(text("DROP TABLE items")))
        await done(session.commit())


@behaviour()
async def added_column_is_undone(w: World) -> None:
    with w.test() as test:
        session = w.own(test)
        await done(session.execute(text("ALTER TABLE items ADD COLUMN colour VARCHAR(9)")))
        await done(session.execute(text("UPDATE items SET colour = 'red'")))
        await done(session.commit())


@behaviour()
async def transactionless_test_commits_for_real_and_is_reset(w: World) -> None:
    with w.test(transaction=False):
        session = w.session()
        await add(session, "a")
        await done(session.commit())
        await done(session.close())
        assert w.outside()["items"].rows == 1


@behaviour(variants=["sqlite-file", "postgresql"])
async def transactionless_sessions_are_independent(w: World) -> None:
    with w.test(transaction=False):
        first, second = w.session(), w.session()
        await add(first, "a")
        assert await count(second) == 0
        await done(second.rollback())
        await done(first.commit())
        assert await count(second) == 1
        await done(first.close())
        await done(second.close())


@behaviour()
async def sequences_start_again_after_reset(w: World) -> None:
    ids = []
    for _ in range(2):
        with w.test(transaction=False):
            session = w.session()
            item = Item(name="a")
            session.add(item)
            await done(session.commit())
            ids.append(item.id if w.style != "sync" else session.get(Item, item.id).id)
            await done(session.close())
    assert ids[0] == ids[1]
