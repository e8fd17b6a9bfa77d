"""FastAPI's dependencies, led to sessions of the test database."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from pytest_proxmox.errors import InvalidValue


def install(isolation: Any, things: Sequence[tuple[str, Any]]) -> Callable[[], None]:
    """Override the dependencies among ``things`` in the apps among them; return the way back.

    Raises:
        InvalidValue: no app, or no dependency, was named.
    """
    apps = [thing for _, thing in things if hasattr(thing, "dependency_overrides")]
    dependencies = [thing for _, thing in things if not hasattr(thing, "dependency_overrides")]
    if things and not (apps and dependencies):
        names = ", ".join(name for name, _ in things)
        raise InvalidValue(
            f'db_override "{names}" names no {"dependency" if apps else "app"}',
            origin="ini key db_override",
            hint="Name both, one a line: the app (pkg.main:app) and its dependency (pkg.db:get_db);"
            " where a factory makes the app, name its SessionLocal in db_bind instead",
        )
    before = [(app, dict(app.dependency_overrides)) for app in apps]
    for app in apps:
        for dependency in dependencies:
            app.dependency_overrides[dependency] = _provider(isolation, dependency)

    def undo() -> None:
        for app, old in before:
            app.dependency_overrides.clear()
            app.dependency_overrides.update(old)

    return undo


def _provider(isolation: Any, dependency: Any) -> Callable[[], Any]:
    """Return a generator function: FastAPI looks at what kind of function it is."""

    def sessions() -> Iterator[Session]:
        with Session(isolation.app_engine) as session:
            yield session

    async def async_sessions() -> AsyncIterator[AsyncSession]:
        async with AsyncSession(isolation.async_engine) as session:
            yield session

    kinds = (inspect.isasyncgenfunction, inspect.iscoroutinefunction)
    return async_sessions if any(kind(dependency) for kind in kinds) else sessions
