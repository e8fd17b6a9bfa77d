"""The signal net: the first signal stops, later ones wait, others' handlers stay."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from pytest_proxmox.sandbox.signals import SignalNet


class Stopped(Exception):
    """What the net's caller raises."""


def stop(number: signal.Signals) -> None:
    """End the run."""
    raise Stopped(number.name)


@pytest.fixture(autouse=True)
def default_handlers() -> Iterator[None]:
    """Start from the defaults: whoever started the tests may ignore SIGHUP (nohup does)."""
    before = {n: signal.signal(n, signal.SIG_DFL) for n in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_the_first_signal_stops(number: signal.Signals) -> None:
    with SignalNet(stop) as net, pytest.raises(Stopped, match=number.name):
        os.kill(os.getpid(), number)

    assert net.caught is number
    assert signal.getsignal(number) is signal.SIG_DFL


def test_later_signals_let_the_clean_up_go_on() -> None:
    with SignalNet(stop) as net:
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)

        assert net.caught is signal.SIGTERM


def test_a_handler_of_somebody_else_stays() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with SignalNet(stop):
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_set_no_handlers() -> None:
    found: list[object] = []

    def enter() -> None:
        with SignalNet(stop):
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()

    assert found == [signal.SIG_DFL]
