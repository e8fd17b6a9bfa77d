"""The application's own engines and session factories, led to the test database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import scoped_session, sessionmaker

from pytest_proxmox.errors import InvalidValue


def resolve(name: str, *, origin: str) -> Any:
    """Return the object that ``pkg.mod:attribute.path`` names.

    Raises:
        InvalidValue: no such module or attribute.
    """
    module, _, path = name.partition(":")
    try:
        found: Any = import_module(module)
    except ImportError as exc:
        if exc.name and not (module == exc.name or module.startswith(exc.name + ".")):
            raise
        raise InvalidValue(
            f'"{name}": there is no module {module!r}',
            origin=origin,
            hint="Write package.module:name; is the project's folder in pythonpath?",
        ) from exc
    for part in filter(None, path.split(".")):
        try:
            found = getattr(found, part)
        except AttributeError as exc:
            raise InvalidValue(
                f'"{name}": {found!r} has no attribute {part!r}',
                origin=origin,
                hint="Write package.module:name",
            ) from exc
    return found


@dataclass(frozen=True, slots=True)
class Binding:
    """One thing of the application that must use the test database.

    ``swap`` gives a session factory another bind; an engine has none.
    """

    name: str
    engine: Engine | None
    bind: Any
    swap: Callable[[Any], None] | None = None
    is_async: bool = False


def bind_of(name: str, thing: Any, *, origin: str) -> Binding:
    """Return how ``thing`` is led over: an engine, or a factory of sessions.

    Raises:
        InvalidValue: something else.
    """
    if isinstance(thing, scoped_session):
        thing = thing.session_factory
    options = getattr(thing, "kw", None)
    if isinstance(options, dict) and hasattr(thing, "configure"):
        bind = options.get("bind")
        swap = _swapper(thing)
        return Binding(name, _engine_of(bind), bind, swap, not isinstance(thing, sessionmaker))
    engine = _engine_of(thing)
    if engine is None:
        raise InvalidValue(
            f'"{name}" is a {type(thing).__name__}, not an engine or a session factory',
            origin=origin,
            hint="Name the app's SessionLocal (sessionmaker, async_sessionmaker) or engine",
        )
    return Binding(name, engine, thing)


def _swapper(maker: Any) -> Callable[[Any], None]:
    def swap(bind: Any) -> None:
        maker.configure(bind=bind)

    return swap


def _engine_of(thing: Any) -> Engine | None:
    if isinstance(thing, Engine):
        return thing
    inner = getattr(thing, "sync_engine", None)
    return inner if isinstance(inner, Engine) else None
