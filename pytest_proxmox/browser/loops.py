"""Lets asyncio run beside a sync Playwright in the same thread.

Between two calls of the sync API its event loop stays marked as the running one, so that
``asyncio.run`` and every async test after the first page would be refused (playwright-pytest
issue 240). While somebody else's loop runs, ours steps aside.
"""

from __future__ import annotations

import asyncio
import functools
from asyncio import AbstractEventLoop, BaseEventLoop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_get = asyncio._get_running_loop
_set = asyncio._set_running_loop


@contextmanager
def beside(loop: AbstractEventLoop) -> Iterator[None]:
    """Let other loops run while ``loop``, a sync Playwright's, waits for its next call."""
    places: list[tuple[Any, str]] = [
        (asyncio, "run"),
        (asyncio.Runner, "run"),
        (BaseEventLoop, "run_forever"),
        (BaseEventLoop, "run_until_complete"),
    ]
    kept = [(owner, name, getattr(owner, name)) for owner, name in places]
    for owner, name, function in kept:
        setattr(owner, name, _aside(function, loop))
    try:
        yield
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)


def _aside(function: Callable[..., Any], ours: AbstractEventLoop) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if _get() is not ours or (args and args[0] is ours):
            return function(*args, **kwargs)
        _set(None)
        try:
            return function(*args, **kwargs)
        finally:
            _set(ours)

    return run
