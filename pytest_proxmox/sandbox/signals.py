"""The signal net: what a CI sends to end a run becomes a stop that still cleans up.

By itself SIGTERM ends pytest at once, with every fixture's clean-up undone, and so does SIGHUP.
The first signal is turned into the stop that the caller names; later ones are let pass, so that
the clean-up goes on as long as the CI allows. When that is too short, the reaper takes over.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any, Self

Stop = Callable[[signal.Signals], object]
"""Called in the main thread at the first signal; it raises what ends the run."""

NAMES = ("SIGTERM", "SIGHUP", "SIGBREAK")  # SIGINT is Python's own KeyboardInterrupt
_PYTHONS_OWN = (signal.SIG_DFL, signal.default_int_handler)


class SignalNet:
    """While it lasts, the signals of ``names`` call ``stop``; a context manager.

    Only the main thread may set handlers: elsewhere it does nothing. A handler that somebody
    else has set, or an ignored signal (``nohup``), is left as it is.
    """

    def __init__(self, stop: Stop, *, names: Sequence[str] = NAMES) -> None:
        self._stop = stop
        self._names = names
        self._before: dict[signal.Signals, Any] = {}
        self.caught: signal.Signals | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in self._names:
                number = getattr(signal.Signals, name, None)
                if number is not None and signal.getsignal(number) in _PYTHONS_OWN:
                    self._before[number] = signal.signal(number, self._catch)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def _catch(self, number: int, frame: FrameType | None) -> None:
        if self.caught is None:
            self.caught = signal.Signals(number)
            self._stop(self.caught)
