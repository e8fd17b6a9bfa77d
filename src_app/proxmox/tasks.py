"""Proxmox's tasks: a request that takes long answers with a UPID, and we wait for that."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from src_app.clock import Clock
from src_app.proxmox.errors import (
    ProxmoxError,
    RequestFailed,
    TaskFailed,
    TaskTimeout,
    TaskWarned,
    Unreachable,
)

DEFAULT_TIMEOUT_S = 600.0  # a full clone of a large disk on slow storage takes minutes
DEFAULT_SILENCE_S = 600.0  # a node may restart meanwhile; work in the background can wait for it
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0
LOG_TAIL_LINES = 20

_UPID = re.compile(
    r"UPID:(?P<node>[^:\s]+):[0-9A-F]{8}:(?P<pstart>[0-9A-F]{8,9}):(?P<start>[0-9A-F]{8})"
    r":(?P<type>[^:\s]+):(?P<id>[^:\s]*):(?P<user>[^:\s]+):"
)


class Reader(Protocol):
    """What waiting needs of a connection: reads."""

    def get(self, path: str, **params: Any) -> Any:
        """Return what ``GET path`` holds."""


@dataclass(frozen=True, slots=True)
class Upid:
    """A task's id: where it runs, since when, what it does to which guest, for whom."""

    text: str
    node: str
    starttime: int
    pstart: int
    type: str
    id: str
    user: str

    @classmethod
    def parse(cls, text: object) -> Upid:
        """Return the id written in ``text``.

        Raises:
            ProxmoxError: not a UPID.
        """
        match = _UPID.fullmatch(str(text))
        if match is None:
            raise ProxmoxError(
                f"{text!r} is not a task id",
                origin="Proxmox's answer, or the argument task_id",
                hint="It starts with UPID:<node>:.",
            )
        started, pstart = int(match["start"], 16), int(match["pstart"], 16)
        return cls(
            str(text), match["node"], started, pstart, match["type"], match["id"], match["user"]
        )

    def __str__(self) -> str:
        return self.text

    def is_after(self, other: Upid) -> bool:
        """Tell whether this task started later; ``pstart`` counts hundredths of a second."""
        return (self.starttime, self.pstart) > (other.starttime, other.pstart)

    @property
    def path(self) -> str:
        """The task's path below ``/api2/json``."""
        return f"/nodes/{self.node}/tasks/{self.text}"


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """How a task ended; ``log_tail`` holds its last lines, oldest first."""

    upid: str
    exitstatus: str
    log_tail: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether the task ended clean."""
        return self.exitstatus == "OK"

    @property
    def warned(self) -> bool:
        """Whether the task did its work and complained."""
        return self.exitstatus.startswith("WARNINGS")


class TaskWatch:
    """Waits for tasks, on the event loop or on a plain thread.

    ``silence_s`` is how long Proxmox may give no answer at all before a wait ends.
    """

    def __init__(
        self, reader: Reader, clock: Clock, *, silence_s: float = DEFAULT_SILENCE_S
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._silence_s = silence_s

    async def ended(self, upid: Upid, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> TaskOutcome:
        """Return how the task ended, leaving the event loop free meanwhile.

        Raises:
            TaskTimeout: still running after ``timeout_s`` seconds; it is not stopped.
            Unreachable: nothing answered for longer than ``silence_s``; the task may go on.
        """
        heard = _Heard(self._clock.monotonic())
        for pause_s in self._pauses(upid, timeout_s):
            outcome = await asyncio.to_thread(self._asked, upid, heard)
            if outcome is not None:
                return outcome
            await self._clock.pause(pause_s)
        raise AssertionError("unreachable: _pauses raises at its end")

    def ended_blocking(self, upid: Upid, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> TaskOutcome:
        """Return how the task ended, blocking this thread meanwhile; raises as ``ended``."""
        heard = _Heard(self._clock.monotonic())
        for pause_s in self._pauses(upid, timeout_s):
            outcome = self._asked(upid, heard)
            if outcome is not None:
                return outcome
            self._clock.sleep(pause_s)
        raise AssertionError("unreachable: _pauses raises at its end")

    def look(self, upid: Upid) -> TaskOutcome | None:
        """Return how the task ended, ``None`` while it runs or its node does not answer."""
        try:
            return self._told(upid)
        except ProxmoxError as exc:
            if not _is_silence(exc):
                raise
        return None

    def _asked(self, upid: Upid, heard: _Heard) -> TaskOutcome | None:
        """Return what ``look`` does, as long as the silence is not too long.

        A node that is gone for a moment says nothing about the task, so only the caller's
        patience ends the wait.
        """
        try:
            outcome = self._told(upid)
        except ProxmoxError as exc:
            if not _is_silence(exc) or self._clock.monotonic() - heard.at > self._silence_s:
                raise
            return None
        heard.at = self._clock.monotonic()
        return outcome

    def _told(self, upid: Upid) -> TaskOutcome | None:
        status = self._reader.get(f"{upid.path}/status")
        if status.get("status") != "stopped":
            return None
        exitstatus = str(status.get("exitstatus", "unexpected status"))
        tail = () if exitstatus == "OK" else self._log_tail(upid)
        return TaskOutcome(str(upid), exitstatus, tail)

    def _log_tail(self, upid: Upid) -> tuple[str, ...]:
        """Return the log's last lines; none where the log cannot be read any more."""
        try:
            lines = self._reader.get(f"{upid.path}/log", limit=5000)
        except ProxmoxError as exc:
            return (f"(log not readable: {exc.what})",)
        return tuple(str(line.get("t", "")) for line in lines)[-LOG_TAIL_LINES:]

    def _pauses(self, upid: Upid, timeout_s: float) -> Iterator[float]:
        """Yield growing pauses until the time is up, then raise."""
        end = self._clock.monotonic() + timeout_s
        pause_s = FIRST_PAUSE_S
        yield pause_s
        while self._clock.monotonic() < end:
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            yield pause_s
        raise TaskTimeout(
            f"task {upid.type} of guest {upid.id} still runs after {timeout_s:g} s",
            upid=str(upid),
            hint="It was not stopped; wait_for_task() goes on waiting.",
        )


@dataclass(slots=True)
class _Heard:
    """When Proxmox answered last, on the waiting's own clock."""

    at: float


def _is_silence(exc: ProxmoxError) -> bool:
    """Whether nobody answered, or only a node that could not reach the task's."""
    return isinstance(exc, Unreachable) or (isinstance(exc, RequestFailed) and exc.status >= 595)


def demand_success(outcome: TaskOutcome, *, doing: str, allow_warnings: bool = False) -> None:
    """Return if the task ended as its caller can accept.

    Raises:
        TaskWarned: it ended with warnings and those are not allowed.
        TaskFailed: it ended with an error.
    """
    if outcome.ok or (outcome.warned and allow_warnings):
        return
    kind: type[TaskFailed] = TaskWarned if outcome.warned else TaskFailed
    raise kind(
        f"{doing} failed",
        exitstatus=outcome.exitstatus,
        upid=outcome.upid,
        log_tail=outcome.log_tail,
    )
