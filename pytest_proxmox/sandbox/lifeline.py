"""The lifeline: from a process of a run to the run's reaper, cut only by death or by a bye."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.errors import ReaperMissing
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.reaper import BYE, Orders

START_S: Final = 30.0  # an interpreter with our imports; a loaded CI machine takes seconds
POLL_S: Final = 0.05


class Lifeline:
    """A connection to the reaper of a run, which is started by the first process that asks.

    A context manager: leaving it in the normal way says bye, so that nobody mourns; leaving it
    by an exception is a death. Where there are no Unix sockets it does nothing, and the next
    run's sweep is the only net. The sandbox must have been opened before: the ledger must know
    the run.
    """

    def __init__(self, orders: Orders, ledger: Ledger, *, clock: Clock | None = None) -> None:
        self._orders = orders
        self._ledger = ledger
        self._clock = clock if clock is not None else SystemClock()
        self._line: socket.socket | None = None

    def __enter__(self) -> Self:
        if hasattr(socket, "AF_UNIX") and hasattr(os, "fork"):
            self._line = self._connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._line is None:
            return
        if kind is None:
            with suppress(OSError):  # the reaper is gone: there is nobody left to tell
                self._line.sendall(BYE)
        self._line.close()
        self._line = None

    def _connect(self) -> socket.socket:
        """The line to the run's reaper: the one there is, else one of our own."""
        run, target = self._orders.run, self._orders.facts.url
        start = self._clock.monotonic()
        while True:
            known = self._ledger.reaper(run, target)
            if known is not None and (line := _dial(Path(known))) is not None:
                return line
            if known is None or self._clock.monotonic() - start > START_S:
                folder = Path(tempfile.mkdtemp(prefix="ppx-"))  # a socket's path has 104 bytes
                path = folder / "s"
                if self._ledger.set_reaper(run, target, str(path), instead_of=known):
                    return self._begin(path)
                folder.rmdir()  # another worker was faster
            self._clock.sleep(POLL_S)

    def _begin(self, path: Path) -> socket.socket:
        self._start(replace(self._orders, socket=path))
        line = _dial(path)
        if line is None:
            raise ReaperMissing(
                "it said that it is ready, and does not answer",
                hint="See in the system's log what killed it, e.g. for want of memory",
            )
        return line

    def _start(self, orders: Orders) -> None:
        """Start a reaper and wait until it says that it is ready.

        It inherits nothing that could kill it with us, or by which a CI finds it: a session of
        its own, the smallest environment, no open files.
        """
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "pytest_proxmox.sandbox.reaper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            cwd="/",
            start_new_session=True,
            text=True,
        )
        try:
            said, complaint = process.communicate(orders.render() + "\n", timeout=START_S)
        except subprocess.TimeoutExpired as exc:
            process.kill()
            process.communicate()
            raise ReaperMissing(
                f"it was not ready after {START_S:.0f} s",
                hint="Run fewer workers, or on a machine that is less busy",
            ) from exc
        if not said.startswith("ready "):
            last = complaint.strip().splitlines()[-1:] or ["it said nothing"]
            raise ReaperMissing(last[0])


def _dial(path: Path) -> socket.socket | None:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.connect(str(path))
    except OSError:
        line.close()
        return None
    return line
