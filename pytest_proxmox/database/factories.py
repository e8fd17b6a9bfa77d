"""Factories of rows that are bound to the test's session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from polyfactory.factories.sqlalchemy_factory import SQLAlchemyFactory
from sqlalchemy.orm import Session

from pytest_proxmox.database.ids import UniqueIds
from pytest_proxmox.errors import IsolationError

T = TypeVar("T")


class SessionFactory(SQLAlchemyFactory[T]):
    """The base: subclasses name a model, ``create_sync()`` adds, commits and returns a row.

    Relationships are left to the test: a parent that appears from nowhere hides a
    missing one.
    """

    __is_base_factory__ = True
    __set_relationships__ = False
    __set_foreign_keys__ = False
    __check_model__ = False

    ids: ClassVar[UniqueIds] = UniqueIds()

    @classmethod
    def create_sync(cls, **kwargs: Any) -> T:
        """Return a row that is in the database, committed.

        Raises:
            IsolationError: the factory is not bound to a session.
        """
        session = cls.__session__
        if session is None:
            raise IsolationError(
                f"{cls.__name__} is not bound to a session",
                hint="Use it inside `with bound(db_session, ids, Factory):`, or bind it in a "
                "fixture of yours",
            )
        return super().create_sync(**kwargs)


@contextmanager
def bound(
    session: Session, ids: UniqueIds, *factories: type[SessionFactory[Any]]
) -> Iterator[None]:
    """Bind ``factories`` to ``session`` and ``ids`` until the end of the block."""
    before = [(f, f.__session__, f.ids) for f in factories]
    for factory in factories:
        factory.__session__, factory.ids = session, ids
    try:
        yield
    finally:
        for factory, old, old_ids in before:
            factory.__session__, factory.ids = old, old_ids
