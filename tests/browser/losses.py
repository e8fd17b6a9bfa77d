"""Ways to lose a page, or nearly: each with the outcome that it must have."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from playwright.sync_api import Error, Page, expect

from pytest_proxmox.browser import ensure_page_alive, safe_navigate

Outcome = Literal["closed", "crashed", "disconnected", "TimeoutError", "AssertionError", "Error"]
QUICK_MS = 400


@dataclass(frozen=True)
class Loss:
    """``outcome`` is the cause of a PageClosedError, another error's name, or None: no error.

    ``told`` must stand in the error's text or notes; ``last`` in what was done last.
    """

    name: str
    lose: Callable[[Page], object]
    outcome: Outcome | None
    told: str = ""
    last: str = ""


class Alarm(BaseException):
    """What a time limit raises in the middle of a call, as pytest-timeout does."""


def children(parent: int) -> list[tuple[int, str]]:
    """Return the processes below ``parent``, as pid and command line."""
    listing = subprocess.check_output(["ps", "-wweo", "pid,ppid,args"], text=True)
    rows = [line.split(None, 2) for line in listing.splitlines()[1:]]
    found: list[tuple[int, str]] = []
    above = {str(parent)}
    while above:
        below = [(pid, args) for pid, ppid, args in rows if ppid in above]
        found += [(int(pid), args) for pid, args in below]
        above = {pid for pid, _ in below}
    return found


def kill_browser() -> None:
    """Kill the browser of this process, as the kernel does when memory runs out."""
    below = children(_driver_pid())
    # Debian starts it from a script; what has a type is a part of it
    browser = (
        pid for pid, args in below if not args.startswith("/bin/sh") and "--type" not in args
    )
    os.kill(next(browser), signal.SIGKILL)


def _driver_pid() -> int:
    return next(pid for pid, args in children(os.getpid()) if "driver/node" in args)


def kill_driver() -> None:
    """Kill Playwright's own process."""
    os.kill(_driver_pid(), signal.SIGKILL)


def crash(page: Page) -> None:
    """Let the page's renderer crash, and wait until Playwright knows."""
    with page.expect_event("crash"), suppress(Error):
        page.goto("chrome://crash")


def _closed_then(use: Callable[[Page], object]) -> Callable[[Page], object]:
    def lose(page: Page) -> object:
        page.close()
        return use(page)

    return lose


def close_early(page: Page) -> None:
    page.close()


def _by_another_function(page: Page) -> object:
    close_early(page)
    return page.title()


def _handle(page: Page) -> None:
    handle = page.wait_for_selector("nav")
    page.close()
    assert handle is not None
    handle.click()


def _js_handle(page: Page) -> object:
    handle = page.evaluate_handle("window")
    page.close()
    return handle.json_value()


def _context(page: Page) -> None:
    page.context.close()
    page.locator("nav").click()


def _new_page(page: Page) -> object:
    context = page.context
    context.close()
    return context.new_page()


def _browser(page: Page) -> object:
    browser = page.context.browser
    assert browser is not None
    browser.close()
    return page.title()


def _killed(page: Page) -> object:
    kill_browser()
    return page.wait_for_function("false")


def _killed_expect(page: Page) -> None:
    kill_browser()
    expect(page.locator("p")).to_be_visible()


def _killed_in_a_wait(page: Page) -> object:
    timer = threading.Timer(0.2, kill_browser)
    timer.start()
    try:
        return page.wait_for_selector("#never")
    finally:
        timer.join()


def _driver(page: Page) -> object:
    kill_driver()
    return page.title()


def _crashed(page: Page) -> object:
    crash(page)
    return page.evaluate("1")


def _crashed_expect(page: Page) -> None:
    crash(page)
    expect(page.locator("p")).to_be_visible()


def _popup(page: Page) -> Page:
    with page.expect_popup() as opened:
        page.evaluate("window.open(location.href); 0")
    return opened.value


def _popup_closes_itself(page: Page) -> None:
    popup = _popup(page)
    with popup.expect_event("close"):
        popup.evaluate("setTimeout(() => window.close(), 0); 0")
    popup.keyboard.press("a")


def _popup_closed(page: Page) -> None:
    popup = _popup(page)
    popup.close()
    popup.mouse.click(1, 1)


def _opener_closed(page: Page) -> object:
    popup = _popup(page)
    page.close()
    return popup.title()


def _closed_while_expecting(page: Page) -> None:
    with page.expect_response("**/never"):
        page.close()


def _closed_by_a_listener(page: Page) -> object:
    page.on("console", lambda message: close_early(page))
    page.evaluate("setTimeout(() => console.log('now'), 50); 0")
    return page.wait_for_selector("#never")


def _closed_in_a_download(page: Page) -> object:
    with page.expect_download() as started:
        page.evaluate("location.href = '/slow'; 0")
    page.context.close()
    return started.value.path()


def _async_page(page: Page) -> object:
    from playwright.async_api import async_playwright

    from pytest_proxmox.browser.chromium import instead

    async def lose() -> object:
        async with async_playwright() as playwright:
            arguments = instead({}) or {}
            browser = await playwright.chromium.launch(**arguments)
            other = await browser.new_page()
            await other.close()
            return await other.title()

    return asyncio.run(lose())


def _timeouts(page: Page) -> None:
    for _ in range(2):
        with suppress(Error):
            page.click("#never", timeout=50)
    page.click("#never", timeout=50)


