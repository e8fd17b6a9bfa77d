"""The reaper's watch and the lifelines to it; whole reapers are in the contract tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.clock import ManualClock, SystemClock
from pytest_proxmox.errors import ReaperMissing
from pytest_proxmox.sandbox import reaper
from pytest_proxmox.sandbox.lease import Leftover, State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.lifeline import Lifeline
from pytest_proxmox.sandbox.reaper import BYE, Orders, Reaper, Watch
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.target.calls import Api
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.facts import TargetFacts
from pytest_proxmox.values import VmidRange
from tests.unit.sandbox.conftest import URL

FACTS = TargetFacts(
    "real", URL, "pve", "local", None, None, None, "9.2.11", "pt@pve!ci", frozenset({"bridge"})
)
ENDPOINT = Endpoint("pve.invalid", user="pt@pve", password="hunter2", ca_file=Path("/ca.pem"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: a socket's path has 104 bytes."""
    path = Path(tempfile.mkdtemp(prefix="ppx-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def server(folder: Path) -> Iterator[socket.socket]:
    """The socket that a reaper listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(folder / "s"))
        server.listen()
        yield server


@pytest.fixture
def dial(folder: Path) -> Callable[[], socket.socket]:
    """Return a function that connects a process of the run."""

    def connect() -> socket.socket:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.connect(str(folder / "s"))
        return line

    return connect


@pytest.fixture
def watch(server: socket.socket) -> Iterator[Callable[..., Watch]]:
    """Return a function that makes a watch with a short grace."""
    with ExitStack() as stack:

        def make(grace_s: float = 0.05) -> Watch:
            return stack.enter_context(closing(Watch(server, SystemClock(), grace_s=grace_s)))

        yield make


def test_a_bye_is_no_death(watch: Callable[..., Watch], dial: Callable[[], socket.socket]) -> None:
    line = dial()
    line.sendall(BYE)
    line.close()

    assert watch().next_death() is False


def test_a_closed_line_is_a_death(
    watch: Callable[..., Watch], dial: Callable[[], socket.socket]
) -> None:
    dial().close()
    seen = watch()

    assert seen.next_death() is True
    assert not seen.is_anybody_alive
    assert seen.next_death(0.0) is False


def test_one_death_among_the_living_is_told_at_once(
    watch: Callable[..., Watch], dial: Callable[[], socket.socket]
) -> None:
    living, dying = dial(), dial()
    seen = watch()
    dying.close()

    assert seen.next_death() is True
    assert seen.is_anybody_alive
    living.sendall(BYE)
    living.close()
    assert seen.next_death() is False


def test_a_worker_that_comes_in_the_grace_is_alive(
    watch: Callable[..., Watch], dial: Callable[[], socket.socket]
) -> None:
    dial().close()
    seen = watch(grace_s=1.0)
    late: list[socket.socket] = []
    timer = threading.Timer(0.1, lambda: late.append(dial()))
    timer.start()

    assert seen.next_death() is True
    timer.join()
    assert seen.is_anybody_alive
    late[0].close()


def test_what_the_dead_shared_with_the_living_is_swept_when_those_have_ended(
    watch: Callable[..., Watch], dial: Callable[[], socket.socket], ledger: Ledger
) -> None:
    doomed, mate = dial(), dial()
    sweeps: list[int] = []

    class Sweeping(Reaper):
        def reap(self, *, rounds: int = reaper.ROUNDS) -> list[Leftover]:
            sweeps.append(rounds)
            if len(sweeps) == 1:  # the mate ends after this one, as it should
                mate.sendall(BYE)
                mate.close()
            return []

    watching = watch()
    doomed.close()
    orders = Orders(ENDPOINT, FACTS, Path(), "run-1", Path(), None)
    assert reaper._mourn(watching, Sweeping(orders, ledger, SystemClock()), "run-1") == 0
    assert sweeps == [1, reaper.ROUNDS]


def test_a_starter_that_never_comes_has_made_nothing(watch: Callable[..., Watch]) -> None:
    assert watch().next_death(first_contact_s=0.01) is False


def test_orders_are_read_as_they_were_written() -> None:
    orders = Orders(ENDPOINT, FACTS, Path("/ledger"), "run-1", Path("/s"), "pytest", 3.5)

    assert Orders.parse(orders.render()) == orders
    assert Orders.parse(replace(orders, pool=None).render()).pool is None


def test_a_reaper_that_does_not_start_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with Ledger(tmp_path, durable=False) as ledger:
        ledger.register(Run.here("run-1"), target=URL, kind="real")
        orders = Orders(ENDPOINT, FACTS, tmp_path, "run-1", Path(), None)

        with pytest.raises(ReaperMissing, match="no reaper for this run: it said nothing"):
            Lifeline(orders, ledger).__enter__()


def test_the_second_worker_joins_the_first_ones_reaper(
    tmp_path: Path, server: socket.socket, folder: Path
) -> None:
    with Ledger(tmp_path, durable=False) as ledger:
        ledger.register(Run.here("run-1"), target=URL, kind="real")
        assert ledger.set_reaper("run-1", URL, str(folder / "s"), instead_of=None)
        orders = Orders(ENDPOINT, FACTS, tmp_path, "run-1", Path(), None)

        with Lifeline(orders, ledger):
            peer, _ = server.accept()
        with peer:
            assert peer.recv(64) == BYE


def test_leaving_by_an_error_is_a_death(
    tmp_path: Path, server: socket.socket, folder: Path
) -> None:
    with Ledger(tmp_path, durable=False) as ledger:
        ledger.register(Run.here("run-1"), target=URL, kind="real")
        assert ledger.set_reaper("run-1", URL, str(folder / "s"), instead_of=None)
        orders = Orders(ENDPOINT, FACTS, tmp_path, "run-1", Path(), None)

        with pytest.raises(ZeroDivisionError), Lifeline(orders, ledger):
            raise ZeroDivisionError
        peer, _ = server.accept()
        with peer:
            assert peer.recv(64) == b""


@pytest.fixture
def detached(tmp_path: Path, folder: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that starts a whole reaper, as a process that leaves us at once."""
    path = folder / "reaper" / "s"
    path.parent.mkdir()

    def start(**more: Any) -> subprocess.Popen[str]:
        orders = Orders(ENDPOINT, FACTS, tmp_path, "run-1", path, None, **more)
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest_proxmox.sandbox.reaper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdin is not None
        process.stdin.write(orders.render() + "\n")
        process.stdin.close()
        return process

    started: list[subprocess.Popen[str]] = []
    with Ledger(tmp_path, durable=False) as ledger:
        ledger.register(Run.here("run-1"), target=URL, kind="real")
        assert ledger.set_reaper("run-1", URL, str(path), instead_of=None)
        yield start
        clock = SystemClock()
        deadline = clock.monotonic() + 30
        while ledger.reaper("run-1", URL) is not None or path.parent.exists():
            assert clock.monotonic() < deadline, "the reaper has gone and left its place"
            clock.sleep(0.02)
    for process in started:
        for stream in filter(None, (process.stdout, process.stderr)):
            stream.close()


def say(folder: Path, word: bytes) -> None:
    """Join the reaper as a process of the run, and leave it with a word, or without."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.connect(str(folder / "reaper" / "s"))
        line.sendall(word)


def test_a_reaper_whose_starter_died_before_hearing_of_it_serves_the_others(
    detached: Callable[..., subprocess.Popen[str]], folder: Path
) -> None:
    process = detached()
    assert process.stdout is not None
    process.stdout.close()

    assert process.wait(30) == 0  # the socket is there now
    say(folder, BYE)


def test_a_reaper_leaves_its_starter_and_sweeps_after_a_death(
    detached: Callable[..., subprocess.Popen[str]], folder: Path, tmp_path: Path
) -> None:
    process = detached(grace_s=0.05)
    assert process.stdout is not None

    assert process.stderr is not None
    said = process.stdout.read()  # to the end: it has let go of our pipes
    assert process.stderr.read() == ""
    assert process.wait(30) == 0
    word, pid = said.split()
    assert (word, int(pid) != process.pid) == ("ready", True)
    assert os.getsid(int(pid)) == int(pid)
    say(folder, b"no bye")

    clock, log = SystemClock(), tmp_path / "reaper-run-1.log"
    deadline = clock.monotonic() + 30
    while (folder / "reaper").exists():
        assert clock.monotonic() < deadline
        clock.sleep(0.02)
    lines = [line.split(" ", 2)[2] for line in log.read_text().splitlines()]
    assert lines == ["a process of run run-1 died", "sweep 1: 0 left", "sweep 2: 0 left"]


def held_by(run: str, ledger: Ledger) -> Reaper:
    """A reaper of a run that holds one VMID, on a Proxmox that nobody can reach."""
    me = Run.here(run)
    ledger.register(me, target=URL, kind="real")
    ledger.claim(URL, [VmidRange.parse("9000-9009")], me)
    orders = Orders(ENDPOINT, FACTS, Path(), run, Path(), None, grace_s=0.0)
    return Reaper(orders, ledger, ManualClock())


def test_a_reaper_goes_on_after_whatever_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def unusable(endpoint: Endpoint) -> Api:
        tries.append(1)
        raise OSError("the CA file is gone")

    monkeypatch.setattr(reaper, "connect", unusable)
    with Ledger(tmp_path, durable=False) as ledger:
        (left,) = held_by("run-1", ledger).reap(rounds=3)

    assert len(tries) == 3
    assert left.reason == "the CA file is gone"


def test_a_reaper_asks_nobody_where_another_sweep_was_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper, "connect", None)
    with Ledger(tmp_path, durable=False) as ledger:
        late = held_by("run-1", ledger)
        (lease,) = ledger.leases(URL)
        ledger.advance(lease, State.RELEASED)

        assert late.reap() == []
