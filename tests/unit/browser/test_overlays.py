"""A time-out says what stood in the way."""

from __future__ import annotations

from pytest_proxmox.browser.overlays import explain, overlay

LOG = """Page.click: Timeout 400ms exceeded.
Call log:
  - waiting for locator("nav a")
    - <div id="veil"></div> intercepts pointer events
  - retrying click action
    - <p class="x">Hello</p> from <div id="authModal">…</div> subtree intercepts pointer events
"""


class TimeoutErrorOfPlaywright(Exception):
    """Named like Playwright's."""


def test_latest_outermost_element_is_named() -> None:
    assert overlay(LOG) == '<div id="authModal">…</div>'
    assert overlay(LOG.partition("  - retrying")[0]) == '<div id="veil"></div>'


def test_nothing_is_named_where_nothing_was_in_the_way() -> None:
    error = TimeoutErrorOfPlaywright("Page.click: Timeout 400ms exceeded.")
    explain(error)
    assert overlay(str(error)) is None
    assert not hasattr(error, "__notes__")


def test_time_out_is_explained_once_with_element_and_dialog() -> None:
    error = TimeoutErrorOfPlaywright(LOG)
    for _ in range(2):
        explain(error, dialogs=['alert "hi"'])
    element, dialog = error.__notes__
    assert 'id="authModal"' in element
    assert 'alert "hi"' in dialog
