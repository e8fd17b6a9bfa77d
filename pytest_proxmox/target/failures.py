"""What a failed call means: the one table that sorts every answer of a Proxmox VE.

``transient``: try again. ``ambiguous``: it may have happened, read the state before deciding.
``wait``: something must change first, then try again. ``permanent``: trying again cannot help.
The texts are facts from the recordings (``pve-api/golden/ERRORS.md``) and from demand.md 1.1
to 1.7; nothing else in the package looks at PVE's wording.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pytest_proxmox.errors import ApiFailure


class Kind(StrEnum):
    """What the caller of a failed call can do."""

    TRANSIENT = "transient"
    AMBIGUOUS = "ambiguous"
    WAIT = "wait"
    PERMANENT = "permanent"


class Code(StrEnum):
    """What went wrong, for those who must tell one failure from another."""

    UNREACHABLE = "unreachable"
    NO_ANSWER = "no-answer"
    LINE_CUT = "line-cut"
    CERTIFICATE = "certificate"
    NODE_OFFLINE = "node-offline"
    HOP_BROKEN = "hop-broken"
    UNKNOWN_NODE = "unknown-node"
    WORKER_NOT_STARTED = "worker-not-started"
    NOT_AUTHENTICATED = "not-authenticated"
    FORBIDDEN = "forbidden"
    POOL_GONE = "pool-gone"
    BAD_PARAMETERS = "bad-parameters"
    NOT_IMPLEMENTED = "not-implemented"
    VMID_TAKEN = "vmid-taken"
    NO_FREE_VMID = "no-free-vmid"
    LOCK_TIMEOUT = "lock-timeout"
    GUEST_LOCKED = "guest-locked"
    LOCK_LOST = "lock-lost"
    CONFIG_CHANGED = "config-changed"
    NO_GUEST = "no-guest"
    PROTECTED = "protected"
    RUNNING = "running"
    NOT_RUNNING = "not-running"
    ALREADY_RUNNING = "already-running"
    HA_MANAGED = "ha-managed"
    NOT_HA_MANAGED = "not-ha-managed"
    REPLICATED = "replicated"
    CLONES_LEFT = "clones-left"
    VOLUME_BUSY = "volume-busy"
    VOLUME_EXISTS = "volume-exists"
    NO_VOLUME = "no-volume"
    PROTECTED_VOLUME = "protected-volume"
    POOL_EXISTS = "pool-exists"
    NO_POOL = "no-pool"
    POOL_NOT_EMPTY = "pool-not-empty"
    NO_SNAPSHOTS = "no-snapshots"
    STORAGE_DOWN = "storage-down"
    NO_QUORUM = "no-quorum"
    NO_TASK = "no-task"
    SHUTDOWN_TIMEOUT = "shutdown-timeout"
    START_TIMEOUT = "start-timeout"
    START_FAILED = "start-failed"
    GUEST_SILENT = "guest-silent"
    DISK_LEFT = "disk-left"
    CONFIG_STUCK = "config-stuck"
    JOB_FAILED = "job-failed"
    INTERRUPTED = "interrupted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call or task, sorted; ``status`` is None where no answer came."""

    kind: Kind
    code: Code
    text: str
    status: int | None = None

    def __str__(self) -> str:
        return self.text if self.status is None else f"{self.status} {self.text}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: which answers it knows, and what they mean for a read and for a write."""

    code: Code
    kind: Kind
    pattern: re.Pattern[str]
    status: int | None = None
    write: Kind | None = None


def _rule(
    code: Code, kind: Kind, pattern: str, *, status: int | None = None, write: Kind | None = None
) -> Rule:
    return Rule(code, kind, re.compile(pattern, re.IGNORECASE), status, write)


_T, _A, _W, _P = Kind.TRANSIENT, Kind.AMBIGUOUS, Kind.WAIT, Kind.PERMANENT

