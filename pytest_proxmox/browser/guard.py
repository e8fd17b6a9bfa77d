"""The guard: Playwright's own objects, whose actions say why they failed when a page is gone.

The public classes' methods are wrapped where they stand, so that a page stays a real ``Page`` for
``isinstance`` and ``expect``. An action is judged after it failed: asking before each one would
cost a look, and a page can go in between.
"""

from __future__ import annotations

import functools
import inspect
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from pytest_proxmox.browser.callers import calling
from pytest_proxmox.browser.diagnosis import closed_error, death_above, death_of, page_of
from pytest_proxmox.browser.habits import Habits
from pytest_proxmox.browser.lives import Closing, clock_time, life_of, note_closing
from pytest_proxmox.browser.overlays import explain
from pytest_proxmox.browser.redaction import Redactor
from pytest_proxmox.browser.traces import cut_off, is_cut_off, lost, write_lost_trace
from pytest_proxmox.browser.watching import PageWatch
from pytest_proxmox.clock import Clock, SystemClock, reading
from pytest_proxmox.errors import PageClosedError

LOG = logging.getLogger("pytest_proxmox.browser")
ACTORS = (
    "Page", "Frame", "Locator", "ElementHandle", "JSHandle", "Keyboard", "Mouse", "Touchscreen",
    "LocatorAssertions", "PageAssertions", "Dialog", "Download", "FileChooser", "Request",
    "Response", "Video",
)  # fmt: skip
_OWNERS = ("BrowserContext", "Browser", "BrowserType", "Tracing")
_KEPT_ACTIONS = 200


# One call that a test made: when, of what, which method, with what. A plain tuple, rendered only
# when somebody wants to read it: each action of each test makes one.
Action = tuple[float, Any, Callable[..., Any], tuple[Any, ...]]


