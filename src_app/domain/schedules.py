"""When something is due again: a day and a time, or every so many minutes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from src_app.domain.errors import InvalidInput

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WANTED = 'must be "daily 02:00", "sun 03:00" or "every 15m"'
_AT = re.compile(r"(daily|mon|tue|wed|thu|fri|sat|sun) ([01]\d|2[0-3]):([0-5]\d)")
_EVERY = re.compile(r"every ([1-9]\d{0,4})m")


@dataclass(frozen=True, slots=True)
class Rule:
    """One schedule; ``every`` or a time of the day, ``day`` is None for each day."""

    text: str
    every: timedelta | None = None
    day: int | None = None
    hour: int = 0
    minute: int = 0

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Return the rule that a text like ``daily 02:00`` or ``every 15m`` says.

        Raises:
            InvalidInput: it says none.
        """
        plain = " ".join(text.lower().split())
        if every := _EVERY.fullmatch(plain):
            return cls(plain, every=timedelta(minutes=int(every[1])))
        found = _AT.fullmatch(plain)
        if found is None:
            raise InvalidInput(f'Schedule "{text}" {WANTED}', fields={"rule": WANTED})
        day = None if found[1] == "daily" else DAYS.index(found[1])
        return cls(plain, day=day, hour=int(found[2]), minute=int(found[3]))

    def after(self, moment: datetime) -> datetime:
        """Return the first time after ``moment`` that the rule names, in its zone."""
        if self.every is not None:
            return moment + self.every
        due = moment.replace(hour=self.hour, minute=self.minute, second=0, microsecond=0)
        while due <= moment or (self.day is not None and due.weekday() != self.day):
            due += timedelta(days=1)
        return due
