"""Which guests this service made, and how it shows that: never by their number alone.

A claim is written before the POST that makes a guest. It carries a nonce that goes into the
guest's description in that same POST. The UPID that Proxmox answers with is kept too: while
a guest is being made, and after its worker was killed, its config holds a lock and nothing
else, so the task is then the only proof.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from src_app.proxmox.tasks import Upid

RUNNING = "RUNNING"
KILLED = "unexpected status"

_MARK = "app-manager: claim"
_MARKED_LINE = re.compile(rf"^{_MARK} (n[0-9a-f]{{16}})[ \t]*\n?", re.MULTILINE)

# Tasks after which a VMID holds another guest than before. A clone into the VMID is not among
# them: Proxmox files a clone's task under its source.
_CHANGES_HANDS = frozenset(
    {"vzcreate", "vzrestore", "vzdestroy", "qmcreate", "qmrestore", "qmdestroy"}
)


class Verdict(Enum):
    """What the evidence says about the guest that now has a VMID."""

    OURS = "made by this service"
    UNCLAIMED = "this service made no guest with this VMID"
    REPLACED = "the guest this service made is gone, and another has its VMID"
    UNPROVEN = "nothing shows that it is the guest this service made"


@dataclass(frozen=True, slots=True)
class Claim:
    """A guest that this service asked for; ``upid`` is ``None`` until Proxmox answered."""

    node: str
    vmid: int
    nonce: str
    upid: Upid | None = None

    @classmethod
    def new(cls, node: str, vmid: int) -> Claim:
        """Return a claim with a nonce that no other claim has: 64 random bits."""
        return cls(node, vmid, "n" + secrets.token_hex(8))

    def is_same_as(self, other: Claim | None) -> bool:
        """Tell whether ``other`` stands for the same POST, confirmed or not."""
        return other is not None and other.nonce == self.nonce


@dataclass(frozen=True, slots=True)
class TaskFact:
    """One task of a VMID as Proxmox lists it; ``status`` is ``RUNNING`` or how it ended."""

    upid: Upid
    status: str

    @classmethod
    def read(cls, listed: Mapping[str, Any]) -> TaskFact:
        """Return the fact in one entry of a node's task list."""
        return cls(Upid.parse(listed["upid"]), str(listed.get("status", RUNNING)))

    @property
    def took_effect(self) -> bool:
        """Whether the task did its work, or is doing it."""
        return self.status in ("OK", RUNNING) or self.status.startswith("WARNINGS")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What Proxmox says about a guest, and about the task that the claim names.

    ``making`` is ``RUNNING``, how that task ended, or ``""`` where Proxmox knows no such task.
    """

    description: str = ""
    lock: str | None = None
    making: str = ""
    tasks: tuple[TaskFact, ...] = ()

    @classmethod
    def read(
        cls, config: Mapping[str, Any], *, making: str, tasks: Sequence[Mapping[str, Any]]
    ) -> Evidence:
        """Return the evidence in a guest's config, its task's status and its VMID's task list."""
        return cls(
            str(config.get("description", "")),
            str(config["lock"]) if config.get("lock") else None,
            making,
            tuple(TaskFact.read(task) for task in tasks),
        )


def judge(claim: Claim | None, evidence: Evidence) -> Verdict:
    """Return whether the guest with the claim's VMID is the one the claim asked for.

    A contradiction wins over every proof: a restore of a backup carries our nonce, too.
    """
    if claim is None:
        return Verdict.UNCLAIMED
    if claim.upid is not None and _was_replaced(claim.upid, evidence.tasks):
        return Verdict.REPLACED
    if nonce_in(evidence.description) == claim.nonce:
        return Verdict.OURS
    # Golden 04: while the worker lives and after it was killed, there is a lock and no
    # description. A worker that ended in any other way took its lock along.
    if evidence.lock == "create" and evidence.making in (RUNNING, KILLED):
        return Verdict.OURS
    return Verdict.UNPROVEN


def _was_replaced(made_by: Upid, tasks: Sequence[TaskFact]) -> bool:
    """Tell whether the VMID changed hands after our task made a guest of it."""
    return any(
        task.upid.type in _CHANGES_HANDS and task.took_effect and task.upid.is_after(made_by)
        for task in tasks
    )


def nonce_in(description: str) -> str | None:
    """Return the nonce that a description carries, ``None`` where it carries none."""
    found = _MARKED_LINE.search(description)
    return found[1] if found else None


def unmarked(description: str) -> str:
    """Return a description as its user wrote it, without any claim's line."""
    return _MARKED_LINE.sub("", description).strip("\n")


def marked(description: str, nonce: str) -> str:
    """Return a user's description with the claim's line below it, and no other claim's."""
    text = unmarked(description)
    return f"{text}\n\n{_MARK} {nonce}" if text else f"{_MARK} {nonce}"


class Claims:
    """The guests that one service made and has not destroyed, in the order they were made.

    Also remembers why a VMID was refused, so that a later destroy can say so.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claims: dict[int, Claim] = {}
        self._refusals: dict[int, str] = {}

    def stake(self, claim: Claim) -> bool:
        """Write ``claim`` down before its POST; false where the VMID has a claim already."""
        with self._lock:
            return self._claims.setdefault(claim.vmid, claim) is claim

    def confirm(self, claim: Claim, upid: Upid) -> None:
        """Write down the task that Proxmox answered the claim's POST with."""
        with self._lock:
            self._claims[claim.vmid] = replace(claim, upid=upid)
            self._refusals.pop(claim.vmid, None)

    def refuse(self, claim: Claim, *, because: str) -> None:
        """Take a claim back: Proxmox refused the POST, so nothing came of it."""
        self.drop(claim)
        with self._lock:
            self._refusals[claim.vmid] = because

    def drop(self, claim: Claim | None) -> None:
        """Forget a claim whose guest is gone, unless its VMID was claimed anew meanwhile."""
        with self._lock:
            if claim is not None and claim.is_same_as(self._claims.get(claim.vmid)):
                del self._claims[claim.vmid]

    def get(self, vmid: int) -> Claim | None:
        """Return the claim on a VMID, ``None`` where there is none."""
        with self._lock:
            return self._claims.get(vmid)

    def refusal(self, vmid: int) -> str | None:
        """Return why the last create of this VMID was refused, if it was."""
        with self._lock:
            return self._refusals.get(vmid)

    def newest_first(self) -> list[Claim]:
        """Return every claim, the newest first: a clone goes before its source."""
        with self._lock:
            return list(reversed(self._claims.values()))
