"""The clock port: real time and time that a test moves."""

from __future__ import annotations

import time

import pytest

from pytest_proxmox.clock import ManualClock, SystemClock


def test_system_clock_tells_the_machines_time() -> None:
    before = time.time()
    assert before <= SystemClock().now() <= time.time()


def test_system_clock_sleeps_at_least_as_long_as_asked() -> None:
    clock = SystemClock()
    start = clock.monotonic()
    clock.sleep(0.01)
    assert clock.monotonic() - start >= 0.01


def test_manual_clock_stands_still() -> None:
    clock = ManualClock(start=100.0)
    assert clock.now() == clock.now() == clock.monotonic() == 100.0


def test_manual_clock_moves_when_somebody_sleeps_on_it() -> None:
    clock = ManualClock(start=100.0)
    clock.sleep(3600)
    clock.advance(0.5)
    assert clock.now() == 3700.5


def test_manual_clock_cannot_go_back() -> None:
    with pytest.raises(ValueError, match="cannot go back by 1 s"):
        ManualClock().advance(-1)
