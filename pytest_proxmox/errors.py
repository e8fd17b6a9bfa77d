"""Every exception of the plugin: what failed, with which values, from where, what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class ProxmoxTestError(Exception):
    """Anything that went wrong on our side of the wire; subclasses keep the objects.

    ``what`` says what failed with its values, ``origin`` where the value came from,
    ``hint`` what to do. The text is the three in one line, or the hint is the last line:
    behind ``detail``, which are further lines such as the end of a log.
    """

    _end = ""  # of a text without a hint

    def __init__(self, what: str, *, origin: str = "", hint: str = "", detail: str = "") -> None:
        self.what = what
        self.origin = origin
        self.hint = hint
        where = f" ({origin})" if origin else ""
        todo = f"{chr(10) if detail else '. '}{hint}" if hint else self._end
        super().__init__(f"{what}{where}{detail}{todo}")


class UserMistake(ProxmoxTestError):
    """Something the user gave is wrong: pytest ends with exit code 4, the CLI with 2."""

    _end = "."


class InvalidValue(UserMistake):
    """An option, a key or an argument has a value that cannot be used."""


class WorldError(UserMistake):
    """A world file has a mistake; ``field`` is its path in the file."""

    def __init__(self, field: str, problem: str, *, origin: str, hint: str = "") -> None:
        self.field = field
        super().__init__(f"world: {field}: {problem}", origin=origin, hint=hint)


class MissingExtra(UserMistake):
    """A fixture or command needs an extra that is not installed."""

    @classmethod
    def for_feature(cls, feature: str, *, extra: str) -> MissingExtra:
        """Return the error with the line that installs ``extra``."""
        return cls(
            f"{feature} needs the extra {extra!r}, which is not installed",
            hint=f"Run: pip install 'pytest-proxmox[{extra}]'",
        )


class TargetUnreachable(UserMistake):
    """No Proxmox answers where the settings say there is one."""


class LoginRefused(UserMistake):
    """The target answered, and refused the user, the password or the token."""


class TaskError(ProxmoxTestError):
    """A Proxmox task did not end well; ``log_tail`` has its last lines, oldest first."""

    def __init__(
        self, what: str, *, upid: str, log_tail: Sequence[str] = (), hint: str = ""
    ) -> None:
        self.upid = upid
        self.log_tail = tuple(log_tail)
        tail = "".join(f"\n    {line}" for line in self.log_tail)
        said = f"; its log ends with:{tail}" if tail else ""
        super().__init__(f"{what} (task {upid})", detail=said, hint=hint)


class TaskFailed(TaskError):
    """A task ended with something else than what its caller can accept."""


class TaskTimeout(TaskError):
    """A task was still running when the caller's patience ended."""


class ApiFailure(ProxmoxTestError):
    """A Proxmox API call failed; ``kind`` and ``code`` are from ``target.failures``.

    ``status`` is None where no answer came at all.
    """

    def __init__(
        self,
        text: str,
        *,
        call: str,
        kind: str,
        code: str,
        status: int | None = None,
        hint: str = "",
    ) -> None:
        self.text = text
        self.call = call
        self.kind = kind
        self.code = code
        self.status = status
        answer = "no answer" if status is None else str(status)
        super().__init__(f"{call}: {answer}: {text}", hint=hint)


class ForeignGuest(ProxmoxTestError):
    """A guest that we cannot prove to be ours: nothing was done to it."""

    def __init__(
        self,
        guest: str,
        reason: str,
        *,
        hint: str = "Give the tests a range of their own with --vmid-range; if the guest is yours "
        "after all, remove it by hand",
    ) -> None:
        self.guest = guest
        self.reason = reason
        super().__init__(
            f"{guest} is not ours, so it was left alone: {reason}",
            hint=hint,
        )


class RangeExhausted(UserMistake):
    """Every VMID of the range is held, foreign or waits for clean-up."""


class OverCap(UserMistake):
    """A guest would take the run over a cap, and waiting cannot help."""

    def __init__(self, over: str) -> None:
        super().__init__(
            f"a guest would take this run over its caps: {over}",
            origin="--proxmox-caps",
            hint="Raise the cap, or let the test free what it does not need any more",
        )


