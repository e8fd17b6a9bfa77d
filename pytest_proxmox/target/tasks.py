"""Tasks of a Proxmox VE: wait for one, and say how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pytest_proxmox.clock import Clock
from pytest_proxmox.errors import ApiFailure, TaskFailed, TaskTimeout
from pytest_proxmox.target.calls import Api, Calls
from pytest_proxmox.target.failures import Code
from pytest_proxmox.values import Upid

LOG_LINES = 20
SLOWEST_POLL_S = 0.5
FIRST_POLL_S = 0.02  # then doubled: a task that ended at once costs one call and no wait
UNKNOWN_GRACE_S = 5.0  # asked right after its start, a task can still be "no such task"


class Ending(StrEnum):
    """How a task ended; ``UNKNOWN`` means its worker left no last word."""

    OK = "ok"
    WARNINGS = "warnings"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """The end of a task.

    ``log_tail`` holds at most the last 20 lines, oldest first, and is read only for a task
    that did not end ``OK``. What warnings mean is the caller's to say: on a destroy, a leak.
    """

    upid: Upid
    ending: Ending
    exitstatus: str | None
    log_tail: tuple[str, ...] = ()

    @property
    def is_ok(self) -> bool:
        """Whether the exit status is exactly ``OK``."""
        return self.ending is Ending.OK

    def demand(self, what: str, *, accept_warnings: bool = True) -> TaskOutcome:
        """Return the outcome itself if it is good enough.

        Raises:
            TaskFailed: it is not; ``what`` says what failed, e.g. ``create of lxc/9000``.
        """
        if self.is_ok or (accept_warnings and self.ending is Ending.WARNINGS):
            return self
        raise TaskFailed(
            f"{what} failed: {self.exitstatus or 'no such task any more'}",
            upid=str(self.upid),
            log_tail=self.log_tail,
            hint="Mend what its log names, e.g. space, a template, a bridge, a lock; on its node, "
            f"all of it is shown by: pvenode task log {self.upid}",
        )


def wait(api: Api, upid: Upid | str, *, timeout_s: float, clock: Clock) -> TaskOutcome:
    """Return the outcome of a task once it has ended.

    Asks at once, then in growing steps of at most 0.5 s.

    Raises:
        TaskTimeout: still running after ``timeout_s`` seconds; carries the UPID.
        ApiFailure: its status cannot be read.
    Source: GET /nodes/{node}/tasks/{upid}/status; golden 03 seq 3 to 9.
    """
    task = upid if isinstance(upid, Upid) else Upid.parse(upid)
    watch = _Watch(Calls(api, clock), task)
    start = clock.monotonic()
    pause_s = FIRST_POLL_S
    while True:
        waited_s = clock.monotonic() - start
        outcome = watch.look(waited_s)
        if outcome is not None:
            return outcome
        if waited_s >= timeout_s:
            raise TaskTimeout(
                f"still running after {waited_s:.0f} s",
                upid=str(task),
                hint=f"See on its node what it waits for, with: pvenode task log {task}; a manual "
                "clock is moved with proxmox_simulator.clock.advance(...)",
            )
        clock.sleep(min(pause_s, max(timeout_s - waited_s, FIRST_POLL_S)))
        pause_s = min(pause_s * 2, SLOWEST_POLL_S)


def stop(api: Api, upid: Upid, *, clock: Clock) -> None:
    """Ask a running task to stop; one that has ended already is fine.

    A create that is stopped politely cleans up behind itself (golden 04 seq 33 to 37).

    Raises:
        ApiFailure: the target refused.
    """
    Calls(api, clock).delete(f"nodes/{upid.node}/tasks/{upid}")


class _Watch:
    """Looks at one task; forgives what passes: a task not yet listed, an expired login."""

    def __init__(self, calls: Calls, upid: Upid) -> None:
        self._calls = calls
        self._upid = upid
        self._logged_in_again = False

    def look(self, waited_s: float) -> TaskOutcome | None:
        """Return the outcome, or None while there is none."""
        try:
            status = self._calls.get(_path(self._upid, "status"))
        except ApiFailure as exc:
            return self._forgive(exc, waited_s)
        if status.get("status") != "stopped":
            return None
        return _outcome(self._calls, self._upid, status.get("exitstatus"))

    def _forgive(self, failure: ApiFailure, waited_s: float) -> TaskOutcome | None:
        if failure.code == Code.NOT_AUTHENTICATED and not self._logged_in_again:
            self._logged_in_again = True  # the session logs in afresh on the next call
            return None
        if failure.code != Code.NO_TASK:
            raise failure
        if waited_s < UNKNOWN_GRACE_S:
            return None
        return TaskOutcome(self._upid, Ending.UNKNOWN, None)


def _path(upid: Upid, what: str) -> str:
    return f"nodes/{upid.node}/tasks/{upid}/{what}"


def _outcome(calls: Calls, upid: Upid, exitstatus: str | None) -> TaskOutcome:
    ending = _ending(exitstatus)
    log_tail = () if ending is Ending.OK else _log_tail(calls, upid)
    return TaskOutcome(upid, ending, exitstatus, log_tail)


def _ending(exitstatus: str | None) -> Ending:
    if exitstatus == "OK":
        return Ending.OK
    if exitstatus is None or exitstatus == "unexpected status":
        return Ending.UNKNOWN
    return Ending.WARNINGS if exitstatus.startswith("WARNINGS:") else Ending.FAILED


def _log_tail(calls: Calls, upid: Upid) -> tuple[str, ...]:
    """The log's end, or a line that says why there is none: the outcome matters more."""
    try:
        lines = calls.get(_path(upid, "log"), limit=0)  # 0: all; the default is the first 50
    except ApiFailure as exc:
        return (f"(its log cannot be read: {exc.text})",)
    return tuple(str(line.get("t", "")) for line in lines[-LOG_LINES:])
