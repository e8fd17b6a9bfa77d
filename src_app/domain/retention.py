"""Which backups are kept: the last ones, and one for each of the last days, weeks, months."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Retention:
    """How many to keep of each kind; a backup that any of them keeps is kept."""

    keep_last: int = 0
    keep_daily: int = 0
    keep_weekly: int = 0
    keep_monthly: int = 0

    @property
    def keeps_something(self) -> bool:
        """Whether at least one backup survives."""
        return any((self.keep_last, self.keep_daily, self.keep_weekly, self.keep_monthly))

    def kept(self, moments: Iterable[datetime]) -> set[datetime]:
        """Return the moments whose backups are kept."""
        newest_first = sorted(moments, reverse=True)
        periods: tuple[tuple[int, Callable[[datetime], object]], ...] = (
            (self.keep_daily, lambda m: m.date()),
            (self.keep_weekly, lambda m: m.isocalendar()[:2]),
            (self.keep_monthly, lambda m: (m.year, m.month)),
        )
        found = set(newest_first[: self.keep_last])
        for count, period in periods:
            newest_of: dict[object, datetime] = {}
            for moment in newest_first:
                newest_of.setdefault(period(moment), moment)
            found |= set(sorted(newest_of.values(), reverse=True)[:count])
        return found
