"""What a class has: its methods, and the attributes that its instances may hold."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, cast

_ABSENT = object()


def method(cls: type, name: str) -> Callable[..., Any] | None:
    """Return the function behind a method of any kind, None where ``name`` is no method."""
    found = inspect.getattr_static(cls, name, _ABSENT)
    if isinstance(found, (staticmethod, classmethod)):
        return cast(Callable[..., Any], found.__func__)
    return found if inspect.isroutine(found) else None


@cache
def attributes(cls: type) -> frozenset[str]:
    """Return what is no method: annotated, a property, a slot, set in the class or in __init__."""
    names = {name for name in dir(cls) if method(cls, name) is None}
    for one in cls.__mro__:
        names |= inspect.get_annotations(one).keys()
        slots = vars(one).get("__slots__", ())
        names |= {slots} if isinstance(slots, str) else set(slots)
        code = getattr(vars(one).get("__init__"), "__code__", None)
        names |= set(code.co_names) if code is not None else set()
    return frozenset(names)


def knows(cls: type, name: str) -> bool:
    """Return whether instances of the class have something of this name."""
    return method(cls, name) is not None or name in attributes(cls)


def unknown(cls: type, name: str) -> str:
    """Return the sentence that says that the class has no such name, with the nearest one."""
    known = [one for one in {*dir(cls), *attributes(cls)} if not one.startswith("__")]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{cls.__module__}.{cls.__qualname__} has no {name!r}, so its mock has none.{hint}"