RULES: Final[tuple[Rule, ...]] = (
    # A TLS text behind a 596 is a wrong node name or stale cluster certificates, not the line.
    _rule(Code.UNKNOWN_NODE, _P, r"certificate verify failed", status=596),
    _rule(Code.NODE_OFFLINE, _W, r"", status=595),
    _rule(Code.HOP_BROKEN, _T, r"", status=596, write=_A),
    _rule(Code.HOP_BROKEN, _T, r"", status=597, write=_A),
    _rule(Code.HOP_BROKEN, _T, r"", status=598, write=_A),
    _rule(Code.HOP_BROKEN, _T, r"", status=599, write=_A),
    _rule(Code.NOT_AUTHENTICATED, _P, r"", status=401),
    _rule(Code.NOT_IMPLEMENTED, _P, r"", status=501),
    # A lease that another run took over: its pool is gone (golden 15 seq 32 and 33).
    _rule(Code.POOL_GONE, _P, r"\(pool '[^']*' does not exist\)", status=403),
    _rule(Code.FORBIDDEN, _P, r"", status=403),
    _rule(Code.NO_TASK, _A, r"no such task|unable to parse worker upid"),
    _rule(Code.VMID_TAKEN, _P, r"(VM|CT) \d+ already exists|config file already exists"),
    _rule(Code.VMID_TAKEN, _P, r"close \(rename\) atomic file .*File exists"),
    _rule(Code.NO_FREE_VMID, _P, r"unable to get any free VMID"),
    _rule(Code.NO_QUORUM, _W, r"no quorum|cluster filesystem not online"),
    _rule(Code.LOCK_TIMEOUT, _T, r"can't lock file .* got timeout"),
    _rule(Code.LOCK_TIMEOUT, _T, r"cfs-lock .*got lock request timeout|-locked command timed out"),
    _rule(Code.GUEST_LOCKED, _W, r"(VM|CT) is locked \("),
    _rule(Code.LOCK_LOST, _P, r"Lost '\w+' config lock"),
    _rule(Code.CONFIG_CHANGED, _T, r"detected modified configuration"),
    _rule(Code.NO_GUEST, _P, r"Configuration file '[^']*' does not exist"),
    _rule(Code.NO_GUEST, _P, r"unable to find configuration file for (VM|CT) \d+"),
    _rule(Code.PROTECTED, _P, r"protection mode enabled"),
    _rule(Code.RUNNING, _W, r"is running - destroy failed|container is running"),
    _rule(Code.NOT_RUNNING, _P, r"(VM|CT) \d+ not running"),
    _rule(Code.ALREADY_RUNNING, _P, r"(VM|CT) \d+ already running"),
    _rule(Code.HA_MANAGED, _P, r"used in HA resources"),
    _rule(Code.NOT_HA_MANAGED, _P, r"not HA managed|no such resource"),
    _rule(Code.REPLICATED, _P, r"There is a replication job"),
    # "linked cloned" is PVE's spelling for VMs, "linked clones" for storages.
    _rule(Code.CLONES_LEFT, _W, r"still in use by linked clone"),
    _rule(Code.VOLUME_BUSY, _T, r"dataset is busy"),
    _rule(Code.PROTECTED_VOLUME, _P, r"cannot remove protected volume"),
    _rule(Code.POOL_EXISTS, _P, r"pool '[^']*' already exists"),
    _rule(Code.VOLUME_EXISTS, _P, r"(dataset|disk image .*|volume .*) already exists"),
    _rule(Code.POOL_NOT_EMPTY, _W, r"pool '[^']*' is not empty"),
    _rule(Code.NO_POOL, _P, r"pool '[^']*' .*does not exist|pool '[^']*' does not exist"),
    _rule(Code.NO_SNAPSHOTS, _P, r"snapshot feature is not available"),
    _rule(Code.STORAGE_DOWN, _W, r"storage '[^']*' is (not online|disabled|not available)"),
    _rule(Code.STORAGE_DOWN, _P, r"storage '[^']*' does not exist"),
    _rule(Code.NO_VOLUME, _P, r"volume '[^']*' does not exist|can't find file"),
    _rule(Code.UNKNOWN_NODE, _P, r"hostname lookup '[^']*' failed|no such cluster node"),
    _rule(Code.UNKNOWN_NODE, _P, r"unable to get remote IP address for node"),
    _rule(Code.WORKER_NOT_STARTED, _T, r"got no worker upid|starting worker failed", write=_A),
    _rule(Code.SHUTDOWN_TIMEOUT, _W, r"powerdown failed - got timeout|container did not stop"),
    _rule(Code.START_TIMEOUT, _T, r"start failed: .*got timeout"),
    _rule(Code.START_FAILED, _P, r"start failed: QEMU exited|startup for container '\d+' failed"),
    _rule(Code.START_FAILED, _P, r"KVM virtualisation configured, but not available"),
    _rule(Code.GUEST_SILENT, _T, r"unable to connect to VM \d+ qmp socket", write=_A),
    _rule(Code.GUEST_SILENT, _W, r"QEMU guest agent is not running"),
    _rule(Code.DISK_LEFT, _P, r"Could not remove disk '[^']*', check manually"),
    _rule(Code.CONFIG_STUCK, _W, r"failed to remove config file"),
    _rule(Code.JOB_FAILED, _P, r"^job errors$|migration (aborted|problems)"),
    _rule(Code.INTERRUPTED, _A, r"interrupted by signal|received interrupt|unexpected status"),
    _rule(Code.BAD_PARAMETERS, _P, r"", status=400),
)