class Guard:
    """Wraps Playwright's classes between ``install`` and ``uninstall``.

    ``pages`` are the pages that were opened since, ``habits`` what tests should not do.
    """

    def __init__(self, *, clock: Clock | None = None, redactor: Redactor | None = None) -> None:
        self.clock = clock or SystemClock()
        self.redactor = redactor or Redactor()
        self.habits = Habits(self.redactor)
        self.watch = PageWatch(self.clock, self.redactor)
        self.actions: deque[Action] = deque(maxlen=_KEPT_ACTIONS)
        self._undo: list[tuple[type, str, Any]] = []
        self._errors: tuple[type[BaseException], ...] = ()

    @property
    def is_installed(self) -> bool:
        """Whether Playwright's classes are wrapped by this guard."""
        return bool(self._undo)

    def install(self) -> None:
        """Guard every page of this process, sync and async, from now on."""
        import playwright.async_api
        import playwright.sync_api

        if self._undo:
            return
        # TimeoutError and TargetClosedError are Errors; expect() raises AssertionError.
        self._errors = (playwright.sync_api.Error, AssertionError)
        for api in (playwright.sync_api, playwright.async_api):
            classes = vars(sys.modules[api.Page.__module__])  # not all have a public name
            for name in (*ACTORS, *_OWNERS):
                if name in classes:
                    self._wrap_class(classes[name])

    def uninstall(self) -> None:
        """Give Playwright's classes their own methods back."""
        while self._undo:
            cls, name, method = self._undo.pop()
            setattr(cls, name, method)

    def begin_test(self, name: str) -> None:
        """Forget what earlier tests did; ``name`` is what habits are reported under."""
        self.actions.clear()
        self.habits.test = name

    # --- wrapping -------------------------------------------------------------------------

    def _wrap_class(self, cls: type) -> None:
        owner = cls.__name__ in _OWNERS
        for name, method in list(vars(cls).items()):
            if name.startswith("_") or not inspect.isfunction(method):
                continue
            wrapper = self._special(cls, name, method)
            if wrapper is None and not owner and _acts(method):
                answers = cls.__name__ == "Dialog" and name in ("accept", "dismiss")
                inner = self.watch.answering(method) if answers else method
                wrapper = self._acting(cls.__name__, name, inner)
            if wrapper is not None:
                self._undo.append((cls, name, method))
                setattr(cls, name, _disguised(wrapper, method))

    def _special(self, cls: type, name: str, method: Callable[..., Any]) -> Any:
        """The wrapper of a method that opens, closes or listens; None for all others."""
        kind = cls.__name__
        if name == "close" and kind in ("Page", "BrowserContext", "Browser"):
            return self._closing(kind, method)
        if name in ("new_context", "launch_persistent_context", "connect_over_cdp"):
            return self._opening(f"{kind}.{name}", method)
        if name == "new_page" and kind in ("Browser", "BrowserContext"):
            return self._opening(f"{kind}.{name}", method)
        if name in ("on", "once", "remove_listener") and kind in ("Page", "BrowserContext"):
            return self._listening(name, method)
        if kind == "Tracing" and name in ("stop", "stop_chunk"):
            return self._stopping(method)
        if name.startswith("expect_") and kind in ("Page", "BrowserContext", "Frame"):
            return self._expecting(f"{kind}.{name}", method)
        return None

    def _acting(self, kind: str, name: str, method: Callable[..., Any]) -> Any:
        """Few variables and no call that can be spared: this is paid at each action of a test."""
        note, now, errors = self.actions.append, reading(self.clock), self._errors
        failed = functools.partial(self._failed, f"{kind}.{name}")
        crashed = self.watch.crashed
        habit = self.habits.watches(kind, name)

        if inspect.iscoroutinefunction(method):

            async def guarded_async(self: Any, *args: Any, **kwargs: Any) -> Any:  # disguised
                __tracebackhide__ = True
                note((now(), self, method, args))
                if crashed:
                    failed(self, None)
                if habit is not None:
                    habit(self, method.__name__, args, kwargs)
                try:
                    return await method(self, *args, **kwargs)
                except errors as exc:
                    failed(self, exc)
                    raise

            return guarded_async

        def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:  # disguised
            __tracebackhide__ = True
            note((now(), self, method, args))
            if crashed:
                failed(self, None)
            if habit is not None:
                habit(self, method.__name__, args, kwargs)
            try:
                return method(self, *args, **kwargs)
            except errors as exc:
                failed(self, exc)
                raise

        return guarded

    def _failed(self, title: str, owner: Any, error: BaseException | None) -> None:
        """Raise what really happened if the page is gone; else add what helps to the error."""
        __tracebackhide__ = True
        page = page_of(owner)
        if page is None or isinstance(error, PageClosedError):
            return
        death = death_of(page, error)
        if death is None:
            if error is not None:
                life = life_of(page)
                explain(error, dialogs=list(life.dialogs.values()) if life else [])
            return
        if death.cause == "disconnected":
            cut_off(page)
        now = self.clock.now()
        raise closed_error(
            page, death, doing=title, actions=self.told_actions(page), now=now
        ) from error

    def _closing(self, kind: str, method: Callable[..., Any]) -> Any:
        """Closing what is gone is done already; who closes is kept for later."""
        now, gone = self.clock.now, _Gone

        def remember(thing: Any) -> None:
            how = f"{kind.lower().removeprefix('browser') or 'browser'}.close()"
            thread = threading.current_thread().name
            note_closing(thing, Closing(now(), how, calling(), thread))

        if inspect.iscoroutinefunction(method):

            async def close_async(self: Any, *args: Any, **kwargs: Any) -> Any:  # disguised
                remember(self)
                with gone():
                    return await method(self, *args, **kwargs)

            return close_async

        def close(self: Any, *args: Any, **kwargs: Any) -> Any:  # disguised
            remember(self)
            if is_cut_off(self):
                return None
            with gone():
                return method(self, *args, **kwargs)

        return close

    def _opening(self, title: str, method: Callable[..., Any]) -> Any:
        watch, failed, gone = self.watch.watch, self._failed_to_open, lost()

        if inspect.iscoroutinefunction(method):

            async def open_async(self: Any, *args: Any, **kwargs: Any) -> Any:  # disguised
                try:
                    return watch(await method(self, *args, **kwargs))
                except gone as exc:
                    raise failed(title, self, exc) from exc

            return open_async

        def open_(self: Any, *args: Any, **kwargs: Any) -> Any:  # disguised
            try:
                return watch(method(self, *args, **kwargs))
            except gone as exc:
                raise failed(title, self, exc) from exc

        return open_

    def _failed_to_open(self, title: str, owner: Any, error: BaseException) -> BaseException:
        """What to raise where a page was to be opened in what is gone."""
        death = death_above(owner)
        if death is None:
            return error
        return closed_error(None, death, doing=title, now=self.clock.now())

    def _listening(self, name: str, method: Callable[..., Any]) -> Any:
        """Note dialogs along with the listeners that a test gives them.

        Our own listener alone would keep Playwright from dismissing a dialog nobody handles.
        """
        noted = self.watch.dialog_opened

        def listen(self: Any, event: Any, f: Any) -> None:  # disguised
            if event == "dialog":
                method(self, event, noted)
            method(self, event, f)

        return listen

    def _stopping(self, method: Callable[..., Any]) -> Any:
        """Stopping the trace of a context that is gone leaves an archive that says so."""
        gone = lost()

        if inspect.iscoroutinefunction(method):

            async def stop_async(self: Any, *args: Any, **kwargs: Any) -> Any:  # disguised
                try:
                    return await method(self, *args, **kwargs)
                except gone as exc:
                    write_lost_trace(exc, *args, **kwargs)

            return stop_async

        def stop(self: Any, *args: Any, **kwargs: Any) -> Any:  # disguised
            if is_cut_off(self):
                write_lost_trace("Playwright's own process ended", *args, **kwargs)
                return None
            try:
                return method(self, *args, **kwargs)
            except gone as exc:
                write_lost_trace(exc, *args, **kwargs)

        return stop

    def _expecting(self, title: str, method: Callable[..., Any]) -> Any:
        """``with page.expect_…``: the wait ends in the block's exit, or in its value."""
        errors, failed = self._errors, self._failed

        def expecting(self: Any, *args: Any, **kwargs: Any) -> Any:  # disguised
            return Expectation(method(self, *args, **kwargs), self, title, errors, failed)

        return expecting

    def told_actions(self, page: Any) -> Iterator[str]:
        """Yield what was done to ``page``, the oldest first, without what was typed."""
        for action in self.actions:
            if page_of(action[1]) is page:
                yield self.redactor.text(_told(action))


