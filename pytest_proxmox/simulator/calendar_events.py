"""Calendar events as schedules are written: ``daily``, ``*/15``, ``mon..fri 02:30``, ``21:00``.

The common forms of Proxmox's public documentation; seconds and dates are not among them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMED: Final = {
    "minutely": "*:0/1",
    "hourly": "*:0",
    "daily": "0:0",
    "weekly": "mon 0:0",
    "monthly": "*-*-1 0:0",
    "yearly": "*-1-1 0:0",
    "annually": "*-1-1 0:0",
}
_DATE: Final = re.compile(r"\*-(\*|\d{1,2})-(\*|\d{1,2})")
_LOOK_AHEAD_MIN: Final = 2 * 366 * 24 * 60  # what has not come in two years never does


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """When something is to happen: sets of weekdays, months, days, hours and minutes."""

    weekdays: frozenset[int]
    months: frozenset[int]
    days: frozenset[int]
    hours: frozenset[int]
    minutes: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the event written as ``text``.

        Raises:
            ValueError: not one of the forms known here.
        """
        words = _NAMED.get(text.strip().lower(), text.strip().lower()).split()
        weekdays = frozenset(range(7))
        months, days = frozenset(range(1, 13)), frozenset(range(1, 32))
        hours, minutes = frozenset({0}), frozenset({0})
        for word in words:
            if (match := _DATE.fullmatch(word)) is not None:
                months = _part(match[1], 1, 12)
                days = _part(match[2], 1, 31)
            elif word[:3] in _DAYS:
                weekdays = _weekdays(word)
            elif ":" in word:
                hour, _, minute = word.partition(":")
                hours, minutes = _part(hour, 0, 23), _part(minute, 0, 59)
            else:  # minutes alone are those of every hour
                hours, minutes = frozenset(range(24)), _part(word, 0, 59)
        return cls(weekdays, months, days, hours, minutes)

    def next_after(self, moment: float) -> int | None:
        """Return the first time after ``moment`` in UTC, None where there is none."""
        at = datetime.fromtimestamp(int(moment) // 60 * 60 + 60, UTC)
        end = at + timedelta(minutes=_LOOK_AHEAD_MIN)
        while at < end:
            if not self._on(at):
                at = at.replace(hour=0, minute=0) + timedelta(days=1)
            elif at.hour not in self.hours:
                at = at.replace(minute=0) + timedelta(hours=1)
            elif at.minute not in self.minutes:
                at += timedelta(minutes=1)
            else:
                return int(at.timestamp())
        return None

    def _on(self, at: datetime) -> bool:
        return at.weekday() in self.weekdays and at.month in self.months and at.day in self.days


def _weekdays(word: str) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        first, dots, last = part.partition("..")
        start = _DAYS.index(first[:3])
        end = _DAYS.index(last[:3]) if dots else start
        found.update((start + n) % 7 for n in range((end - start) % 7 + 1))
    return frozenset(found)


def _part(text: str, lowest: int, highest: int) -> frozenset[int]:
    """Return the numbers that ``*``, ``5``, ``1,2``, ``1..5``, ``*/15`` or ``0/15`` stand for."""
    found: set[int] = set()
    for piece in text.split(","):
        span, slash, step = piece.partition("/")
        first, dots, last = span.partition("..")
        start = lowest if first == "*" else int(first)
        end = highest if first == "*" or (slash and not dots) else int(last or first)
        found.update(range(start, end + 1, int(step) if slash else 1))
    if not found or min(found) < lowest or max(found) > highest:
        raise ValueError(f"{text!r} is not between {lowest} and {highest}")
    return frozenset(found)
