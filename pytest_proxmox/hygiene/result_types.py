"""Whether a value is of the type that an annotation names, as far as a value can show it."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

UNKNOWN: Any = object()  # no annotation, or one that cannot be resolved: nothing is checked


def result_type(function: Callable[..., Any]) -> Any:
    """Return what a call (for an async function: awaiting it) gives, UNKNOWN where unsaid."""
    try:
        hints = typing.get_type_hints(inspect.unwrap(function))
    except (NameError, TypeError, AttributeError):  # a name that exists for type checkers only
        return UNKNOWN
    return hints.get("return", UNKNOWN)


def mismatch(value: object, expected: Any, path: str = "the result") -> str | None:
    """Return what is wrong with ``value``, naming the place in it; None when nothing is."""
    if expected is UNKNOWN or expected is Any or isinstance(expected, typing.TypeVar):
        return None
    if expected is None or expected is type(None):
        return None if value is None else _says(path, value, "None")
    if isinstance(expected, typing.NewType):
        return mismatch(value, expected.__supertype__, path)
    if typing.is_typeddict(expected):
        return _typed_dict(value, expected, path)
    origin = typing.get_origin(expected)
    if origin is not None:
        return _generic(value, expected, origin, path)
    if isinstance(expected, type):
        return _plain(value, expected, path)
    return None


def _plain(value: object, expected: type, path: str) -> str | None:
    if getattr(expected, "_is_protocol", False) and not getattr(
        expected, "_is_runtime_protocol", False
    ):
        return None
    if isinstance(value, expected) or (
        expected is float and type(value) is int  # as type checkers see it
    ):
        if expected is int and isinstance(value, bool):
            return _says(path, value, "int")
        return None
    return _says(path, value, expected.__name__)


def _generic(value: object, expected: Any, origin: Any, path: str) -> str | None:
    arguments = typing.get_args(expected)
    if origin is typing.Union or origin is types.UnionType:
        found = [mismatch(value, one, path) for one in arguments]
        return None if None in found else _says(path, value, str(expected))
    if origin is typing.Literal:
        return None if value in arguments else _says(path, value, str(expected))
    if origin is typing.Annotated:
        return mismatch(value, arguments[0], path)
    if origin in (collections.abc.Awaitable, collections.abc.Coroutine):
        return None
    if not isinstance(origin, type):
        return None
    return _plain(value, origin, path) or _items(value, arguments, path)


def _items(value: Any, arguments: tuple[Any, ...], path: str) -> str | None:
    pairs: list[tuple[str, Any, Any]]
    if isinstance(value, collections.abc.Mapping) and len(arguments) == 2:
        pairs = [(f"a key of {path}", key, arguments[0]) for key in value]
        pairs += [(f"{path}[{key!r}]", item, arguments[1]) for key, item in value.items()]
    elif isinstance(value, tuple):
        of_one_kind = len(arguments) == 2 and arguments[1] is Ellipsis
        kinds = (arguments[0],) * len(value) if of_one_kind else arguments
        if len(kinds) != len(value):
            return f"{path} has {len(value)} items, not {len(kinds)}"
        pairs = [(f"{path}[{n}]", *pair) for n, pair in enumerate(zip(value, kinds, strict=True))]
    elif isinstance(value, (list, set, frozenset, collections.deque)) and len(arguments) == 1:
        pairs = [(f"{path}[{n}]", item, arguments[0]) for n, item in enumerate(value)]
    else:
        return None
    found = (mismatch(item, kind, name) for name, item, kind in pairs)
    return next((text for text in found if text), None)


def _typed_dict(value: object, expected: Any, path: str) -> str | None:
    if not isinstance(value, dict):
        return _says(path, value, expected.__name__)
    hints = typing.get_type_hints(expected)
    if missing := sorted(expected.__required_keys__ - value.keys()):
        return f"{path} lacks {', '.join(missing)} of {expected.__name__}"
    if extra := sorted(map(str, value.keys() - hints.keys())):
        return f"{path} has {', '.join(extra)}, which {expected.__name__} does not know"
    found = (mismatch(item, hints[key], f"{path}[{key!r}]") for key, item in value.items())
    return next((text for text in found if text), None)


def _says(path: str, value: object, expected: str) -> str:
    return f"{path} is {type(value).__name__}, not {expected}"