def judge(text: str, *, status: int | None = None, write: bool = False) -> Failure:
    """Return what an answer's or a task's text means; unknown texts are permanent.

    An unknown status from 502 to 599 is the way there failing, not PVE's own answer.
    """
    for rule in RULES:
        if rule.status in (None, status) and rule.pattern.search(text):
            kind = rule.write if write and rule.write is not None else rule.kind
            return Failure(kind, rule.code, text, status)
    if status is not None and 502 <= status < 600:
        return Failure(_A if write else _T, Code.HOP_BROKEN, text, status)
    return Failure(_P, Code.UNKNOWN, text, status)


def parse(error: BaseException, *, write: bool) -> Failure | None:
    """Return what an exception of proxmoxer or requests means, or None for any other.

    ``write`` says that the call was not a GET: a lost answer is then ambiguous.
    """
    import requests
    from proxmoxer.core import AuthenticationError, ResourceException

    if isinstance(error, ResourceException):
        return judge(_answer_text(error), status=error.status_code, write=write)
    if isinstance(error, AuthenticationError):
        return Failure(Kind.PERMANENT, Code.NOT_AUTHENTICATED, str(error), 401)
    if isinstance(error, requests.exceptions.RequestException):
        return _of_transport(error, write=write)
    return None


def api_failure(call: str, failure: Failure) -> ApiFailure:
    """Return the exception for a failed call, e.g. ``DELETE nodes/pve/lxc/9000``."""
    return ApiFailure(
        failure.text, call=call, kind=failure.kind, code=failure.code, status=failure.status
    )


def _answer_text(error: Any) -> str:
    """The reason phrase, with the text of each field behind it.

    proxmoxer keeps the reason in ``content``; ``errors`` is a dict by field where PVE sent one
    and holds the raw body under ``errors`` where there was no JSON.
    """
    text = str(error.content or "").strip()
    fields = error.errors
    if isinstance(fields, dict):
        parts = [f"{name}: {why.strip()}" for name, why in fields.items() if isinstance(why, str)]
        text = "; ".join(filter(None, [text, *parts]))
    return text


def _of_transport(error: Any, *, write: bool) -> Failure:
    from requests import exceptions

    lost = Kind.AMBIGUOUS if write else Kind.TRANSIENT
    text = str(error)
    if isinstance(error, exceptions.SSLError):
        return Failure(Kind.PERMANENT, Code.CERTIFICATE, text)
    if isinstance(error, exceptions.ConnectTimeout) or _never_connected(error):
        return Failure(Kind.TRANSIENT, Code.UNREACHABLE, text)  # nothing was sent
    if isinstance(error, exceptions.Timeout):
        return Failure(lost, Code.NO_ANSWER, text)
    if isinstance(error, exceptions.ConnectionError | exceptions.ChunkedEncodingError):
        return Failure(lost, Code.LINE_CUT, text)
    return Failure(Kind.PERMANENT, Code.UNKNOWN, text)


def _never_connected(error: Any) -> bool:
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, NewConnectionError)
