"""Does the operations: several at a time, each to a final state, across crashes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential

from src_app.db import queue
from src_app.db.errors import RepositoryError
from src_app.db.models import Operation, now
from src_app.db.repositories import RepositoryFactory
from src_app.domain.errors import AppManagerError
from src_app.proxmox.errors import ProxmoxError
from src_app.proxmox.transience import is_transient
from src_app.services.context import Context
from src_app.services.work import BACK, FORWARD, Cancelled, Procedure, Step, Work

LOG = logging.getLogger(__name__)
TRIES = 5
LONGEST_PAUSE_S = 15.0
UNDO_ATTEMPTS = 30  # with pauses that grow to a minute: half an hour of a Proxmox that is away
LONGEST_UNDO_PAUSE_S = 60.0
IDLE_S = 0.5
CRASHES = 5
EXPECTED = (ProxmoxError, AppManagerError, RepositoryError, OSError)


def worker_name() -> str:
    """Return a name for this process that says whether it still lives: host, boot, pid, nonce."""
    return f"{socket.gethostname()}:{_boot_id()}:{os.getpid()}:{secrets.token_hex(4)}"


def is_dead(worker: str) -> bool:
    """Tell whether a worker was a process of this machine and is gone."""
    parts = worker.split(":")
    if len(parts) != 4 or parts[0] != socket.gethostname():
        return False
    if parts[1] != _boot_id():
        return True  # the machine was started anew since
    try:
        os.kill(int(parts[2]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _boot_id() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text(encoding="ascii").strip() if path.exists() else "unknown"


class Engine:
    """Takes operations from the queue and does them, a few at a time."""

    def __init__(self, context: Context, procedures: Mapping[str, Procedure]) -> None:
        self._context = context
        self._procedures = procedures
        self._name = worker_name()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    # --- the process's life -------------------------------------------------------------

    async def start(self) -> None:
        """Begin to take operations; those of processes that died here come first."""
        await self._context.store.arun(self._release_dead)
        self._tasks = [asyncio.create_task(self._loop()), asyncio.create_task(self._heartbeat())]

    async def stop(self) -> None:
        """Stop at once; what was being done goes on in the next process, or in another."""
        pending = [*self._tasks, *self._running.values()]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        self._tasks = []
        await self._context.store.arun(lambda db: queue.release(db, self._name))

    def wake(self) -> None:
        """Look at the queue now."""
        self._wake.set()

    async def drain(self) -> None:
        """Do everything that waits, and return when nothing is left that could be done now."""
        await self._context.store.arun(self._release_dead)
        while (operation := await self._take()) is not None:
            await self._guarded(operation)

    async def complete(self, operation_id: str) -> Operation:
        """Return the operation once it has ended; it is done here, unless another process does."""
        while True:
            operation = await self._take(operation_id)
            if operation is not None:
                await self._guarded(operation)
            row = await self._context.store.aread(lambda db: db.operations.get(operation_id))
            if row.status in queue.FINAL:
                return row
            await self._context.clock.pause(_until_due(row))

    @staticmethod
    def _release_dead(db: RepositoryFactory) -> None:
        for worker in queue.workers(db):
            if is_dead(worker):
                queue.release(db, worker)

    async def _loop(self) -> None:
        while True:
            try:
                await self._fill()
            except Exception:
                LOG.exception("the queue cannot be read")  # the database may be away for a while
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), IDLE_S)

    async def _fill(self) -> None:
        while len(self._running) < self._context.config.parallel:
            operation = await self._take()
            if operation is None:
                return
            task = asyncio.create_task(self._guarded(operation))
            self._running[operation.id] = task
            task.add_done_callback(lambda _, done=operation.id: self._ended(done))  # type: ignore[misc]

    def _ended(self, operation_id: str) -> None:
        self._running.pop(operation_id, None)
        self._wake.set()

    async def _heartbeat(self) -> None:
        lease_s = self._context.config.lease_s
        while True:
            await asyncio.sleep(lease_s / 3)
            if self._running:
                await self._context.store.arun(
                    lambda db: queue.prolong(db, self._name, lease_s=lease_s)
                )

    async def _take(self, only: str | None = None) -> Operation | None:
        lease_s = self._context.config.lease_s
        return await self._context.store.arun(
            lambda db: queue.take(db, self._name, lease_s=lease_s, only=only)
        )

    # --- one operation ------------------------------------------------------------------

    async def _guarded(self, operation: Operation) -> None:
        try:
            await self._execute(operation)
        except queue.LostLease:
            LOG.warning("operation %s went to another process", operation.id)
        except Exception:
            # The queue must go on: a later attempt goes on with this one, or ends it.
            LOG.exception("operation %s stopped in the middle", operation.id)
            await self._crashed(operation)

    async def _crashed(self, operation: Operation) -> None:
        """Let an operation that met a mistake of ours wait; the last attempt ends it."""
        if operation.attempts >= CRASHES:
            values = {
                "status": "failed",
                "error": "The manager met a mistake of its own; see its log",
            }
            await self._context.store.arun(
                lambda db: queue.finish(db, operation.id, self._name, values)
            )
            return
        later = now() + timedelta(seconds=self._context.config.retry_pause_s)
        values_again = {"worker": None, "lease_until": None, "not_before": later}
        await self._context.store.arun(
            lambda db: queue.write(db, operation.id, self._name, values_again)
        )

    async def _execute(self, operation: Operation) -> None:
        work = Work(self._context, operation, self._name)
        procedure = self._procedures[work.kind]
        if work.direction == FORWARD:
            await self._forward(work, procedure)
        if work.direction == BACK:
            await self._back(work, procedure)

    async def _forward(self, work: Work, procedure: Procedure) -> None:
        for number, step in enumerate(procedure.steps):
            if number < work.done:
                continue
            try:
                await self._step(work, step, cancellable=number < procedure.final)
            except Cancelled:
                await work.turn_back("Cancelled", cancelled=True)
                return
            except EXPECTED as exc:
                LOG.info("operation %s: %s failed: %s", work.id, step.title, exc)
                if number < procedure.final:
                    await work.turn_back(_words(exc))
                    return
                await self._give_up(work, procedure, _words(exc))
                return
            await work.passed(number + 1)
        await work.finish("succeeded")

    async def _step(self, work: Work, step: Step, *, cancellable: bool) -> None:
        try:
            await work.begin(step)
        except Cancelled:
            if cancellable:
                raise
        await self._retried(lambda: step.do(work), work)

    async def _retried(self, do: Callable[[], Awaitable[None]], work: Work) -> None:
        """Do it, and again after a pause where what failed passes by itself."""
        pause_s = self._context.config.retry_pause_s
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(TRIES),
            wait=wait_exponential(multiplier=pause_s, max=LONGEST_PAUSE_S),
            retry=retry_if_exception(is_transient),
            sleep=self._context.clock.pause,
            reraise=True,
        ):
            with attempt:
                if attempt.retry_state.attempt_number > 1:
                    await work.note("Proxmox could not do it just now; trying again")
                await do()

    async def _back(self, work: Work, procedure: Procedure) -> None:
        error = work.error or "failed"
        try:
            await self._retried(lambda: procedure.undo(work), work)
        except EXPECTED as exc:
            if is_transient(exc) and work.attempts < UNDO_ATTEMPTS:
                pause_s = min(
                    self._context.config.retry_pause_s * 2**work.attempts, LONGEST_UNDO_PAUSE_S
                )
                until = now() + timedelta(seconds=pause_s)
                await work.postpone(until, f"Undoing must wait: {_words(exc)}")
                return
            await self._give_up(work, procedure, f"{error}; and undoing it failed: {_words(exc)}")
            return
        status = "cancelled" if work.plan.get("cancelled") else "rolled_back"
        await work.finish(status, error=error)

    async def _give_up(self, work: Work, procedure: Procedure, error: str) -> None:
        await work.save(error=error)
        await procedure.give_up(work)
        await work.finish("failed", error=error)


def _until_due(row: Operation) -> float:
    """Return how long to pause before the operation is looked at again, in seconds."""
    if row.worker is not None or row.not_before is None:
        return IDLE_S  # another process may end it, or give it back
    return min(max((row.not_before - now()).total_seconds(), 0.0), IDLE_S)


def _words(exc: BaseException) -> str:
    return str(exc) or type(exc).__name__
