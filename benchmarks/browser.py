"""What the guard costs an action, and what a page that is logged in costs a test.

Guarded and bare are the same method of the same class on the same page, called in turn: the
saved functions are compared, because swapping hundreds of attributes between two measurements
costs more than the guard does. The order changes with each call, and a pair is many calls.
An action's cost is the processor time of the test's own process: the browser's part is the same
on both sides, and leaving it out makes the ratio larger than a test sees it, never smaller. A
login is measured by the clock, because most of it is waiting.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.harness import PAIRS_LEAST, Bound, Row, at_most, run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CALLS = {"evaluate": 400, "inner_text": 300, "fill": 200, "click": 100}
EACH = at_most(1.10)  # of one kind there are too few calls for more: it is reported
OVER_ALL = at_most(1.03)
LOGGED_IN = at_most(1.25)
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "evaluate": ("1",),
    "inner_text": ("h1",),
    "fill": ("input", "text"),
    "click": ("button",),
}
BODY = "<h1>Hello</h1><input><button onclick='0'>Go</button>"
LOGINS = 8  # pages of each kind in a pair


def main() -> list[Row]:
    """Return the rows: each kind of call, all of them together, and the logged-in page."""
    with _app() as base_url, _browser() as browser:
        from pytest_proxmox.browser import Guard

        page = browser.new_page()
        page.set_content(BODY)
        bare = {name: getattr(type(page), name) for name in CALLS}
        guard = Guard()
        guard.install()
        try:
            guard.watch.watch(page)
            guarded = {name: getattr(type(page), name) for name in CALLS}
            rows = _action_rows(page, bare, guarded)
            return [*rows, _login_row(browser, base_url)]
        finally:
            guard.uninstall()


def _action_rows(page: Page, bare: dict[str, Any], guarded: dict[str, Any]) -> list[Row]:
    times = {name: _in_turn(page, name, bare[name], guarded[name]) for name in CALLS}
    rows = [
        _row(f"guarded {name}", "bare Playwright", pairs, EACH) for name, pairs in times.items()
    ]
    together = [
        tuple(sum(times[name][pair][side] for name in CALLS) for side in (0, 1))
        for pair in range(PAIRS_LEAST)
    ]
    return [*rows, _row("guarded, all together", "bare Playwright", together, OVER_ALL)]


def _in_turn(page: Page, name: str, bare: Any, guarded: Any) -> list[tuple[float, float]]:
    """Return for each pair what the guarded calls and the bare calls cost, in seconds."""
    arguments = ARGUMENTS[name]
    pairs = []
    _spent(bare, guarded, page, arguments, 20)
    for _ in range(PAIRS_LEAST):
        pairs.append(_spent(bare, guarded, page, arguments, CALLS[name] // PAIRS_LEAST + 1))
    return pairs


def _spent(
    bare: Any, guarded: Any, page: Page, arguments: Sequence[Any], calls: int
) -> tuple[float, float]:
    """The sums of the cheaper halves: a call that was disturbed counts on neither side."""
    guarded_s: list[float] = []
    bare_s: list[float] = []
    for number in range(calls):
        sides = [(guarded, guarded_s), (bare, bare_s)]
        for function, spent in sides if number % 2 else reversed(sides):
            began = time.process_time()
            function(page, *arguments)
            spent.append(time.process_time() - began)
    half = max(1, calls // 2)
    return sum(sorted(guarded_s)[:half]), sum(sorted(bare_s)[:half])


def _login_row(browser: Browser, base_url: str) -> Row:
    from pytest_proxmox.browser import Account, AuthFlow

    flow = AuthFlow(accounts=lambda role: Account("admin", "admin-secret-1"))

    def logged_in(page: Page) -> None:
        flow.open(page, base_url)

    def gone_to(page: Page) -> None:
        page.goto(base_url)

    _page_s(browser, logged_in)
    pairs = []
    for _ in range(PAIRS_LEAST):
        ours: list[float] = []
        theirs: list[float] = []
        for number in range(LOGINS):
            sides = [(logged_in, ours), (gone_to, theirs)]
            for work, spent in sides if number % 2 else reversed(sides):
                spent.append(_page_s(browser, work))
        half = LOGINS // 2
        pairs.append((sum(sorted(ours)[:half]), sum(sorted(theirs)[:half])))
    return _row("authenticated_page", "page and goto", pairs, LOGGED_IN)


def _page_s(browser: Browser, work: Callable[[Page], None]) -> float:
    """The seconds from no context to a page that is there."""
    began = time.perf_counter()
    context = browser.new_context()
    work(context.new_page())
    spent = time.perf_counter() - began
    context.close()
    return spent


def _row(name: str, peer: str, pairs: Sequence[Sequence[float]], bound: Bound) -> Row:
    return Row(name, peer, tuple(above / below for above, below in pairs), bound)


@contextmanager
def _browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    from pytest_proxmox.browser.launching import with_system_chromium

    with sync_playwright() as playwright:
        launch = with_system_chromium(playwright.chromium.launch, "chromium", {})
        browser = launch()
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def _app() -> Iterator[str]:
    """The demo app of the tests, served from a thread."""
    import uvicorn

    from tests.browser.demo import create_app

    server = uvicorn.Server(uvicorn.Config(create_app(), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.05)
        if not thread.is_alive():
            sys.exit("the demo app did not start")
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    sys.exit(run([main]))
