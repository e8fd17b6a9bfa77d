"""A process of the app manager that is killed at a chosen moment, with SIGKILL.

The moments are its requests to Proxmox and its commits, counted together: it dies just before
the chosen one. What was done before that has happened; nothing after it has.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any

import requests
from sqlalchemy import event

from src_app.configuration import Configuration
from src_app.services.manager import Manager

NEVER = -1
METHODS = multiprocessing.get_context("forkserver")
METHODS.set_forkserver_preload(["tests.app.killing", "src_app.services.manager"])


class Countdown:
    """Counts moments, and kills the process just before the chosen one."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self.seen = 0

    def moment(self) -> None:
        """Pass one moment, or die before it."""
        with self._lock:
            self.seen = next(self._numbers) + 1
            if self.seen - 1 == self._last:
                os.kill(os.getpid(), signal.SIGKILL)


def work(
    config: Configuration, environ: Mapping[str, str], last: int, report: Callable[[int], None]
) -> None:
    """Do all operations that wait, as a freshly started process, and report the moments."""
    manager = Manager.build(config, environ)
    countdown = Countdown(last)
    event.listen(manager.store.engine, "commit", lambda _connection: countdown.moment())
    send = requests.Session.send

    def counted(session: requests.Session, request: Any, **given: Any) -> requests.Response:
        countdown.moment()
        return send(session, request, **given)

    requests.Session.send = counted  # type: ignore[method-assign,assignment]  # our own process
    asyncio.run(manager.engine.drain())
    manager.store.close()
    report(countdown.seen)


def _child(config: Configuration, environ: Mapping[str, str], last: int, results: Any) -> None:
    work(config, environ, last, results.send)


def run(config: Configuration, environ: Mapping[str, str], last: int = NEVER) -> int | None:
    """Return how many moments a process had that did everything, None for one that died."""
    receiver, sender = METHODS.Pipe(duplex=False)
    process = METHODS.Process(target=_child, args=(config, dict(environ), last, sender))
    process.start()
    sender.close()
    try:
        seen: int | None = receiver.recv()
    except EOFError:
        seen = None
    process.join()
    receiver.close()
    expected = 0 if seen is not None else -signal.SIGKILL
    assert process.exitcode == expected, process.exitcode
    process.close()
    return seen
