"""Runs that are ended from outside: their guests are gone within a minute, whatever ended them.

Each row of what happens to pytest's own finalizers when a run is signalled or killed, with the
length of the tear-down that the signal meets. No later run and no sweep helps: the run's own
stop does, or its reaper. Many rows run at once, because they mostly wait.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_proxmox.clock import SystemClock
from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator
from tests.plugin.conftest import FEW_PLUGINS

RELEASED_S = 60.0
START_S = 120.0  # a dozen interpreters start at once
POLL_S = 0.1
AT_ONCE = 7  # runs that are ended side by side: more would only wait for the processor
GRACE = os.environ.get("PROXMOX_REAPER_GRACE", "3")  # not 20: an orphan does not create here
FOREIGN = 9999
CLOCK = SystemClock()

SUITE = """
import os, pathlib, threading
import pytest

@pytest.fixture(scope="session")
def guest(proxmox_sandbox_session):
    made = proxmox_sandbox_session.lxc()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    pathlib.Path(f"ready-{worker}").touch()
    yield made
    threading.Event().wait(TEARDOWN)

@pytest.mark.parametrize("n", range(2))
def test_it(guest, n):
    IN_TEST
"""
WAITS = "threading.Event().wait(100)"

Act = Callable[[subprocess.Popen[bytes]], None]


@dataclass(frozen=True)
class Row:
    """One way to end a run; ``act`` is done when each process has its guest."""

    name: str
    teardown_s: float
    act: Act
    in_test: str = WAITS
    arguments: tuple[str, ...] = ()
    in_background: bool = False


def to_process(*numbers: signal.Signals) -> Act:
    """Signal the run's first process only: xdist's controller, or a lone pytest."""

    def act(process: subprocess.Popen[bytes]) -> None:
        for number in numbers:
            os.kill(process.pid, number)

    return act


def to_group(number: signal.Signals) -> Act:
    """Signal the run's whole process group, as a terminal and many CIs do."""
    return lambda process: os.killpg(process.pid, number)


def as_github_cancels(process: subprocess.Popen[bytes]) -> None:
    """SIGINT, which a shell's background job ignores, then SIGTERM to what the shell started."""
    os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGTERM)


def nothing(process: subprocess.Popen[bytes]) -> None:
    """The run ends by itself."""


BOTH = [
    Row("SIGINT to the process", 2, to_process(signal.SIGINT)),
    Row("SIGINT to the group", 15, to_group(signal.SIGINT)),
    Row("SIGTERM to the group", 2, to_group(signal.SIGTERM)),
    Row("SIGHUP to the group", 2, to_group(signal.SIGHUP)),
    Row("SIGKILL to the group", 2, to_group(signal.SIGKILL)),
    Row("os._exit in a test", 2, nothing, in_test="os._exit(3)"),
    Row("in a shell's background, cancelled", 2, as_github_cancels, in_background=True),
    Row("-x with tests pending", 15, nothing, in_test="assert False", arguments=("-x",)),
]
ALONE: tuple[str, ...] = ()
XDIST: tuple[str, ...] = ("-n", "2")
CONTROLLER = [
    Row(f"{number.name} to the first process only", teardown_s, to_process(number))
    for number in (signal.SIGTERM, signal.SIGKILL)
    for teardown_s in (2, 8, 20)
]


@pytest.fixture
def sim(heeding_signals: None) -> Iterator[tuple[Simulator, dict[str, str]]]:
    """A Proxmox with a stranger's guest, and the environment that leads to it."""
    simulator = Simulator()
    simulator.plant(vmid=FOREIGN, type="lxc", node="pve", config={})
    environ = {name: text for name, text in os.environ.items() if not name.startswith("P")}
    with Server(simulator) as server:
        yield (
            simulator,
            {
                **environ,
                **FEW_PLUGINS,
                "PATH": os.environ["PATH"],
                "PROXMOX_TARGET": server.url,
                "PROXMOX_USER": simulator.credentials.user,
                "PROXMOX_PASSWORD": simulator.credentials.password,
                "PROXMOX_VERIFY_SSL": str(server.ca_file),
                "PROXMOX_REAPER_GRACE": GRACE,
            },
        )


def test_a_runs_guests_are_gone_a_minute_after_its_end(
    sim: tuple[Simulator, dict[str, str]], tmp_path: Path
) -> None:
    simulator, environ = sim
    before = simulator.guest(FOREIGN)
    cases = [(row, ALONE) for row in BOTH] + [(row, XDIST) for row in BOTH + CONTROLLER]
    cases.sort(key=lambda case: -case[0].teardown_s)  # so that the longest do not end alone

    def end(number: int) -> str:
        span = range(1000 + 20 * number, 1020 + 20 * number)
        return _ended(*cases[number], span, simulator, environ, tmp_path / str(number))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = pool.map(end, range(len(cases)))
    said = [f"{_name(*case)}: {text}" for case, text in zip(cases, ends, strict=True)]

    print("\n".join(said))
    assert [text for text in said if "released" not in text] == []
    assert simulator.guest(FOREIGN) == before
    assert simulator.state.pools.keys() == {"pytest"}


def _name(row: Row, form: tuple[str, ...]) -> str:
    return " ".join((row.name, *form, f"[{row.teardown_s:.0f} s]"))


def _ended(
    row: Row,
    form: tuple[str, ...],
    span: range,
    simulator: Simulator,
    environ: dict[str, str],
    folder: Path,
) -> str:
    """Start a run, end it as the row says, and tell when its guests were gone."""
    command = _suite(row, form, span, folder)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environ, "XDG_STATE_HOME": str(folder / "state")},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            _until(lambda: len(list(folder.glob("ready-*"))) == (2 if form else 1), START_S)
            row.act(process)
            began = CLOCK.monotonic()
            _until(lambda: not _left(simulator, span), RELEASED_S)
            taken_s = CLOCK.monotonic() - began
            process.wait(RELEASED_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if left := _left(simulator, span):
        return f"left after {taken_s:.0f} s: {left}\n{(folder / 'output').read_text()}"
    return f"released after {taken_s:.1f} s, status {process.returncode}"


def _suite(row: Row, form: tuple[str, ...], span: range, folder: Path) -> list[str]:
    """Write the row's tests, and return the command that runs them."""
    folder.mkdir()
    text = SUITE.replace("TEARDOWN", str(row.teardown_s)).replace("IN_TEST", row.in_test)
    (folder / "test_it.py").write_text(text, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", *form, *row.arguments]
    command += ["--max-worker-restart=0"] if form else []
    command += ["--vmid-range", f"{span[0]}-{span[-1]}", "-p", "no:cacheprovider"]
    return ["sh", "-c", '"$@" & wait $!; wait', "sh", *command] if row.in_background else command


def _left(simulator: Simulator, span: range) -> list[str]:
    """What is on the Proxmox of the run with this range: guests and pools."""
    guests = [f"guest {guest.vmid}" for guest in simulator.guests() if guest.vmid in span]
    with simulator.lock:
        pools = list(simulator.state.pools)
    names = tuple(f"pytest/b{first}-" for first in span[::10])
    return guests + [pool for pool in pools if pool.startswith(names)]


def _until(is_so: Callable[[], bool], timeout_s: float) -> None:
    """Wait until it is so, or until the time is over."""
    end = CLOCK.monotonic() + timeout_s
    while not is_so() and CLOCK.monotonic() < end:
        CLOCK.sleep(POLL_S)
