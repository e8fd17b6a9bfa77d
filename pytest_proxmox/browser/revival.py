"""A browser that died is launched again for the next test."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import pytest

from pytest_proxmox.browser.traces import is_cut_off, lost

LOG = logging.getLogger("pytest_proxmox.browser")


def revive(item: pytest.Item) -> None:
    """End the fixtures of a browser or a Playwright that is gone: this test makes new ones.

    What depends on them ends too, the user's own fixtures among it. pytest has no public way
    to end a fixture before its scope does.
    """
    if not any(map(_browser_is_gone, _values(item, "browser"))):
        return
    for playwright in _values(item, "playwright"):
        _ask(playwright)
    for name, is_gone in (("playwright", is_cut_off), ("browser", _browser_is_gone)):
        for definition in _definitions(item, name):
            if is_gone(definition.cached_result[0]):
                LOG.info("the %s is gone: the next test gets a new one", name)
                definition.finish(item._request)  # type: ignore[attr-defined]


def _ask(playwright: Any) -> None:
    """Let a driver that was killed be noticed: the next answer does not come."""
    if hasattr(playwright, "_dispatcher_fiber") and not is_cut_off(playwright):
        with suppress(lost()):
            playwright.request.new_context().dispose()


def _values(item: pytest.Item, name: str) -> list[Any]:
    return [definition.cached_result[0] for definition in _definitions(item, name)]


def _definitions(item: pytest.Item, name: str) -> list[Any]:
    """The fixtures of this name that have a value now, the outermost first."""
    found = item.session._fixturemanager.getfixturedefs(name, item) or ()
    filled = [one for one in found if one.cached_result and one.cached_result[2] is None]
    return filled[::-1]


def _browser_is_gone(browser: Any) -> bool:
    connected = getattr(browser, "is_connected", None)
    return is_cut_off(browser) or (connected is not None and not connected())
