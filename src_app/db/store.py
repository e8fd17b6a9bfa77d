"""One database for a whole process: work in short transactions, each with all repositories."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import TypeVar

from src_app.db.changes import Changes
from src_app.db.engine import WRITES, make_engine, make_sessions, migrate
from src_app.db.repositories import Health, RepositoryFactory

T = TypeVar("T")
Work = Callable[[RepositoryFactory], T]


class Store:
    """Runs units of work: what a unit changes is committed together, or not at all."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self.changes = Changes(self.engine)
        self._sessions = make_sessions(self.engine)

    @property
    def is_postgresql(self) -> bool:
        """Whether the database is PostgreSQL."""
        return self.engine.dialect.name == "postgresql"

    def migrate(self) -> None:
        """Bring the schema to the newest revision."""
        migrate(self.engine)

    def run(self, work: Work[T]) -> T:
        """Return what ``work`` returns, once its changes are committed."""
        with self._sessions() as session, session.begin():
            session.connection(execution_options={WRITES: True})
            return work(RepositoryFactory(session))

    def read(self, work: Work[T]) -> T:
        """Return what ``work`` reads; it waits for no writer and must not write."""
        with self._sessions() as session, session.begin():
            return work(RepositoryFactory(session))

    async def arun(self, work: Work[T]) -> T:
        """Return the same from a worker thread: the event loop goes on meanwhile."""
        return await asyncio.to_thread(self.run, work)

    async def aread(self, work: Work[T]) -> T:
        """Return what ``work`` reads, from a worker thread."""
        return await asyncio.to_thread(self.read, work)

    async def amark(self) -> Hashable | None:
        """Return a mark of what is committed: while it is the same, every row is."""
        mark = self.changes.mark
        return mark() if self.changes.is_instant else await asyncio.to_thread(mark)

    def health(self) -> Health:
        """Return whether the database answers and has all tables."""
        with self._sessions() as session:
            return RepositoryFactory(session).health_check()

    def close(self) -> None:
        """Give all connections back."""
        self.changes.close()
        self.engine.dispose()
