"""Calendar events: the common forms, and the next time each of them comes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_proxmox.simulator.calendar_events import CalendarEvent

THURSDAY = datetime(2026, 11, 19, 10, 7, 30, tzinfo=UTC).timestamp()


def coming(text: str, moment: float = THURSDAY) -> str:
    found = CalendarEvent.parse(text).next_after(moment)
    return datetime.fromtimestamp(found, UTC).strftime("%a %Y-%m-%d %H:%M") if found else "never"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("minutely", "Thu 2026-11-19 10:08"),
        ("hourly", "Thu 2026-11-19 11:00"),
        ("daily", "Fri 2026-11-20 00:00"),
        ("weekly", "Mon 2026-11-23 00:00"),
        ("monthly", "Tue 2026-12-01 00:00"),
        ("yearly", "Fri 2027-01-01 00:00"),
        ("*/15", "Thu 2026-11-19 10:15"),
        ("5/20", "Thu 2026-11-19 10:25"),
        ("21:00", "Thu 2026-11-19 21:00"),
        ("2,22:30", "Thu 2026-11-19 22:30"),
        ("*:7", "Thu 2026-11-19 11:07"),
        ("mon..fri 02:30", "Fri 2026-11-20 02:30"),
        ("sat,sun 2..4:00", "Sat 2026-11-21 02:00"),
        ("fri..mon 0:0", "Fri 2026-11-20 00:00"),
        ("*-12-24 18:00", "Thu 2026-12-24 18:00"),
        ("*-2-30 0:0", "never"),
    ],
)
def test_an_event_comes_next(text: str, expected: str) -> None:
    assert coming(text) == expected


@pytest.mark.parametrize("text", ["soon", "25:00", "*:61", "xyz 1:00", "1:2:3"])
def test_what_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        CalendarEvent.parse(text)


@given(
    moment=st.integers(0, 4_000_000_000),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
)
def test_a_daily_event_comes_within_a_day(moment: int, hour: int, minute: int) -> None:
    found = CalendarEvent.parse(f"{hour}:{minute}").next_after(moment)
    assert found is not None
    assert 0 < found - moment <= 86_400
    at = datetime.fromtimestamp(found, UTC)
    assert (at.hour, at.minute, at.second) == (hour, minute, 0)
