"""The isolation of one worker's database: installed once, begun and ended for each test."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from types import CodeType
from typing import Any

from sqlalchemy import Engine, Pool, QueuePool, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pytest_proxmox.database.bindings import Binding
from pytest_proxmox.database.commits import Commit
from pytest_proxmox.database.escapes import EscapeWatch
from pytest_proxmox.database.ids import UniqueIds
from pytest_proxmox.database.state import Inspector
from pytest_proxmox.database.stores import Store
from pytest_proxmox.database.urls import Place
from pytest_proxmox.database.virtual import Virtual
from pytest_proxmox.database.wire import Wire
from pytest_proxmox.errors import DatabaseRefused, EscapedCommit, StateChanged

__tracebackhide__ = True  # an error leads to the line of the test, not to ours


class Isolation:
    """Leads every engine of the test database to one wire, and watches all others."""

    def __init__(
        self,
        store: Store,
        *,
        inspector: Inspector,
        bindings: Sequence[Binding] = (),
        aliases: Sequence[Place] = (),
        allow: Sequence[str] = (),
        worker: str = "gw0",
    ) -> None:
        self.store = store
        self.inspector = inspector
        self.wire = Wire(store.real)
        self.watch = EscapeWatch(allow=allow)
        self.ids = UniqueIds(worker)
        self._bindings = tuple(bindings)
        self._places = {Place.of(store.url), *aliases} - {Place("sqlite", "", "", ":memory:")}
        self._given: weakref.WeakSet[Any] = weakref.WeakSet()
        self._dialects: dict[int, bool] = {}  # id of a dialect -> is the facade of async engines
        self._undo = ExitStack()
        self._slot: Any = None
        self._url: Any = None
        self._saved: Any = None
        self._new = True  # nobody has looked at the database yet
        self._dirty = False  # somebody else committed in the running test
        self.engine = self._make_engine(switches=False)
        self.app_engine = self._make_engine(switches=False)
        self.facade = self._make_engine(switches=True)
        self._front_facade = self._make_engine(switches=True)
        self._front = {id(self.engine.dialect), id(self._front_facade.dialect)}
        self._fixed: dict[int, Engine] = {}

    def _make_engine(self, *, switches: bool) -> Engine:
        engine = create_engine(self.store.url, poolclass=QueuePool, max_overflow=-1)
        self._dialects[id(engine.dialect)] = switches
        return engine

    # -- installation -----------------------------------------------------------------

    def install(self) -> None:
        """Answer for all engines of the test database from now on.

        Raises:
            DatabaseRefused: an engine of the application is of another kind; all is as before.
        """
        with ExitStack() as undo:
            event.listen(Engine, "do_connect", self._connect)
            undo.callback(event.remove, Engine, "do_connect", self._connect)
            event.listen(Pool, "checkin", self._retire)
            undo.callback(event.remove, Pool, "checkin", self._retire)
            for engine in (self.engine, self.app_engine, self.facade, self._front_facade):
                undo.callback(engine.dispose)
                # SQLAlchemy locks a pool during its first connection: two tasks would wait for ever
                engine.connect().close()
            self._route_async()
            undo.callback(self._unroute_async)
            for binding in self._bindings:
                self._bind(binding)
                undo.callback(_unbind, binding)
            self.watch.install()
            undo.callback(self.watch.uninstall)
            self._undo = undo.pop_all()

    def uninstall(self) -> None:
        """Leave SQLAlchemy and the application as they were."""
        self._undo.close()

    def _bind(self, binding: Binding) -> None:
        engine = binding.engine
        mine = self.store.url.get_backend_name()
        if engine is not None and engine.url.get_backend_name() == mine:
            self._dialects[id(engine.dialect)] = bool(engine.dialect.is_async)
            engine.dispose(close=not engine.dialect.is_async)
        elif binding.swap is not None:
            binding.swap(self.async_engine if binding.is_async else self.app_engine)
        else:
            other = engine.url.get_backend_name() if engine is not None else "nothing"
            raise DatabaseRefused(
                f"{binding.name} is an engine of {other}, the test database is {mine}",
                origin="ini key db_bind",
                hint=f"Set db_url = {other}, or name the app's SessionLocal instead",
            )

    @cached_property
    def async_engine(self) -> AsyncEngine:
        """An ``AsyncEngine`` for the application: it shares the test's transaction."""
        return self._make_async_engine(self.facade)

    @cached_property
    def front_async_engine(self) -> AsyncEngine:
        """An ``AsyncEngine`` for the test's own sessions."""
        return self._make_async_engine(self._front_facade)

    def _make_async_engine(self, facade: Engine) -> AsyncEngine:
        lite = self.store.url.get_backend_name() == "sqlite"
        driver = "sqlite+aiosqlite" if lite else "postgresql+psycopg"
        engine = create_async_engine(self.store.url.set(drivername=driver))
        self._fixed[id(engine)] = facade
        return engine

    def _route_async(self) -> None:
        kind = _async_engine_class()
        self._slot, self._url = kind.__dict__["sync_engine"], kind.__dict__["url"]
        kind.sync_engine = _Route(self._routed, self._slot)
        kind.url = property(lambda engine: _inner(engine).url)  # the app still reads its own

    def _unroute_async(self) -> None:
        kind = _async_engine_class()
        kind.sync_engine, kind.url = self._slot, self._url

    def _routed(self, engine: AsyncEngine) -> Engine:
        fixed = self._fixed.get(id(engine))
        if fixed is not None:
            return fixed
        if self._is_ours(_inner(engine)):
            return self.facade
        before: Engine = self._slot.__get__(engine, type(engine))
        return before

    def adopt(self, engine: Engine) -> None:
        """Lead ``engine`` to the test database whatever its URL says."""
        self._dialects[id(engine.dialect)] = bool(engine.dialect.is_async)

    def _is_ours(self, engine: Engine) -> bool:
        return id(engine.dialect) in self._dialects or Place.of(engine.url) in self._places

    def _connect(
        self, dialect: Any, _record: Any, args: Sequence[Any], params: dict[str, Any]
    ) -> Virtual | None:
        known = self._dialects.get(id(dialect))
        if known is None:
            if dialect.name != self.store.url.get_backend_name() or not self._places:
                return None
            if Place.of_connect(dialect.name, args, params) not in self._places:
                return None
        if dialect.is_async:
            return None
        driver = self.store.driver
        virtual: Virtual = driver.driver_class(
            self.wire, driver, front=id(dialect) in self._front, switches=bool(known)
        )
        self._given.add(virtual)
        return virtual

    def _retire(self, connection: Any, _record: Any) -> None:
        if issubclass(type(connection), Virtual) and connection.wire is self.wire:
            connection.retire()

    # -- tests ------------------------------------------------------------------------

    def begin(self, name: str, *, transaction: bool = True, code: CodeType | None = None) -> None:
        """Start a test.

        Raises:
            StateChanged: the database is not consistent, or a transactionless test cannot start.
        """
        self._look_before(name, later=transaction and not self.wire.stack)
        if not transaction:
            self._saved = self.store.save()
        self.wire.direct = not transaction and self.store.url.database is not None
        self.watch.test = name
        self.wire.begin_test(name, outer=transaction, code=code)

    def _look_before(self, name: str, *, later: bool) -> None:
        """Look what was committed since the last test; ``later``, where dates will tell."""
        real = self.store.real
        self._dirty = False
        real.mark()
        if real.dated and later and not self._new:
            self.wire.after_start = partial(self._look_back, name)
        elif self._new or real.foreign() is not Commit.NONE:
            self._look_anew(name)

    def _look_back(self, name: str) -> None:
        commit = self.store.real.foreign()
        self._dirty |= commit is Commit.RECENT
        if commit is Commit.EARLIER:
            self._look_anew(name)

    def _look_anew(self, name: str) -> None:
        self._new = False
        self.store.real.remember()
        self.inspector.remember()
        findings = self.inspector.inconsistencies()
        if findings:
            raise StateChanged(
                f"the database is not consistent before {name}",
                findings=findings,
                hint="Mend these rows where they are written, between the tests or by another "
                "process, or name an empty database in the ini key db_url",
            )

    def end(self) -> None:
        """End the test, undo it, and see that nothing of it stayed.

        Raises:
            EscapedCommit, StateChanged, IsolationError: something did.
        """
        name, self.watch.test = self.watch.test, ""
        transaction = self.wire.outer
        try:
            self.wire.end_test()
        finally:
            if not transaction:
                self._reset()
        escape = self.watch.take()
        if escape is not None:
            raise escape
        if transaction:
            self.wire.after_start = None
            self._look_back(name)
            if self._dirty:
                self._compare(name)

    def drop_connections(self) -> None:
        """Close the connections that sessions of a transactionless test have of their own."""
        for virtual in list(self._given):
            virtual.drop_own()

    def _reset(self) -> None:
        self.drop_connections()
        self.wire.direct = False
        self.store.restore(self._saved)
        self._saved = None
        self.store.real.remember()

    def _compare(self, name: str) -> None:
        self.store.real.remember()
        findings = self.inspector.changes() + self.inspector.inconsistencies()
        if findings:
            self.inspector.remember()
            raise StateChanged(
                f"{name} left something in the database {self.store.url.render_as_string()}: it "
                "was written past SQLAlchemy, or by another process, and was not undone",
                findings=findings,
                hint="Write through the engine that the test is given, or mark the test "
                "@pytest.mark.db(transaction=False)",
            )

    def escape(self) -> EscapedCommit | None:
        """Return the escape of the running test, if there was one."""
        return self.watch.take()

    def close(self) -> None:
        """Uninstall, and remove the database."""
        self.uninstall()
        self.store.close()


class _Route(property):
    """``AsyncEngine.sync_engine`` while isolations are installed; they nest."""

    def __init__(self, get: Callable[[AsyncEngine], Engine], before: Any) -> None:
        self.raw = getattr(before, "raw", before)
        super().__init__(get, self.raw.__set__)


def _unbind(binding: Binding) -> None:
    """Give the application its own engine back, without a connection of ours."""
    if binding.swap is not None:
        binding.swap(binding.bind)
    if binding.engine is not None:
        binding.engine.dispose(close=not binding.engine.dialect.is_async)


def _inner(engine: AsyncEngine) -> Engine:
    """Return the engine that ``engine`` was made with."""
    raw = getattr(type(engine).__dict__["sync_engine"], "raw", None)
    inner: Engine = raw.__get__(engine, type(engine)) if raw is not None else engine.sync_engine
    return inner


def _async_engine_class() -> Any:
    return AsyncEngine
