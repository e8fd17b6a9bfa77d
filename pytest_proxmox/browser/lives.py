"""What is known of a page: opened, where it went, what it said, how it ended."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pytest_proxmox.browser.callers import Caller
from pytest_proxmox.browser.redaction import Redactor

_LIFE = "_pytest_proxmox_life"  # on the page itself: both end together
_CLOSING = "_pytest_proxmox_closing"
KEPT = 500  # lines of console and of network for each page
_BAD_STATUS = 400


class Closing(NamedTuple):
    """Our own process closed something: ``how`` is the call, ``by`` the line it was called on."""

    at: float
    how: str
    by: Caller | None
    thread: str

    def __str__(self) -> str:
        return f"{self.how} at {self.by or 'an unknown line'}, thread {self.thread}"


class Moment(NamedTuple):
    """One thing that happened on a page: ``kind`` is one word, ``text`` has no secrets."""

    at: float
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{clock_time(self.at)} {self.kind}: {self.text}"


@dataclass(eq=False)
class PageLife:
    """One page from its opening to its end; times are seconds since the epoch."""

    opened_at: float
    redactor: Redactor = field(repr=False)
    url: str = "about:blank"
    closed_at: float | None = None
    crashed_at: float | None = None
    pending: set[int] = field(default_factory=set)
    navigations: deque[Moment] = field(default_factory=lambda: deque(maxlen=50))
    console: deque[Moment] = field(default_factory=lambda: deque(maxlen=KEPT))
    network: deque[Moment] = field(default_factory=lambda: deque(maxlen=KEPT))
    dialogs: dict[int, str] = field(default_factory=dict)

    def went(self, at: float, url: str) -> None:
        """Note that the page shows ``url`` now."""
        self.url = self.redactor.url(url)
        self.navigations.append(Moment(at, "navigated", self.url))

    def said(self, at: float, kind: str, text: str) -> None:
        """Note a line of the page's console."""
        self.console.append(Moment(at, kind, self.redactor.text(text)))

    def fetched(self, at: float, method: str, url: str, outcome: str) -> None:
        """Note a request and what became of it."""
        text = f"{method} {self.redactor.url(url)} -> {outcome}"
        failed = not outcome.isdigit() or int(outcome) >= _BAD_STATUS
        self.network.append(Moment(at, "failed" if failed else "answered", text))

    def errors(self) -> list[str]:
        """Return what the console said in red, the latest last."""
        return [str(m) for m in self.console if m.kind in ("error", "exception")]

    def failed_requests(self) -> list[str]:
        """Return the requests that failed, the latest last."""
        return [str(m) for m in self.network if m.kind == "failed"]


def life_of(page: Any) -> PageLife | None:
    """Return what was noted of a page; None where nobody watched it."""
    return getattr(page, _LIFE, None)


def give_life(page: Any, life: PageLife) -> None:
    """Keep ``life`` with its page."""
    setattr(page, _LIFE, life)


def closing_of(thing: Any) -> Closing | None:
    """Return how our process closed a page, a context or a browser; None where it did not."""
    return getattr(thing, _CLOSING, None)


def note_closing(thing: Any, closing: Closing) -> None:
    """Keep the first call that closes ``thing``."""
    if closing_of(thing) is None:
        setattr(thing, _CLOSING, closing)


def clock_time(at: float) -> str:
    """Return the time of day of ``at``, UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