class Expectation:
    """What ``page.expect_popup()`` and its siblings give, with the guard round it."""

    def __init__(self, inner: Any, owner: Any, title: str, errors: Any, failed: Any) -> None:
        self._inner = inner
        self._judge = (errors, failed, title, owner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __enter__(self) -> Any:
        return self._inner.__enter__()

    def __exit__(self, *raised: Any) -> Any:
        errors, failed, title, owner = self._judge
        try:
            return self._inner.__exit__(*raised)
        except errors as exc:
            failed(title, owner, exc)
            raise

    async def __aenter__(self) -> Any:
        return await self._inner.__aenter__()

    async def __aexit__(self, *raised: Any) -> Any:
        errors, failed, title, owner = self._judge
        try:
            return await self._inner.__aexit__(*raised)
        except errors as exc:
            failed(title, owner, exc)
            raise


class _Gone:
    """Excuses the one error that says: it is closed already."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if isinstance(error, lost()):
            LOG.info("closed already: %s", str(error).partition("\n")[0])
            return True
        return False


def _acts(method: Callable[..., Any]) -> bool:
    """Whether a method talks to the browser: others cannot fail because a page is gone."""
    own = inspect.unwrap(method)  # Playwright's, also below the guard of a run around this one
    return inspect.iscoroutinefunction(own) or "_sync" in own.__code__.co_names


def _disguised(wrapper: Any, method: Callable[..., Any]) -> Any:
    """The wrapper with the method's name and file: traces show the test's line above it.

    So coverage, too, takes it for Playwright's; "disguised" tells it not to expect it here.
    """
    code = method.__code__
    wrapper.__code__ = wrapper.__code__.replace(
        co_filename=code.co_filename, co_name=code.co_name, co_firstlineno=code.co_firstlineno
    )
    return functools.update_wrapper(wrapper, method)


def _told(action: Action) -> str:
    at, owner, method, args = action
    what = type(owner).__name__
    inner = getattr(owner, "_impl_obj", None)
    located = getattr(inner, "_actual_locator", owner if what == "Locator" else None)
    where = "" if located is None else f" on {located!r}"
    shown = ""
    if what in ("Page", "Frame") and args and isinstance(args[0], str):
        shown = repr(args[0][:80])
    return f"{clock_time(at)} {what}.{method.__name__}({shown}){where}"
