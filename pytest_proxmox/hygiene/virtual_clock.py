"""Time that passes only when somebody waits: event loops and chosen modules under a test's clock.

A loop under the clock does not wait for its next timer: it moves the clock there. Where sockets
or worker threads may still answer, it gives them a moment of real time first, so that a timeout
does not overtake an answer that is under way.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.errors import InvalidValue, VirtualTimeExhausted

LIMIT_S = 7 * 24 * 3600.0  # a test that waits for longer waits for something that never comes
_ANSWER_S = 0.05  # real time for an answer that is under way on this machine
_READINGS = ("time", "monotonic", "perf_counter")


class VirtualClock(ManualClock):
    """The clock of one test: a ``Clock``, and what it rules."""

    def __init__(self, start: float, *, limit_s: float = LIMIT_S) -> None:
        super().__init__(start)
        self._began = start
        self._limit_s = limit_s
        self.sleeps: list[float] = []

    @property
    def elapsed_s(self) -> float:
        """The virtual seconds that have passed since the test began."""
        return self.now() - self._began

    def sleep(self, duration_s: float) -> None:
        """Move the clock by ``duration_s`` at once, and note it in ``sleeps``."""
        self.sleeps.append(duration_s)
        self.advance(max(0.0, duration_s))

    def advance(self, duration_s: float) -> None:
        """Move the clock forward.

        Raises:
            VirtualTimeExhausted: more than the limit has passed since the test began.
        """
        super().advance(duration_s)
        if self.elapsed_s > self._limit_s:
            raise VirtualTimeExhausted.after(self.elapsed_s)

    @contextmanager
    def rules(self, modules: Iterable[ModuleType | str]) -> Iterator[VirtualClock]:
        """Return a context in which loops and the modules' ``time`` follow this clock."""
        with ExitStack() as stack:
            stack.enter_context(_loops_follow(self))
            for module in modules:
                stack.enter_context(_module_follows(_loaded(module), self))
            self._stack = stack
            yield self

    def use_in(self, *modules: ModuleType | str) -> None:
        """Let these modules' ``time`` follow the clock too, until the test ends.

        Raises:
            InvalidValue: a module that cannot be imported, or that uses no time.
        """
        for module in modules:
            self._stack.enter_context(_module_follows(_loaded(module), self))


class _Selector:
    """A loop's selector that moves the clock where it would wait for a timer."""

    def __init__(self, loop: Any, selector: Any, clock: VirtualClock) -> None:
        self._loop, self._selector, self._clock = loop, selector, clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready; if nothing is, let the timeout pass on the clock."""
        if timeout is None or timeout <= 0:
            return self._selector.select(timeout)
        events = self._selector.select(min(timeout, _ANSWER_S) if self._expects_answers() else 0)
        while not events and self._works_elsewhere():
            events = self._selector.select(min(timeout, _ANSWER_S))
        if not events:
            self._clock.advance(timeout)
        return events

    def _expects_answers(self) -> bool:
        own = 1  # the loop's pipe to itself
        return len(self._selector.get_map()) > own

    def _works_elsewhere(self) -> bool:
        """Whether a worker thread of the loop's own pool is busy: it will wake the loop."""
        pool = getattr(self._loop, "_default_executor", None)
        if pool is None:
            return False
        idle = getattr(pool, "_idle_semaphore", None)
        workers: set[threading.Thread] = getattr(pool, "_threads", set())
        return idle is not None and idle._value < len(workers)


@contextmanager
def _loops_follow(clock: VirtualClock) -> Iterator[None]:
    """Let every loop that runs inside, in any thread, follow the clock while it runs."""
    original = asyncio.BaseEventLoop.run_forever

    def run_forever(loop: Any) -> None:
        selector = getattr(loop, "_selector", None)
        if selector is None or isinstance(selector, _Selector):
            return original(loop)
        shift = time.monotonic() - clock.monotonic()  # timers set before keep their distance
        loop._selector = _Selector(loop, selector, clock)
        loop.time = lambda: clock.monotonic() + shift
        try:
            return original(loop)
        finally:
            del loop.time
            loop._selector = selector

    with mock.patch.object(asyncio.BaseEventLoop, "run_forever", run_forever):
        yield


class _Time:
    """The module ``time`` as the clock sees it."""

    def __init__(self, clock: VirtualClock) -> None:
        self.sleep = clock.sleep
        self.time = self.monotonic = self.perf_counter = clock.now

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@contextmanager
def _module_follows(module: ModuleType, clock: VirtualClock) -> Iterator[None]:
    """Replace the module's name for ``time``, and for what it imported from there."""
    fake = _Time(clock)
    replaced: dict[str, Any] = {name: fake for name, value in vars(module).items() if value is time}
    for function in ("sleep", *_READINGS):
        real = getattr(time, function)
        names = [name for name, value in vars(module).items() if value is real]
        replaced |= dict.fromkeys(names, getattr(fake, function))
    if not replaced:
        raise InvalidValue(
            f'module "{module.__name__}" does not use time: nothing to rule',
            origin="virtual_clock",
            hint="Name the module that imports time, or leave it out",
        )
    with ExitStack() as stack:
        for name, stand_in in replaced.items():
            stack.enter_context(mock.patch.object(module, name, stand_in))
        yield


def _loaded(module: ModuleType | str) -> ModuleType:
    if isinstance(module, ModuleType):
        return module
    try:
        return sys.modules.get(module) or importlib.import_module(module)
    except ImportError as exc:
        raise InvalidValue(
            f'module "{module}" cannot be imported: {exc}',
            origin="virtual_clock_modules",
            hint="Write package.module; is the project's folder in pythonpath?",
        ) from exc
