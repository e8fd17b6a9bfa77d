"""The heartbeat: it renews by itself, goes on after errors, and ends with its lease or its run."""

from __future__ import annotations

import logging
import threading

import pytest

from pytest_proxmox.errors import LeaseLost, PoolRefused
from pytest_proxmox.sandbox.ground import WholeRange
from pytest_proxmox.sandbox.heartbeat import Heartbeat
from tests.unit.sandbox.conftest import SPAN


class FakeGround(WholeRange):
    """A ground whose renewals end as they were told to, one after the other."""

    def __init__(self, *ends: Exception | None) -> None:
        super().__init__(SPAN)
        self.ends = list(ends)
        self.over = threading.Event()

    def renew(self) -> None:
        """Take the next end."""
        end = self.ends.pop(0) if self.ends else None
        if not self.ends:
            self.over.set()
        if end is not None:
            raise end


def test_a_heartbeat_goes_on_after_an_error(caplog: pytest.LogCaptureFixture) -> None:
    ground = FakeGround(None, PoolRefused("refused for now"), None, None)

    with caplog.at_level(logging.WARNING), Heartbeat(ground, every_s=0.001):
        assert ground.over.wait(10)

    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "the next beat tries again: refused for now" in record.getMessage()


def test_a_heartbeat_ends_with_its_lease(caplog: pytest.LogCaptureFixture) -> None:
    ground = FakeGround(LeaseLost("pytest/b9000-9009"), None)
    heartbeat = Heartbeat(ground, every_s=0.001)

    with caplog.at_level(logging.WARNING), heartbeat:
        heartbeat._thread.join(10)

    assert len(ground.ends) == 1
    assert ["pytest/b9000-9009" in one.getMessage() for one in caplog.records] == [True]
    assert heartbeat._thread.daemon


def test_a_heartbeat_ends_at_once_when_the_run_does() -> None:
    heartbeat = Heartbeat(FakeGround(), every_s=3600)

    with heartbeat:
        assert heartbeat._thread.is_alive()

    assert not heartbeat._thread.is_alive()
