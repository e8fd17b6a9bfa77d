"""One test's sessions: opened inside its transaction, closed after that was undone."""

from __future__ import annotations

from contextlib import ExitStack
from types import CodeType

from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from pytest_proxmox.database.helper import DatabaseTestHelper
from pytest_proxmox.database.isolation import Isolation
from pytest_proxmox.database.state import DbState
from pytest_proxmox.errors import EscapedCommit


class IsolatedTest:
    """A test between its begin and its end."""

    def __init__(
        self,
        isolation: Isolation,
        name: str,
        *,
        transaction: bool = True,
        code: CodeType | None = None,
    ) -> None:
        self.isolation = isolation
        self._open = ExitStack()
        isolation.begin(name, transaction=transaction, code=code)

    def session(self) -> Session:
        """Return a session that is closed with the test."""
        session = Session(self.isolation.engine)
        self._open.callback(session.close)
        return session

    def async_session(self) -> AsyncSession:
        """Return an asynchronous session that is closed with the test, without a loop."""
        session = AsyncSession(self.isolation.front_async_engine, expire_on_commit=False)
        self._open.callback(session.sync_session.close)
        return session

    def connection(self) -> Connection:
        """Return a connection that is closed with the test."""
        connection = self.isolation.engine.connect()
        self._open.callback(connection.close)
        return connection

    def state(self, metadata: MetaData | None) -> DbState:
        """Return what the database holds, as this test sees it."""
        return DbState(self.isolation, metadata)

    def helper(self, metadata: MetaData) -> DatabaseTestHelper:
        """Return the helper for this test's database."""
        isolation = self.isolation
        return DatabaseTestHelper(
            isolation.engine, metadata, state=self.state(metadata), ids=isolation.ids
        )

    def raise_escape(self) -> None:
        """Return when nothing escaped.

        Raises:
            EscapedCommit: something did, and the code under test swallowed the refusal.
        """
        escape = self.isolation.escape()
        if escape is not None:
            raise escape

    def note_failure(self, exc: BaseException) -> None:
        """Take the escapes so far for reported, if that is what the test failed with."""
        if isinstance(exc, EscapedCommit):
            self.isolation.escape()

    def end(self) -> None:
        """Undo the test, then close its sessions: nothing is left for them to roll back."""
        with self._open:
            self.isolation.end()