class LedgerUnusable(UserMistake):
    """The file that records what tests hold cannot be read or written."""


class LeaseError(ProxmoxTestError):
    """A lease cannot do this step in its state; ``lease`` is its id."""

    def __init__(self, what: str, *, lease: str, hint: str = "") -> None:
        self.lease = lease
        super().__init__(f"lease {lease}: {what}", hint=hint)


class LeftoversRemain(ProxmoxTestError):
    """Clean-up left something behind; each line says what, why, and how to free it."""

    def __init__(self, leftovers: Sequence[object]) -> None:
        self.leftovers = tuple(leftovers)
        super().__init__(
            f"{len(self.leftovers)} left on the Proxmox after clean-up:",
            detail="".join(f"\n  {leftover}" for leftover in self.leftovers),
            hint="Free them as the lines say, then run: pytest-proxmox sweep",
        )


class DatabaseRefused(UserMistake):
    """A database URL is not marked as a test database, or cannot be used as one."""


class IsolationError(ProxmoxTestError):
    """The database isolation of a test cannot be kept, or was broken."""


class SessionsEntangled(IsolationError):
    """A rollback would take the work of another session with it."""


class StaleTransaction(IsolationError):
    """A session goes on with a transaction of a test that has ended."""


class EscapedCommit(IsolationError):
    """Something commits outside the test's transaction; ``statement`` is what it wrote."""

    def __init__(self, what: str, *, statement: str = "", place: str = "", hint: str = "") -> None:
        self.statement = statement
        self.place = place
        super().__init__(what, hint=hint)


class StateChanged(ProxmoxTestError):
    """The database is not what it was, or is not consistent; ``findings`` says where."""

    def __init__(self, what: str, *, findings: Sequence[str], hint: str = "") -> None:
        self.findings = tuple(findings)
        super().__init__(what, detail="".join(f"\n    {line}" for line in self.findings), hint=hint)


class CleanupFailed(ProxmoxTestError):
    """Rows could not be removed in bounded time; ``table`` is the one that was held."""

    def __init__(self, what: str, *, table: str, hint: str = "") -> None:
        self.table = table
        super().__init__(what, hint=hint)


class LeaseLost(ProxmoxTestError):
    """Another run took our VMIDs over, because ours stood still for longer than its lease."""

    def __init__(self, block: str) -> None:
        self.block = block
        super().__init__(
            f"the lease on {block} is lost: this run stood still for longer than it lasts, so "
            "another one took the block over and removed its guests",
            hint="Run the tests again",
        )


class PoolRefused(UserMistake):
    """The target does not let us make the pools that keep runs apart."""


class MockDrift(ProxmoxTestError):
    """A mock says something that the class it stands for does not: a name, a parameter, a type."""


class UnstubbedCall(BaseException):
    """A strict mock was asked for something that the test did not stub.

    No ``Exception``, as pytest's own failures are not: code under test that catches every
    ``Exception`` would turn a test's mistake into an answer of its own.
    """

    def __init__(self, what: str, *, hint: str = "") -> None:
        self.what = what
        self.hint = hint
        super().__init__(f"{what}. {hint}" if hint else what)

    @classmethod
    def of(cls, method: str, arguments: Mapping[str, object]) -> UnstubbedCall:
        """Return the error for a call, with the line that would stub it."""
        shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        name = method.rpartition(".")[2]
        return cls(
            f"{method}({shown}) is not stubbed",
            hint=f"Say what it gives: mock.{name}.returns(...), "
            f"or mock.{name}.when({shown}).returns(...) for this call only",
        )

    @classmethod
    def of_attribute(cls, owner: str, name: str) -> UnstubbedCall:
        """Return the error for an attribute, with the line that would set it."""
        return cls(f"{owner}.{name} is not set", hint=f"Set it: strict_mock({owner}, {name}=...)")


