"""An operation as the process that works on it sees it: its plan, its log, its tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from src_app.db import queue
from src_app.db.models import Operation, now
from src_app.db.repositories import RepositoryFactory
from src_app.proxmox import ProxmoxService
from src_app.services.context import Context

T = TypeVar("T")
LOG_LINES = 500
FORWARD, BACK = "forward", "back"


class Cancelled(Exception):
    """The user asked to stop the operation."""


class Work:
    """One operation in progress. Everything that a resume needs is in ``plan``, and stored."""

    def __init__(self, context: Context, operation: Operation, worker: str) -> None:
        self.context = context
        self.id = operation.id
        self.kind = operation.kind
        self.app_id = str(operation.plan["app_id"])
        self.user_id = operation.user_id
        self.attempts = operation.attempts
        self.plan: dict[str, Any] = dict(operation.plan)
        self._log: list[str] = list(operation.log)
        self._worker = worker

    @property
    def done(self) -> int:
        """How many steps are done."""
        return int(self.plan.get("done", 0))

    @property
    def direction(self) -> str:
        """Whether the operation goes on or is being undone."""
        return str(self.plan.get("direction", FORWARD))

    @property
    def error(self) -> str | None:
        """What went wrong, as far as something did."""
        return self.plan.get("error")

    async def preference(self, name: str) -> str:
        """Return what an admin set, else what this process was told; "" stands for neither."""
        row = await self.db(lambda db: db.settings.find_by_id(name))
        return (row.value if row else None) or str(getattr(self.context.config, name))

    async def proxmox(self) -> ProxmoxService:
        """Return the connected service."""
        return await self.context.link.service()

    async def db(self, work: Callable[[RepositoryFactory], T]) -> T:
        """Return what ``work`` returns, once its changes are committed."""
        return await self.context.store.arun(work)

    async def save(self, **facts: Any) -> None:
        """Store facts in the plan; what they are about must not have begun yet."""
        self.plan.update(facts)
        await self._write({"plan": dict(self.plan)})

    async def note(self, text: str) -> None:
        """Add a line to the log that the user sees."""
        self._log = [*self._log, f"{now():%H:%M:%S} {text}"][-LOG_LINES:]
        await self._show({"log": list(self._log)})

    async def begin(self, step: Step) -> None:
        """Show that a step begins.

        Raises:
            Cancelled: the user asked to stop, and nothing forbids it.
        """
        if await self.db(lambda db: db.operations.get(self.id).cancel_requested):
            raise Cancelled
        self._log = [*self._log, f"{now():%H:%M:%S} {step.title}"][-LOG_LINES:]
        await self._show({"step": step.title, "percent": step.percent, "log": list(self._log)})

    async def passed(self, count: int) -> None:
        """Store that the first ``count`` steps are done."""
        await self.save(done=count)

    async def turn_back(self, error: str, *, cancelled: bool = False) -> None:
        """Store that the operation is to be undone, and why."""
        self._log = [*self._log, f"{now():%H:%M:%S} {error}"][-LOG_LINES:]
        self.plan.update(direction=BACK, error=error, cancelled=cancelled)
        await self._show({"plan": dict(self.plan), "log": list(self._log), "error": error})

    async def postpone(self, until: Any, why: str) -> None:
        """Give the operation back to the queue until a later time."""
        await self.note(why)
        await self._write({"worker": None, "lease_until": None, "not_before": until})

    async def finish(self, status: str, *, error: str | None = None) -> None:
        """End the operation for good."""
        values: dict[str, Any] = {"status": status, "error": error}
        if status == "succeeded":
            values |= {"percent": 100, "step": "Done"}
        await self.db(lambda db: queue.finish(db, self.id, self._worker, values))
        self.context.news.tell(self.id)

    async def _show(self, values: dict[str, Any]) -> None:
        """Write what users see, and tell those who look."""
        await self._write(values)
        self.context.news.tell(self.id)

    async def _write(self, values: dict[str, Any]) -> None:
        await self.db(lambda db: queue.write(db, self.id, self._worker, values))


@dataclass(frozen=True, slots=True)
class Step:
    """One step: it looks first what is done already, since it may run again after a crash."""

    title: str
    percent: int
    do: Callable[[Work], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Procedure:
    """How one kind of operation is done, and undone.

    From step number ``final`` on there is no way back: what fails then leaves the operation
    failed, and ``give_up`` says so on the app. ``undo`` is idempotent, too.
    """

    steps: tuple[Step, ...]
    undo: Callable[[Work], Awaitable[None]]
    give_up: Callable[[Work], Awaitable[None]]
    final: int = field(default=1000)
