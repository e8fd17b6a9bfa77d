"""Watches contexts and pages from their opening on, through Playwright's own events."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any

from pytest_proxmox.browser.diagnosis import death_of
from pytest_proxmox.browser.lives import PageLife, give_life, life_of
from pytest_proxmox.browser.redaction import Redactor
from pytest_proxmox.clock import Clock

LOG = logging.getLogger("pytest_proxmox.browser")
_WATCHED = "_pytest_proxmox_watched"


class PageWatch:
    """Gives every page that opens a life; ``pages`` are those of the running test."""

    def __init__(self, clock: Clock, redactor: Redactor) -> None:
        self._clock = clock
        self._redactor = redactor
        self.pages: list[Any] = []
        self.crashed: list[Any] = []

    def forget(self) -> None:
        """Let go of pages that are closed or lost; those of wider fixtures stay."""
        self.pages[:] = [page for page in self.pages if death_of(page) is None]
        self.crashed[:] = [page for page in self.crashed if not page.is_closed()]

    def watch(self, opened: Any) -> Any:
        """Return what was opened, a page, a context or a browser, watched from now on."""
        if hasattr(opened, "contexts"):
            for context in opened.contexts:
                self._watch_context(context)
        elif hasattr(opened, "context"):
            self._watch_context(opened.context)
            self._watch_page(opened)
        else:
            self._watch_context(opened)
        return opened

    def _watch_context(self, context: Any) -> None:
        if getattr(context, _WATCHED, False):
            return
        setattr(context, _WATCHED, True)
        context.on("page", self._watch_page)
        for page in context.pages:
            self._watch_page(page)

    def _watch_page(self, page: Any) -> None:
        if life_of(page) is not None:
            return
        life = PageLife(self._clock.now(), self._redactor, self._redactor.url(page.url))
        give_life(page, life)
        self.pages.append(page)
        listener = _Listener(page, life, self)
        for event in ("close", "crash", "framenavigated", "console", "pageerror", "request"):
            page.on(event, getattr(listener, event))
        for event in ("response", "requestfailed"):
            page.on(event, getattr(listener, event))
        self.log(page, life, f"opened, {life.url}")

    def dialog_opened(self, dialog: Any) -> None:
        """Note a dialog that a test listens to."""
        life = life_of(dialog.page) if dialog.page is not None else None
        if life is not None:
            life.dialogs[id(dialog)] = f'{dialog.type} "{self._redactor.text(dialog.message)}"'

    def answering(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``accept`` or ``dismiss`` so that the dialog counts as closed with it."""
        if inspect.iscoroutinefunction(method):

            @functools.wraps(method)
            async def answer_async(dialog: Any, *args: Any, **kwargs: Any) -> Any:
                self._dialog_answered(dialog)
                return await method(dialog, *args, **kwargs)

            return answer_async

        @functools.wraps(method)
        def answer(dialog: Any, *args: Any, **kwargs: Any) -> Any:
            self._dialog_answered(dialog)
            return method(dialog, *args, **kwargs)

        return answer

    def _dialog_answered(self, dialog: Any) -> None:
        life = life_of(dialog.page) if dialog.page is not None else None
        if life is not None:
            life.dialogs.pop(id(dialog), None)

    def log(self, page: Any, life: PageLife, what: str) -> None:
        """Write the line that tells whether the page lives, and what has just happened."""
        alive = life.closed_at is None and life.crashed_at is None
        LOG.info("Page alive: %s (%s)", alive, what)

    def now(self) -> float:
        """Return the time as seconds since the epoch."""
        return self._clock.now()


class _Listener:
    """Writes one page's events into its life."""

    def __init__(self, page: Any, life: PageLife, watch: PageWatch) -> None:
        self._page = page
        self._life = life
        self._watch = watch

    def close(self, page: Any) -> None:
        self._life.closed_at = self._watch.now()
        self._watch.log(self._page, self._life, f"closed, {self._life.url}")

    def crash(self, page: Any) -> None:
        self._life.crashed_at = self._watch.now()
        self._watch.crashed.append(self._page)
        self._watch.log(self._page, self._life, f"crashed, {self._life.url}")

    def framenavigated(self, frame: Any) -> None:
        if frame.parent_frame is None:
            self._life.went(self._watch.now(), frame.url)
            self._watch.log(self._page, self._life, f"navigated, {self._life.url}")

    def console(self, message: Any) -> None:
        self._life.said(self._watch.now(), message.type, message.text)

    def pageerror(self, error: Any) -> None:
        self._life.said(self._watch.now(), "exception", str(error))

    def request(self, request: Any) -> None:
        self._life.pending.add(id(request))

    def response(self, response: Any) -> None:
        request = response.request
        self._life.pending.discard(id(request))  # its body may never be read, or never end
        self._life.fetched(self._watch.now(), request.method, response.url, str(response.status))

    def requestfailed(self, request: Any) -> None:
        self._life.pending.discard(id(request))
        why = request.failure or "failed"
        self._life.fetched(self._watch.now(), request.method, request.url, why)
