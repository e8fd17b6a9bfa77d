"""From a failed action to what really happened: the page is gone, and this is how."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_proxmox.browser.lives import clock_time, closing_of, life_of
from pytest_proxmox.browser.traces import is_cut_off
from pytest_proxmox.errors import PageClosedError

if TYPE_CHECKING:
    from playwright.sync_api import Page, Response

_SHOWN = 5  # lines of each kind in a message
_CLOSED_TEXT = re.compile(r"(?:Target|page|context|browser)[\w, ]* (?:has been|was) closed", re.I)
_CUT_TEXT = re.compile(r"connection closed", re.I)
_CRASHED_TEXT = re.compile(r"(?:Target|Page) crashed", re.I)
_KILLED = "the browser's process ended, and not by this process: it was killed, or crashed"
_IMPL = "_impl_obj"  # Playwright's public objects have no public way to their page


class Death(NamedTuple):
    """How a page ended: ``cause`` is one of closed, crashed, disconnected."""

    cause: str
    at: float | None
    how: str


def page_of(owner: Any) -> Any | None:
    """Return the page that an object of Playwright's belongs to; None where it has none."""
    page = owner if hasattr(owner, "is_closed") else getattr(owner, "page", None)
    if page is not None and not hasattr(page, "is_closed"):
        return None
    return page or _hidden_page(getattr(owner, _IMPL, None))


def _hidden_page(impl: Any) -> Any | None:
    """Keyboards, handles and assertions know their page inside only."""
    for name in ("_page", "_frame", "_actual_page", "_actual_locator", "_locator", "_parent"):
        inner = getattr(impl, name, None)
        if inner is None:
            continue
        page = inner if name.endswith("page") else getattr(inner, "page", None)
        page = page or getattr(getattr(inner, "_frame", None), "page", None)
        if page is not None:
            return getattr(page, "_pw_api_instance_", None)
    return None


def death_of(page: Any, error: BaseException | None = None) -> Death | None:
    """Return how ``page`` ended, None while it lives; a dying browser's first error counts."""
    life = life_of(page)
    text = "" if error is None else str(error)
    browser = page.context.browser
    if (life is not None and life.crashed_at is not None) or _CRASHED_TEXT.search(text):
        return Death("crashed", life.crashed_at if life else None, "its renderer crashed")
    if is_cut_off(page) or _CUT_TEXT.search(text):
        return Death("disconnected", None, _KILLED.replace("the browser", "Playwright", 1))
    by_us = closing_of(page) or closing_of(page.context) or closing_of(browser)
    gone = browser is not None and not browser.is_connected()
    if not (page.is_closed() or gone or _CLOSED_TEXT.search(text)):
        return None
    if by_us is not None:
        return Death("closed", by_us.at, f"by {by_us}")
    if gone or not page.is_closed():  # the first error after a kill comes before the events
        return Death("disconnected", life.closed_at if life else None, _KILLED)
    how = "not by this process: by window.close(), or by a browser that was killed"
    return Death("closed", life.closed_at if life else None, how)


def death_above(owner: Any) -> Death | None:
    """Return how a context or a browser ended in which a page was to be opened."""
    browser = getattr(owner, "browser", owner)
    by_us = closing_of(owner) or closing_of(browser)
    if by_us is not None:
        return Death("closed", by_us.at, f"by {by_us}")
    if browser is None or not hasattr(browser, "is_connected") or browser.is_connected():
        return None
    return Death("disconnected", None, _KILLED)


def closed_error(
    page: Any | None, death: Death, *, doing: str, actions: Iterable[str] = (), now: float
) -> PageClosedError:
    """Return the error that tells everything that is known of a page's end."""
    life = None if page is None else life_of(page)
    last = tuple(actions)[-_SHOWN:]
    url = life.url if life is not None else getattr(page, "url", "")
    at = death.at if death.at is not None else now
    lines = [
        f"{doing}: the page is gone",
        f"{death.cause} at {clock_time(at)} UTC ({now - at:.3f} s ago): {death.how}",
        f"last URL: {url}",
        f"last actions: {_listed(last)}",
    ]
    if life is not None:
        lines += [
            f"open dialogs: {_listed(life.dialogs.values())}",
            f"console errors: {_listed(life.errors()[-_SHOWN:])}",
            f"failed requests: {_listed(life.failed_requests()[-_SHOWN:])}",
            f"opened at {clock_time(life.opened_at)} UTC",
        ]
    return _error_class()(
        "\n    ".join(lines),
        cause=death.cause,
        how=death.how,
        closed_at=datetime.fromtimestamp(at, UTC),
        url=url,
        last_actions=last,
    )


def _listed(items: Iterable[str]) -> str:
    found = list(items)
    return "none" if not found else "".join(f"\n        {item}" for item in found)


@cache
def _error_class() -> type[PageClosedError]:
    """The error that is Playwright's too: a suite's own ``except Error`` goes on working."""
    from playwright.sync_api import Error

    class GuardedPageClosedError(PageClosedError, Error):
        def __init__(self, text: str, **facts: Any) -> None:
            Error.__init__(self, text)
            PageClosedError.__init__(self, text, **facts)

    GuardedPageClosedError.__name__ = GuardedPageClosedError.__qualname__ = "PageClosedError"
    return GuardedPageClosedError


def ensure_page_alive(page: Page) -> None:
    """Return if ``page``, sync or async, can be used.

    Raises:
        PageClosedError: it is closed, crashed, or its browser is gone.
    """
    death = death_of(page)
    if death is not None:
        now = datetime.now(UTC).timestamp()
        raise closed_error(page, death, doing="Page was closed unexpectedly", now=now)


def safe_navigate(page: Page, url: str) -> Response | None:
    """Return the answer to going to ``url``, as soon as its document is there.

    Raises:
        PageClosedError: the page cannot be used (a RuntimeError).
    """
    death = death_of(page)
    if death is not None:
        now = datetime.now(UTC).timestamp()
        raise closed_error(page, death, doing="Cannot navigate: page is closed", now=now)
    return page.goto(url, wait_until="domcontentloaded")
