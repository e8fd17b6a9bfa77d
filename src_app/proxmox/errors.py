"""What can go wrong between the app and Proxmox: one type a cause, four parts a message.

A message says what failed, with which values, where they came from and what to do.
No secret ever enters one: errors are made from names, ids and Proxmox's own words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class ProxmoxError(Exception):
    """Anything the service could not do; ``what``, ``origin`` and ``hint`` are its parts."""

    def __init__(self, what: str, *, origin: str = "", hint: str = "") -> None:
        self.what = what
        self.origin = origin
        self.hint = hint
        where = f" ({origin})" if origin else ""
        super().__init__(f"{what}{where}.{' ' + hint if hint else ''}")


class SettingError(ProxmoxError):
    """An argument or environment variable is missing or cannot be used."""


class NotConnected(ProxmoxError):
    """A method was called before ``connect()``."""

    @classmethod
    def before(cls, method: str) -> NotConnected:
        """Return the error for a call of ``method`` that came too early."""
        return cls(f"{method} needs a connection", hint="Call connect() first.")


class Unreachable(ProxmoxError):
    """Nothing that speaks Proxmox's language answers at the address."""


class CertificateRefused(Unreachable):
    """The server's certificate is not one we may trust."""


class LoginRefused(ProxmoxError):
    """The server answered, and refused the user, the password or the token."""


class RequestFailed(ProxmoxError):
    """Proxmox refused a request; ``status``, ``reason`` and ``fields`` are its answer."""

    def __init__(
        self,
        what: str,
        *,
        status: int,
        reason: str,
        fields: Mapping[str, str] | None = None,
        hint: str = "",
    ) -> None:
        self.status = status
        self.reason = reason
        self.fields = dict(fields or {})
        super().__init__(what, origin=f"HTTP {status}", hint=hint)


class PermissionDenied(RequestFailed):
    """The login has not the rights for a request (403)."""


class InvalidRequest(RequestFailed):
    """A parameter is wrong (400); ``fields`` has Proxmox's words for each."""


class OutcomeUnknown(ProxmoxError):
    """A request may or may not have taken effect: its answer never arrived."""


class GuestNotFound(ProxmoxError):
    """There is no container with this VMID."""

    @classmethod
    def at(cls, node: str, vmid: int) -> GuestNotFound:
        """Return the error for a VMID that no guest has."""
        return cls(
            f"container {vmid} does not exist",
            origin=f"asked for on node {node}",
            hint="get_lxc_containers() lists those that do.",
        )


class VmidTaken(ProxmoxError):
    """Another guest has the VMID; it was not touched."""

    def __init__(self, vmid: int, *, reason: str) -> None:
        self.vmid = vmid
        super().__init__(
            f"VMID {vmid} is taken",
            origin=f"Proxmox: {reason}",
            hint="That guest was left as it is. Use another id, e.g. from get_next_vmid().",
        )


class TemplateNotFound(ProxmoxError):
    """A container was asked for from a template that is not on the node."""

    def __init__(self, template: str, *, node: str, present: Sequence[str]) -> None:
        self.template = template
        self.present = tuple(present)
        there = ", ".join(present) if present else "none"
        super().__init__(
            f'template "{template}" is not on node {node}',
            origin="argument template",
            hint=f"Download it, or use one of those that are there: {there}.",
        )


class UnknownNode(ProxmoxError):
    """The cluster has no node of that name."""

    def __init__(self, node: str, *, present: Sequence[str]) -> None:
        self.node = node
        super().__init__(
            f'there is no node "{node}"',
            origin="argument node",
            hint=f"Use the short name that Proxmox lists, one of: {', '.join(present)}.",
        )


class StorageNotFound(ProxmoxError):
    """No storage of the node can take what should be stored."""


class NoNodeOnline(ProxmoxError):
    """No node of the cluster is online."""


class ForeignGuest(ProxmoxError):
    """A guest was not touched, because this service cannot show that it made it.

    ``may_be_ours`` is set where the service did make a guest with this VMID and nothing
    shows that it is gone.
    """

    def __init__(self, vmid: int, *, because: str, may_be_ours: bool = False) -> None:
        self.vmid = vmid
        self.because = because
        self.may_be_ours = may_be_ours
        super().__init__(
            f"guest {vmid} is foreign, not touched: {because}",
            origin="destroy",
            hint="Remove it by hand if it may go.",
        )


class ProtectedGuest(ProxmoxError):
    """A guest of ours has ``protection`` set, and nobody said to override it."""

    def __init__(self, vmid: int) -> None:
        self.vmid = vmid
        super().__init__(
            f"container {vmid} is protected and was not destroyed",
            origin="its config says protection: 1; clones inherit it",
            hint="Pass force=True to clear the protection and destroy it.",
        )


class TaskError(ProxmoxError):
    """A Proxmox task; ``upid`` names it, ``log_tail`` has its last lines, oldest first."""

    def __init__(
        self, what: str, *, upid: str, log_tail: Sequence[str] = (), hint: str = ""
    ) -> None:
        self.upid = upid
        self.log_tail = tuple(log_tail)
        super().__init__(what, origin=f"task {upid}", hint=hint)

    def __str__(self) -> str:
        """Return the message, with the log's tail below it."""
        lines = "".join(f"\n    {line}" for line in self.log_tail)
        return super().__str__() + (f"\n  The task's log ends with:{lines}" if lines else "")


class TaskFailed(TaskError):
    """A task ended with an error; ``exitstatus`` is Proxmox's word for it."""

    def __init__(self, what: str, *, exitstatus: str, upid: str, log_tail: Sequence[str]) -> None:
        self.exitstatus = exitstatus
        super().__init__(f"{what}: {exitstatus}", upid=upid, log_tail=log_tail)


class TaskWarned(TaskFailed):
    """A task ended with warnings where only a clean end will do."""


class TaskTimeout(TaskError):
    """A task was still running when the caller's patience ended; it goes on running."""


class StillThere(ProxmoxError):
    """A destroy ended well, and yet Proxmox says the VMID is taken."""


class CleanupIncomplete(ExceptionGroup[Exception]):
    """Guests of ours that could not be removed, one error each."""
