"""Commits that leave the test's transaction: refused when they happen, named in any case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

from pytest_proxmox.database.places import caller, stack
from pytest_proxmox.database.statements import Kind, classify, placeless
from pytest_proxmox.database.urls import Place, is_allowed, is_temporary
from pytest_proxmox.database.virtual import Virtual
from pytest_proxmox.errors import EscapedCommit

__tracebackhide__ = True  # an error leads to the line of the test, not to ours

_NOTE = "pytest_proxmox_wrote"
_CALM = (Kind.READ, Kind.PRAGMA)


class EscapeWatch:
    """Looks at every engine of the process while a test runs."""

    def __init__(self, *, allow: Sequence[str]) -> None:
        self.allow = tuple(allow)
        self.test = ""
        self.caught: list[EscapedCommit] = []
        self._calm: dict[URL, bool] = {}

    def install(self) -> None:
        """Start to look."""
        event.listen(Engine, "before_cursor_execute", self._statement)
        event.listen(Engine, "commit", self._commit)
        event.listen(Engine, "rollback", self._rollback)
        event.listen(Engine, "handle_error", self._failed)

    def uninstall(self) -> None:
        """Stop to look."""
        event.remove(Engine, "before_cursor_execute", self._statement)
        event.remove(Engine, "commit", self._commit)
        event.remove(Engine, "rollback", self._rollback)
        event.remove(Engine, "handle_error", self._failed)

    def forget(self) -> None:
        """Forget which URLs are harmless: the allowed ones have changed."""
        self._calm.clear()

    def take(self) -> EscapedCommit | None:
        """Return the first escape since the last call, which then counts as reported."""
        caught, self.caught = self.caught, []
        return caught[0] if caught else None

    def is_harmless(self, url: URL) -> bool:
        """Whether commits to ``url`` leave nothing behind, or are allowed."""
        known = self._calm.get(url)
        if known is None:
            name = Place.of(url).name if url.get_backend_name() == "sqlite" else ""
            in_temp = name not in ("", ":memory:") and is_temporary(name)
            known = self._calm[url] = in_temp or is_allowed(url, self.allow)
        return known

    def _statement(self, connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if not self.test or isinstance_virtual(connection):
            return
        if classify(statement).kind in _CALM or self.is_harmless(connection.engine.url):
            return
        connection.info.setdefault(_NOTE, (placeless(statement), caller(), stack()))
        if _is_autocommit(connection):
            self._refuse(connection)

    def _commit(self, connection: Connection) -> None:
        if self.test and _NOTE in connection.info:
            self._refuse(connection)

    def _rollback(self, connection: Connection) -> None:
        connection.info.pop(_NOTE, None)

    def _failed(self, context: ExceptionContext) -> None:
        """Say, where an engine that is not isolated finds no server, that it need not."""
        if self.test and context.connection is None and context.engine is not None:
            url = context.engine.url.render_as_string()
            error = context.sqlalchemy_exception or context.original_exception
            error.add_note(
                f"The engine {url} is not the test database: if it is the application's own, name "
                "it or its session factory in the ini key db_bind."
            )

    def _refuse(self, connection: Connection) -> None:
        statement, place, lines = connection.info.pop(_NOTE)
        url = connection.engine.url.render_as_string()
        escape = EscapedCommit(
            f"{self.test}: the engine {url} is not isolated, and commits outside the test's "
            f"transaction. It wrote:\n    {statement}\nat {place}:\n{lines}\n"
            "The commit was refused",
            statement=statement,
            place=place,
            hint="Name the engine or its session factory in the ini key db_bind, or allow its "
            f"commits with db_allow = {url}",
        )
        self.caught.append(escape)
        # SQLAlchemy takes a transaction whose commit failed for ended: undo it here
        connection.dialect.do_rollback(connection.connection)
        raise escape


def isinstance_virtual(connection: Connection) -> bool:
    """Whether ``connection`` is on the wire (``isinstance`` is what virtuals lie to)."""
    return issubclass(type(connection.connection.dbapi_connection), Virtual)


def _is_autocommit(connection: Connection) -> bool:
    raw = connection.connection.dbapi_connection
    dialect = connection.dialect
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        return True
    if dialect.name == "postgresql" and dialect.driver == "psycopg":
        return bool(getattr(raw, "autocommit", False))
    return getattr(dialect, "_on_connect_isolation_level", None) == "AUTOCOMMIT"
