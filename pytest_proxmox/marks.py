"""What a mark changes about a test: which are registered, skipped, or made asyncio tests."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import pytest

from pytest_proxmox.errors import InvalidValue

REAL_SKIP_REASON = "Real Proxmox integration tests require PROXMOX_HOST env var"
MARKERS: tuple[tuple[str, str], ...] = (
    ("real_proxmox", "needs a real Proxmox VE; skipped unless PROXMOX_HOST names one"),
    ("integration", "may use services outside the test process"),
    ("lifecycle", "follows a guest or an app through its whole life"),
    ("critical", "must never fail: a failure stops a release"),
    ("smoke", "a quick look whether the main path works"),
    ("e2e", "drives the app in a browser"),
    ("auth", "logging in, out and staying logged in"),
    ("navigation", "moving between the app's views"),
    ("backup", "backing up and restoring"),
    ("update", "updating an app"),
    ("clone", "cloning a guest or an app"),
    ("slow", "takes longer than a few seconds"),
    ("config", "changing configuration"),
    ("canvas", "the app's own page inside the manager"),
    ("monitoring", "metrics and status over time"),
    ("settings", "the manager's settings"),
    ("vmid_range(size)", "this test needs so many VMIDs: leased together before it starts"),
    (
        "allow_leaks(pattern, ..., reason=None)",
        "this test may leave behind what the patterns (kind or kind:glob) name; none: anything",
    ),
)
TIMEOUT_MARKER = ("timeout(seconds)", "without pytest-timeout installed this does nothing")

_SCOPES = ("function", "class", "module", "package", "session")
_ASYNC_RUNNERS = ("asyncio", "anyio", "trio")


def register(config: pytest.Config) -> None:
    """Make ``--strict-markers`` and ``--markers`` know the table."""
    for signature, text in MARKERS:
        config.addinivalue_line("markers", f"{signature}: {text}")
    if not config.pluginmanager.hasplugin("timeout"):
        signature, text = TIMEOUT_MARKER
        config.addinivalue_line("markers", f"{signature}: {text}")


def skip_real(items: Iterable[pytest.Item]) -> None:
    """Skip the tests that need a real Proxmox: nobody named one."""
    for item in items:
        if item.get_closest_marker("real_proxmox") is not None:
            item.add_marker(pytest.mark.skip(reason=REAL_SKIP_REASON))


def vmid_count(node: pytest.Item) -> int:
    """Return how many VMIDs the test's ``vmid_range`` mark asks for, 1 without one.

    Raises:
        InvalidValue: the mark's arguments are not ``size=<a whole number above 0>``.
    """
    mark = node.get_closest_marker("vmid_range")
    if mark is None:
        return 1
    size = mark.kwargs.get("size", mark.args[0] if mark.args else None)
    if type(size) is not int or size < 1 or len(mark.args) + len(mark.kwargs) != 1:
        raise InvalidValue(
            "the mark vmid_range needs a size above 0 and nothing else",
            origin=node.nodeid,
            hint="E.g. @pytest.mark.vmid_range(size=3)",
        )
    return size


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