def _alarm(page: Page) -> None:
    def ring(number: int, frame: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        page.wait_for_selector("#never")
    except Alarm:
        page.title()
    finally:
        signal.signal(signal.SIGALRM, before)


def _navigation_race(page: Page) -> object:
    page.evaluate("setTimeout(() => { location.href = '/?other' }, 0); 0")
    with suppress(Error):
        page.goto("/?first")
    return page.title()


def _context_destroyed(page: Page) -> object:
    return page.evaluate("new Promise(() => { location.href = '/?second' })")


def _frame_detached(page: Page) -> object:
    page.evaluate("document.body.append(document.createElement('iframe')); 0")
    frame = page.frames[1]
    page.evaluate("document.querySelector('iframe').remove()")
    return frame.evaluate("1")


def _dialog_left_open(page: Page) -> None:
    page.on("dialog", lambda dialog: None)
    page.evaluate("setTimeout(() => alert('are you there?'), 0); 0")
    page.click("nav a", timeout=QUICK_MS)


def _dialog_dismissed(page: Page) -> object:
    return page.evaluate("confirm('really?')")


def _overlay(page: Page) -> None:
    style = "position:fixed;inset:0;z-index:9"
    page.evaluate(f"document.body.insertAdjacentHTML('beforeend', `<div id=veil style='{style}'>`)")
    page.click("nav a", timeout=QUICK_MS)


def _another_thread(page: Page) -> object:
    errors: list[BaseException] = []

    def close() -> None:
        try:
            page.close()
        except BaseException as exc:  # noqa: BLE001 - whatever it is, it is that thread's
            errors.append(exc)

    thread = threading.Thread(target=close)
    thread.start()
    thread.join()
    assert errors, "Playwright let another thread in"
    return page.title()


def _request_in_flight(page: Page) -> object:
    return page.evaluate("fetch('/slow'); 0")


CATALOGUE = (
    # what is lost, and must be told as such
    Loss("closed by the test", _closed_then(lambda p: p.title()), "closed", "page.close() at", "title"),
    Loss("closed by a function", _by_another_function, "closed", "in close_early", "Page.title"),
    Loss("click after close", _closed_then(lambda p: p.click("nav")), "closed", last="Page.click('nav')"),
    Loss("locator", _closed_then(lambda p: p.locator("nav").click()), "closed", last="Locator.click"),
    Loss("expect", _closed_then(lambda p: expect(p.locator("nav")).to_be_visible()), "closed", last="to_be_visible"),
    Loss("negated expect", _closed_then(lambda p: expect(p).not_to_have_title("x")), "closed", last="not_to_have_title"),
    Loss("frame", _closed_then(lambda p: p.main_frame.title()), "closed", last="Frame.title"),
    Loss("element handle", _handle, "closed", last="ElementHandle.click"),
    Loss("script handle", _js_handle, "closed", last="JSHandle.json_value"),
    Loss("keyboard", _closed_then(lambda p: p.keyboard.press("a")), "closed", last="Keyboard.press"),
    Loss("wait for function", _closed_then(lambda p: p.wait_for_function("false")), "closed", last="wait_for_function"),
    Loss("safe_navigate", _closed_then(lambda p: safe_navigate(p, "/")), "closed", "Cannot navigate: page is closed"),
    Loss("ensure_page_alive", _closed_then(ensure_page_alive), "closed", "Page was closed unexpectedly"),
    Loss("context closed", _context, "closed", "context.close() at", "Locator.click"),
    Loss("new page in a closed context", _new_page, "closed", "context.close() at"),
    Loss("browser closed", _browser, "closed", "browser.close() at", "Page.title"),
    Loss("closed in an expectation", _closed_while_expecting, "closed", "page.close() at"),
    Loss("closed by a listener", _closed_by_a_listener, "closed", "in close_early", "wait_for_selector"),
    Loss("closed in a download", _closed_in_a_download, "closed", "context.close() at", "Download.path"),
    Loss("popup closes itself", _popup_closes_itself, "closed", "not by this process", "Keyboard.press"),
    Loss("popup closed", _popup_closed, "closed", "page.close() at", "Mouse.click"),
    Loss("browser killed", _killed, "disconnected", "it was killed", "wait_for_function"),
    Loss("browser killed, expect", _killed_expect, "disconnected", "it was killed", "to_be_visible"),
    Loss("browser killed in a wait", _killed_in_a_wait, "disconnected", "it was killed", "wait_for_selector"),
    Loss("driver killed", _driver, "disconnected", "it was killed", "Page.title"),
    Loss("renderer crash", _crashed, "crashed", "renderer crashed", "Page.evaluate('1')"),
    Loss("renderer crash, expect", _crashed_expect, "crashed", "renderer crashed", "to_be_visible"),
    Loss("async page closed", _async_page, "closed", "page.close() at", "Page.title"),
    # what is not lost, and must not be told as such
    Loss("real failed expect", lambda p: expect(p.locator("#never")).to_be_visible(timeout=50), "AssertionError"),
    Loss("cascade of time-outs", _timeouts, "TimeoutError"),
    Loss("dialog left open", _dialog_left_open, "TimeoutError", 'alert "are you there?"'),
    Loss("overlay", _overlay, "TimeoutError", 'id="veil"'),
    Loss("context destroyed", _context_destroyed, "Error"),
    Loss("frame detached", _frame_detached, "Error"),
    Loss("time limit in a wait", _alarm, None),
    Loss("navigation race", _navigation_race, None),
    Loss("dialog nobody listens to", _dialog_dismissed, None),
    Loss("opener closed", _opener_closed, None),
    Loss("closed by another thread", _another_thread, None),
    Loss("request in flight at the end", _request_in_flight, None),
)  # fmt: skip
