"""Threads, child processes and sockets that a test leaves running or open."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import thread as futures_thread
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from types import FrameType
from typing import Any, Generic, NamedTuple, TypeVar

from pytest_proxmox.hygiene.coroutines import OUTSIDE
from pytest_proxmox.hygiene.holders import held_by_wider_fixture
from pytest_proxmox.hygiene.offences import Offence
from pytest_proxmox.hygiene.places import Place, Trail
from pytest_proxmox.hygiene.watch import Makers

GRACE_S = 0.25  # a thread or process that was told to end needs a moment to be gone
_SERVANTS = (  # threads of libraries that live as long as the process or their event loop
    "asyncio_*",
    "*waitpid-*",  # waits for a child of asyncio: the child is what counts
    "AnyIO worker thread",
    "QueueFeederThread",
    "pytest_timeout *",
    "pydevd.*",
    "Dummy-*",
)
_MANY = 512  # a test that makes so many sockets should not keep note of the closed ones

T = TypeVar("T")


class Made(NamedTuple, Generic[T]):
    """Something that the test made, and where."""

    ref: weakref.ref[Any]
    facts: T
    trail: Trail

    @property
    def place(self) -> Place:
        """The line that made it."""
        return self.trail.place

    @property
    def found(self) -> Any:
        """What was made, None when it is gone."""
        return self.ref()


class Creations(Generic[T]):
    """What the current test made of one kind."""

    sets_back = False

    def __init__(self, makers: Makers, is_there: Callable[[Made[T]], bool]) -> None:
        self._makers = makers
        self._is_there = is_there
        self.made: list[Made[T]] = []
        self.stirred = False

    def begin(self, test: int) -> None:
        """Forget what earlier tests made: it was judged."""
        self.made = []
        self.stirred = False

    def outside(self) -> AbstractContextManager[None]:
        """Return a context in which what is made belongs to no test."""
        return self._makers.nobody()

    def note(self, found: object, facts: T, *, skip: int) -> None:
        """Keep what was just made, if the running test made it and not a library for itself."""
        current = self._makers.current
        if current == OUTSIDE or self._makers.of_caller() != current:
            return
        self.made.append(Made(weakref.ref(found), facts, Trail(skip=skip + 1)))
        self.stirred = True

    def suspects(self) -> bool:
        """Return whether something of this test is still there."""
        return bool(self.made) and bool(self._there())

    def _there(self) -> list[Made[T]]:
        self.made = [one for one in self.made if self._is_there(one) and not one.trail.is_anybodys]
        return self.made

    def _take(self) -> list[Made[T]]:
        """Return what is still there and nobody holds, and speak of it no more."""
        there, self.made = self._there(), []
        return [one for one in there if not held_by_wider_fixture(one.found)]


class ThreadWatch(Creations[None]):
    """Threads that run on after the test that started them."""

    def __init__(self, makers: Makers) -> None:
        super().__init__(makers, _is_running)

    def install(self) -> None:
        """Note each thread that is started, and whom it works for."""
        start, make_pool = self._originals = (threading.Thread.start, ThreadPoolExecutor.__init__)
        pools: weakref.WeakKeyDictionary[object, int] = weakref.WeakKeyDictionary()

        def noted_start(thread: threading.Thread) -> None:
            maker = self._makers.of_caller()
            self._makers.note(thread, maker)
            pool = _pool_of_worker(thread, sys._getframe(1))
            if pool is None or pools.get(pool) == maker:  # an older pool's workers live with it
                self.note(thread, None, skip=1)
            start(thread)

        def noted_make_pool(pool: ThreadPoolExecutor, *args: Any, **kwargs: Any) -> None:
            pools[pool] = self._makers.of_caller()
            make_pool(pool, *args, **kwargs)

        threading.Thread.start = noted_start  # type: ignore[assignment,method-assign]
        ThreadPoolExecutor.__init__ = noted_make_pool  # type: ignore[assignment,method-assign]

    def uninstall(self) -> None:
        """Give threads and pools their methods back."""
        start, make_pool = self._originals
        threading.Thread.start = start  # type: ignore[method-assign]
        ThreadPoolExecutor.__init__ = make_pool  # type: ignore[method-assign]

    def offences(self) -> Sequence[Offence]:
        """Return the threads that are alive after a moment's patience."""
        deadline = time.monotonic() + GRACE_S
        for made in self._there():
            made.found.join(max(0.0, deadline - time.monotonic()))
        return [
            Offence("thread", made.found.name, f"thread {made.found.name!r}", made.place)
            for made in self._take()
        ]


