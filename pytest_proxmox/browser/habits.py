"""What tests do that makes them slow or flaky: fixed waits, networkidle, logins by hand."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from pytest_proxmox.browser.callers import Caller, calling
from pytest_proxmox.browser.redaction import Redactor

_PASSWORD = re.compile(r"pass(?:word|wd)?\b", re.I)
_TYPING = ("fill", "type", "press_sequentially", "insert_text")
_SELECTS = ("fill", "type")  # a page's take the selector first
_WAITS = ("wait_for_load_state", "goto", "reload", "wait_for_url", "go_back", "go_forward")
IDLE = "networkidle"

Habit = Callable[[Any, str, tuple[Any, ...], dict[str, Any]], None]


@lru_cache(maxsize=512)
def _is_password(field: str) -> bool:
    """Whether a field is one for a password, by its selector; asked each time one is typed into."""
    return _PASSWORD.search(field) is not None


class Spot(NamedTuple):
    """One line of code that has a habit."""

    kind: str
    caller: Caller | None


class Habits:
    """Counts habits by line; ``test`` is the running test's name."""

    def __init__(self, redactor: Redactor) -> None:
        self.test = ""
        self.may_log_in = True
        self._redactor = redactor
        self._counts: Counter[Spot] = Counter()
        self._waited_ms: Counter[Spot] = Counter()
        self._by_hand: dict[str, Caller | None] = {}

    def watches(self, kind: str, name: str) -> Habit | None:
        """Return what looks at the calls of a method of a class, None for most."""
        if name == "wait_for_timeout":
            return self._fixed_wait
        if name in _WAITS:
            return self._idle_wait
        if name not in _TYPING:
            return None
        is_selected = name in _SELECTS and kind in ("Page", "Frame")
        return self._typing_into if is_selected else self._typing

    def _fixed_wait(
        self, owner: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        spot = Spot("fixed wait", calling())
        self._counts[spot] += 1
        wanted = args[0] if args else kwargs.get("timeout", 0)
        self._waited_ms[spot] += int(
            getattr(wanted, "total_seconds", lambda: wanted / 1000)() * 1000
        )

    def _idle_wait(
        self, owner: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if IDLE in args or kwargs.get("wait_until") == IDLE or kwargs.get("state") == IDLE:
            self._counts[Spot(IDLE, calling())] += 1

    def _typing_into(
        self, owner: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if _is_password(args[0] if args else kwargs.get("selector", "")):
            self._typed(args[1:], kwargs)

    def _typing(self, owner: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if _is_password(repr(owner)):
            self._typed(args, kwargs)

    def _typed(self, values: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for value in (*values, kwargs.get("value"), kwargs.get("text")):
            if isinstance(value, str):
                self._redactor.learn(value)
        if not self.may_log_in:
            self._by_hand.setdefault(self.test, calling())

    def report(self) -> list[str]:
        """Return a line for each place in the code that has a habit, and forget them."""
        lines = []
        for spot, count in sorted(self._counts.items(), key=lambda item: str(item[0])):
            waited = (
                f", {self._waited_ms[spot] / 1000:g} s in all" if spot in self._waited_ms else ""
            )
            better = "wait for what the page shows instead (expect, wait_for_selector)"
            lines.append(f"{spot.kind} at {spot.caller}: {count} times{waited}; {better}")
        for test, caller in self._by_hand.items():
            lines.append(
                f"login by hand at {caller} in {test}: take authenticated_page, or mark the test "
                "auth if the login is what it tests"
            )
        self._counts.clear()
        self._waited_ms.clear()
        self._by_hand.clear()
        return lines
