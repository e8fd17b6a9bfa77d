"""A process that changes guests or syncs, and whose API calls end at a chosen one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from src_app.db import file as database
from src_app.db.store import Store
from src_app.proxmox.connection import Connection
from src_app.proxmox.endpoint import ConnectArguments, resolve
from src_app.proxmox.lifecycle import GuestLife
from src_app.services.changing import ChangeService, Step
from src_app.services.syncing import SyncService

METHODS = multiprocessing.get_context("forkserver")
METHODS.set_forkserver_preload(["tests.console.ending", "src_app.db.file"])
Hook = Callable[[int, str], None]


@contextmanager
def counted(before: Hook, after: Hook) -> Iterator[list[str]]:
    """Call the hooks around each request to Proxmox; yields the list of the requests' methods."""
    send = requests.Session.send
    seen: list[str] = []
    numbering = threading.Lock()  # a sync asks from several threads

    def sending(session: requests.Session, request: Any, **given: Any) -> requests.Response:
        with numbering:
            number = len(seen)
            seen.append(f"{request.method} {request.path_url.partition('?')[0]}")
        before(number, request.method)
        answer = send(session, request, **given)
        after(number, request.method)
        return answer

    requests.Session.send = sending  # type: ignore[method-assign,assignment]  # put back below
    try:
        yield seen
    finally:
        requests.Session.send = send  # type: ignore[method-assign]


def nothing(number: int, method: str) -> None:
    """Let the request pass."""


def connect(environ: dict[str, str]) -> Connection:
    """Return a login at the Proxmox that the variables name."""
    connection = Connection(resolve(ConnectArguments(), environ))
    connection.open()
    return connection


def changes(store: Store, connection: Connection) -> ChangeService:
    """Return the service that does steps."""
    return ChangeService(store, GuestLife(connection))


def act(path: Path, environ: dict[str, str], steps: tuple[Step, ...] | None) -> None:
    """Do the steps; none of them is a sync, and None settles what others left unfinished."""
    store, connection = Store(database.url(path)), connect(environ)
    if steps is None:
        changes(store, connection).recover()
    elif steps:
        changes(store, connection).run(steps)
    else:
        SyncService(store, connection).sync_all()
    store.close()


def _child(path: Path, environ: dict[str, str], steps: tuple[Step, ...] | None, at: int) -> None:
    def die(moment: int) -> None:
        if moment == at:
            os.kill(os.getpid(), signal.SIGKILL)

    before: Hook = lambda number, _: die(2 * number)  # noqa: E731 - not sent
    behind: Hook = lambda number, _: die(2 * number + 1)  # noqa: E731 - done, and nobody knows
    with counted(before, behind):
        act(path, environ, steps)


def killed(path: Path, environ: dict[str, str], steps: tuple[Step, ...] | None, at: int) -> bool:
    """Whether a process that does this was killed: an even moment is before a request."""
    process = METHODS.Process(target=_child, args=(path, environ, steps, at))
    process.start()
    process.join()
    code = process.exitcode
    process.close()
    assert code in (0, -signal.SIGKILL), code
    return code != 0
