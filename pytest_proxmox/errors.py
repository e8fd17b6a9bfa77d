"""Every exception of the plugin: what failed, with which values, from where, what to do."""

from __future__ import annotations

from collections.abc import Sequence


class ProxmoxTestError(Exception):
    """Anything that went wrong on our side of the wire; subclasses keep the objects."""


class UserMistake(ProxmoxTestError):
    """Something the user gave is wrong: pytest ends with exit code 4, the CLI with 2.

    ``what`` says what failed with its values, ``origin`` where the value came from,
    ``hint`` what to do. The text is the three in one line.
    """

    def __init__(self, what: str, *, origin: str = "", hint: str = "") -> None:
        self.what = what
        self.origin = origin
        self.hint = hint
        where = f" ({origin})" if origin else ""
        super().__init__(f"{what}{where}.{' ' + hint if hint else ''}")


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

    def __init__(self, what: str, *, upid: str, log_tail: Sequence[str] = ()) -> None:
        self.upid = upid
        self.log_tail = tuple(log_tail)
        tail = "".join(f"\n    {line}" for line in self.log_tail)
        super().__init__(f"{what} (task {upid})" + (f"; its log ends with:{tail}" if tail else ""))


class TaskFailed(TaskError):
    """A task ended with something else than what its caller can accept."""


class TaskTimeout(TaskError):
    """A task was still running when the caller's patience ended."""