class VirtualTimeExhausted(ProxmoxTestError):
    """Code under a virtual clock has waited longer than any test should."""

    @classmethod
    def after(cls, elapsed_s: float) -> VirtualTimeExhausted:
        """Return the error for this many virtual seconds."""
        return cls(
            f"{elapsed_s:.0f} virtual seconds have passed and the code under test still waits: it "
            "polls for something that never comes",
            hint="Make that come, or end the poller",
        )


class ReaperMissing(ProxmoxTestError):
    """The process that cleans up after a killed run did not start, so nothing was made."""

    def __init__(
        self,
        why: str,
        *,
        hint: str = "If it misses a module, install that for this Python: the reaper sees neither "
        "PYTHONPATH nor the user's own packages",
    ) -> None:
        super().__init__(
            f"no reaper for this run: {why}. Without it a killed run would leave its guests on "
            "the Proxmox until the next run sweeps them",
            hint=hint,
        )


class NotReady(ProxmoxTestError):
    """A guest did not do in time what was waited for; ``wrong`` says what it did instead."""

    def __init__(self, guest: str, wrong: str, *, waited_s: float) -> None:
        self.guest = guest
        self.wrong = wrong
        super().__init__(
            f"{guest} is not ready after {waited_s:.0f} s: {wrong}",
            hint="Wait longer with wait_until(timeout_s=...), or look into the guest with "
            "--proxmox-keep failed",
        )


class PageClosedError(ProxmoxTestError, RuntimeError):
    """A page was used that is closed, has crashed, or whose browser is gone.

    ``cause`` is ``closed``, ``crashed`` or ``disconnected``, ``how`` says who did it,
    ``closed_at`` when, ``url`` where the page was, ``last_actions`` what was done to it last.
    """

    def __init__(
        self,
        text: str,
        *,
        cause: str = "closed",
        how: str = "",
        closed_at: datetime | None = None,
        url: str = "",
        last_actions: Sequence[str] = (),
    ) -> None:
        self.cause = cause
        self.how = how
        self.closed_at = closed_at
        self.url = url
        self.last_actions = tuple(last_actions)
        super().__init__(text)


class AuthFailed(ProxmoxTestError):
    """A login stopped at ``layer``; ``evidence`` is what the app or the page said there."""

    def __init__(
        self,
        layer: str,
        what: str,
        *,
        evidence: str = "",
        timeline: str = "",
        hint: str = "Run with --auth-debug; where your app differs, override the fixture auth_flow",
    ) -> None:
        self.layer = layer
        self.evidence = evidence
        said = f"\n    {evidence}" if evidence else ""
        passed = f"\nThe login so far:\n{timeline}" if timeline else ""
        super().__init__(
            f'login failed at the layer "{layer}": {what}', detail=f"{said}{passed}", hint=hint
        )
        self.what = what  # as it was given: who raises it anew names the layer again


class AppNotHealthy(ProxmoxTestError):
    """The app under test did not start; ``log_tail`` has its last lines, oldest first."""

    def __init__(
        self, what: str, *, origin: str = "", log_tail: Sequence[str] = (), hint: str = ""
    ) -> None:
        self.log_tail = tuple(log_tail)
        tail = "".join(f"\n    {line}" for line in self.log_tail)
        said = f"; its log ends with:{tail}" if tail else "; its log is empty"
        super().__init__(what, origin=origin, detail=said, hint=hint)


class HistoryUnusable(ProxmoxTestError):
    """The history of runs cannot be opened, read or written; what is in it was not touched."""

    @classmethod
    def at(cls, place: str, why: str) -> HistoryUnusable:
        """Return the error for the history at ``place``."""
        return cls(
            f"the history of runs at {place} cannot be used: {why}",
            hint="Let whoever holds it end, mend that place, or name another history: "
            "--flaky-history for pytest, --history for pytest-proxmox",
        )

    @classmethod
    def newer(cls, version: int, known: int) -> HistoryUnusable:
        """Return the error for a history that a newer plugin made."""
        return cls(
            f"the history of runs has version {version}, this plugin knows {known}",
            hint="Update pytest-proxmox, or name another history: --flaky-history for pytest, "
            "--history for pytest-proxmox",
        )
