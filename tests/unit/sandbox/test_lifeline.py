"""The lifeline: one reaper for a run, started in time or not at all, and found again."""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.errors import ReaperMissing
from pytest_proxmox.sandbox import lifeline
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.lifeline import START_S, Lifeline
from pytest_proxmox.sandbox.reaper import BYE, Orders
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.facts import TargetFacts
from tests.unit.sandbox.conftest import URL

FACTS = TargetFacts("real", URL, "pve", "local", None, None, None, "9")
ENDPOINT = Endpoint("pve.invalid", user="pt@pve", password="hunter2")


class FakeReapers:
    """Reapers that listen as soon as they are started, unless they are told not to."""

    def __init__(self) -> None:
        self.orders: list[Orders] = []
        self.servers: list[socket.socket] = []
        self.deaf = False

    def start(self, _: Lifeline, orders: Orders) -> None:
        """Listen where the orders say."""
        self.orders.append(orders)
        if not self.deaf:
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            server.bind(str(orders.socket))
            server.listen()
            self.servers.append(server)


@pytest.fixture
def reapers(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeReapers]:
    """What is started instead of reapers."""
    reapers = FakeReapers()
    monkeypatch.setattr(Lifeline, "_start", lambda line, orders: reapers.start(line, orders))
    yield reapers
    for server in reapers.servers:
        server.close()
    for orders in reapers.orders:
        orders.socket.unlink(missing_ok=True)
        orders.socket.parent.rmdir()


@pytest.fixture
def orders(ledger: Ledger) -> Orders:
    """Orders for the run's reaper, whose place is not known yet."""
    ledger.register(Run.here("run-1"), target=URL, kind="real")
    return Orders(ENDPOINT, FACTS, ledger.path.parent, "run-1", Path(), "pytest")


def test_the_first_worker_starts_a_reaper_where_the_ledger_says(
    ledger: Ledger, orders: Orders, reapers: FakeReapers
) -> None:
    with Lifeline(orders, ledger):
        (told,) = reapers.orders
        peer, _ = reapers.servers[0].accept()

    assert ledger.reaper("run-1", URL) == str(told.socket)
    assert told.socket.name == "s"
    assert told.socket.parent.name.startswith("ppx-")
    assert (told.run, told.pool, told.endpoint) == ("run-1", "pytest", ENDPOINT)
    assert stat.S_IMODE(told.socket.parent.stat().st_mode) == 0o700
    with peer:
        assert peer.recv(64) == BYE
        assert peer.recv(64) == b""


def test_a_second_worker_starts_none(ledger: Ledger, orders: Orders, reapers: FakeReapers) -> None:
    with Lifeline(orders, ledger), Lifeline(orders, ledger):
        peers = [reapers.servers[0].accept()[0] for _ in range(2)]

    assert len(reapers.orders) == 1
    for peer in peers:
        peer.close()


def test_a_place_where_nobody_answers_is_given_up_after_a_while(
    ledger: Ledger, orders: Orders, reapers: FakeReapers, clock: ManualClock
) -> None:
    """Who wrote it down died before it started a reaper."""
    assert ledger.set_reaper("run-1", URL, "/nowhere/s", instead_of=None)
    began = clock.monotonic()

    with Lifeline(orders, ledger, clock=clock):
        pass

    assert clock.monotonic() - began == pytest.approx(START_S, abs=0.1)
    assert ledger.reaper("run-1", URL) == str(reapers.orders[0].socket)


def test_a_worker_that_another_one_was_faster_than_joins_it(
    ledger: Ledger,
    orders: Orders,
    reapers: FakeReapers,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folders: list[Path] = []
    write = ledger.set_reaper
    faster = Lifeline(orders, ledger, clock=clock)

    def overtaken(run: str, target: str, path: str | None, *, instead_of: str | None) -> bool:
        if not folders and path is not None:
            folders.append(Path(path).parent)
            faster.__enter__()
        return write(run, target, path, instead_of=instead_of)

    monkeypatch.setattr(ledger, "set_reaper", overtaken)
    with Lifeline(orders, ledger, clock=clock):
        pass
    faster.__exit__(None, None, None)

    assert len(reapers.orders) == 1
    assert not folders[0].exists()


def test_a_reaper_that_does_not_answer_stops_the_run(
    ledger: Ledger, orders: Orders, reapers: FakeReapers
) -> None:
    reapers.deaf = True

    with pytest.raises(ReaperMissing) as caught:
        Lifeline(orders, ledger).__enter__()

    assert "no reaper for this run: it said that it is ready, and does not answer." in str(
        caught.value
    )
    assert str(caught.value).endswith(
        "See in the system's log what killed it, e.g. for want of memory"
    )


def test_a_reaper_that_has_gone_needs_no_bye(
    ledger: Ledger, orders: Orders, reapers: FakeReapers
) -> None:
    line = Lifeline(orders, ledger)
    with line:
        reapers.servers[0].accept()[0].close()
        reapers.servers[0].close()

    assert line._line is None
    line.__exit__(None, None, None)


def test_without_unix_sockets_there_is_no_reaper(
    ledger: Ledger, orders: Orders, reapers: FakeReapers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fork")

    with Lifeline(orders, ledger) as line:
        assert line._line is None

    assert reapers.orders == []


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that makes a shell script what is started for a reaper."""

    def write(text: str) -> Path:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))
        return tmp_path / "seen"

    return write


def test_a_reaper_gets_its_orders_by_its_input_and_nothing_else(
    ledger: Ledger,
    orders: Orders,
    script: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROXMOX_PASSWORD", "hunter2")
    seen = script('{ pwd; echo "$@"; env; cat; } > "$(dirname "$0")/seen"; echo ready 1')

    Lifeline(orders, ledger)._start(orders)

    lines = seen.read_text().splitlines()
    assert lines[:2] == ["/", "-I -m pytest_proxmox.sandbox.reaper"]
    assert lines[-1] == orders.render()
    names = {line.partition("=")[0] for line in lines[2:-1]}
    assert {"PATH", "LC_ALL"} <= names <= {"PATH", "LC_ALL", "PWD", "OLDPWD", "SHLVL", "_"}
    assert f"PATH={os.defpath}" in lines
    assert "LC_ALL=C.UTF-8" in lines


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("echo one >&2; echo 'no module two' >&2; exit 1", "no module two"),
        ("exit 1", "it said nothing"),
        ("echo unready", "it said nothing"),
    ],
    ids=["a complaint", "nothing", "another word"],
)
def test_a_reaper_that_does_not_come_up_says_why(
    ledger: Ledger, orders: Orders, script: Callable[[str], Path], text: str, why: str
) -> None:
    script(text)

    with pytest.raises(ReaperMissing, match=f"no reaper for this run: {why}\\."):
        Lifeline(orders, ledger)._start(orders)


def test_a_reaper_that_takes_too_long_is_killed(
    ledger: Ledger,
    orders: Orders,
    script: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script("exec sleep 60")
    monkeypatch.setattr(lifeline, "START_S", 0.2)

    with pytest.raises(ReaperMissing) as caught:
        Lifeline(orders, ledger)._start(orders)

    assert "it was not ready after 0 s" in str(caught.value)
    assert str(caught.value).endswith("Run fewer workers, or on a machine that is less busy")
