"""Async tests that need no ``asyncio`` mark of their own: loaded with the first test function."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

_SCOPES = ("function", "class", "module", "package", "session")
_ASYNC_RUNNERS = ("asyncio", "anyio", "trio")


def make_asyncio(item: pytest.Function) -> None:
    """Mark an ``async def`` test that is ``integration`` or ``real_proxmox`` for asyncio.

    Without the mark pytest-asyncio's strict mode refuses such a test. The loop is that of
    the widest async fixture the test uses, so that what a fixture made can be awaited in
    the test; without one it is pytest-asyncio's default.
    """
    if not _is_async(item.obj):
        return
    if not any(item.get_closest_marker(name) for name in ("integration", "real_proxmox")):
        return
    if any(item.get_closest_marker(name) for name in _ASYNC_RUNNERS):
        return
    scope = _widest_loop(item)
    item.add_marker(pytest.mark.asyncio(loop_scope=scope) if scope else pytest.mark.asyncio)


def _is_async(function: Any) -> bool:
    hypothesis = getattr(function, "hypothesis", None)  # @given leaves a sync wrapper
    return inspect.iscoroutinefunction(getattr(hypothesis, "inner_test", function))


def _widest_loop(item: pytest.Function) -> str | None:
    scopes = [
        scope
        # pytest has no public way from a test to the definitions of its fixtures
        for definitions in item._fixtureinfo.name2fixturedefs.values()
        if (scope := _loop_scope(definitions[-1], item.config)) is not None
    ]
    return max(scopes, key=_SCOPES.index, default=None)


def _loop_scope(definition: pytest.FixtureDef[Any], config: pytest.Config) -> str | None:
    """The loop scope that pytest-asyncio gives a fixture; None for one that is not async."""
    function = definition.func
    if not (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
        return None
    default = config.getini("asyncio_default_fixture_loop_scope")
    scope = getattr(function, "_loop_scope", None) or default or definition.scope
    return scope if scope in _SCOPES else definition.scope