class ProcessWatch(Creations[tuple[int, str]]):
    """Child processes that run on; only the program's name is shown, arguments hold secrets."""

    def __init__(self, makers: Makers) -> None:
        super().__init__(makers, _child_runs)

    def install(self) -> None:
        """Note each ``subprocess.Popen``, which asyncio's subprocesses use too."""
        original = self._original = subprocess.Popen.__init__

        def __init__(process: subprocess.Popen[Any], *args: Any, **kwargs: Any) -> None:
            original(process, *args, **kwargs)
            program = _program(process.args)
            self.note(process, (process.pid, program), skip=1)

        subprocess.Popen.__init__ = __init__  # type: ignore[assignment,method-assign]

    def uninstall(self) -> None:
        """Give ``Popen.__init__`` back."""
        subprocess.Popen.__init__ = self._original  # type: ignore[method-assign]

    def offences(self) -> Sequence[Offence]:
        """Return the children that run after a moment's patience."""
        deadline = time.monotonic() + GRACE_S
        pause = threading.Event()
        while self.suspects() and time.monotonic() < deadline:
            pause.wait(0.01)
        return [
            Offence("process", made.facts[1], f"process {made.facts[1]!r}", made.place)
            for made in self._take()
        ]


class SocketWatch(Creations[None]):
    """Sockets and servers that stay open."""

    def __init__(self, makers: Makers) -> None:
        super().__init__(makers, _is_open)
        self._closing: list[Offence] = []

    def install(self) -> None:
        """Note each Python socket."""
        original = self._original = socket.socket.__init__

        def __init__(found: socket.socket, *args: Any, **kwargs: Any) -> None:
            original(found, *args, **kwargs)
            self.note(found, None, skip=1)
            if self.made and len(self.made) % _MANY == 0:
                self._there()

        socket.socket.__init__ = __init__  # type: ignore[assignment,method-assign]

    def uninstall(self) -> None:
        """Give ``socket.__init__`` back."""
        socket.socket.__init__ = self._original  # type: ignore[method-assign]

    def begin(self, test: int) -> None:
        """Forget what earlier tests made: it was judged."""
        super().begin(test)
        self._closing = []

    def is_served_by(self, loop: Any) -> bool:
        """Return whether the loop serves more than its own socket, which wakes it up."""
        if not self.made:
            return False
        selector = getattr(loop, "_selector", None)  # a loop of another make cannot be asked
        served = None if selector is None else selector.get_map()
        return served is not None and len(served) > 1

    def loop_closes(self, loop: Any) -> None:
        """Note the servers and connections that a test's event loop still serves as it closes."""
        if not self.is_served_by(loop):
            return
        served = {key.fileobj for key in loop._selector.get_map().values()}
        served = {found if isinstance(found, int) else found.fileno() for found in served}
        served.discard(loop._ssock.fileno())
        for made in self.made:
            found = made.found
            if found is None or found.fileno() not in served or made.trail.is_anybodys:
                continue
            self._closing.append(_socket_offence(found, made.place))

    def suspects(self) -> bool:
        """Return whether a socket of this test is open."""
        return bool(self._closing) or super().suspects()

    def offences(self) -> Sequence[Offence]:
        """Return the sockets that are open and that something still holds."""
        offences, self._closing = self._closing, []
        told = {offence.place for offence in offences}
        if super().suspects():
            gc.collect()  # one in a dead cycle is as good as closed
        left = [made for made in self._take() if made.place not in told]
        return [*offences, *(_socket_offence(made.found, made.place) for made in left)]


def _is_running(made: Made[Any]) -> bool:
    thread = made.found
    return (
        thread is not None
        and thread.is_alive()
        and not any(fnmatchcase(thread.name, pattern) for pattern in _SERVANTS)
    )


def _pool_of_worker(thread: threading.Thread, starter: FrameType) -> object:
    """The thread pool that starts this thread as a worker; None for any other thread."""
    if getattr(thread, "_target", None) is not futures_thread._worker:
        return None
    return starter.f_locals.get("self")


def _is_open(made: Made[Any]) -> bool:
    found = made.found
    return found is not None and found.fileno() != -1


def _child_runs(made: Made[tuple[int, str]]) -> bool:
    """Whether the child has not ended, asked without taking its exit status from anybody."""
    process = made.found
    if process is not None and process.returncode is not None:
        return False
    pid = made.facts[0]
    try:
        if hasattr(os, "waitid"):
            return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        return process is not None and process.poll() is None
    except ChildProcessError:  # somebody has waited for it already
        return False


def _program(args: object) -> str:
    if isinstance(args, (list, tuple)) and args:
        args = args[0]
    text = os.fsdecode(args) if isinstance(args, (str, bytes, os.PathLike)) else str(args)
    return os.path.basename(text.split(maxsplit=1)[0]) if text.split() else text


def _socket_offence(found: socket.socket, place: Place) -> Offence:
    try:
        name = str(found.getsockname())
        listening = bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        name, listening = "", False
    if "_make_self_pipe" in place.inner:
        return Offence("socket", "event loop", "an event loop was never closed", place)
    what = "server socket" if listening else "socket"
    return Offence("socket", name or "socket", f"{what} {name}".rstrip(), place)
