"""Slots: never more at a time than a storage takes, and none lost to the dead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_proxmox.clock import ManualClock, SystemClock
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.run import Run
from tests.unit.sandbox.conftest import URL

ME = Run.here("run-1")


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger on the machine's own clock: threads wait for one another."""
    with Ledger(tmp_path, clock=SystemClock(), durable=False) as ledger:
        yield ledger


def test_no_more_than_the_limit_are_used_at_a_time(shared: Ledger) -> None:
    inside: list[int] = []
    most: list[int] = []
    lock = threading.Lock()
    barrier = threading.Barrier(3)

    def create() -> None:
        with shared.slots.use(URL, "local", ME, limit=3):
            with lock:
                inside.append(1)
                most.append(len(inside))
            barrier.wait(10)  # three must be in here together before any leaves
            with lock:
                inside.pop()

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert max(most) == 3


def test_each_storage_has_its_own(shared: Ledger) -> None:
    with (
        shared.slots.use(URL, "local", ME, limit=1),
        shared.slots.use(URL, "other", ME, limit=1),
        shared.slots.use("https://other.invalid", "local", ME, limit=1),
    ):
        entered = True

    assert entered


def test_a_dead_processes_slot_is_free(tmp_path: Path) -> None:
    dead = replace(ME, born="long ago")
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(tmp_path, clock=ManualClock(), durable=False))
        stack.enter_context(ledger.slots.use(URL, "local", dead, limit=1))

        with ledger.slots.use(URL, "local", ME, limit=1):
            entered = True

    assert entered


def test_a_failed_create_gives_its_slot_back(shared: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), shared.slots.use(URL, "local", ME, limit=1):
        raise ZeroDivisionError

    with shared.slots.use(URL, "local", ME, limit=1):
        entered = True
    assert entered
