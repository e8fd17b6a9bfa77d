"""Ownership: the three proofs that a guest is ours, as functions of what was read.

A VMID inside the range proves nothing: 9000 is a common id for templates. A guest is ours if

1. it is a member of the lease's own pool, or
2. its description carries the lease's mark, which went out in the same POST, or
3. the task that made it was started by our user or token after the run had looked round. It is
   the only proof for a half-made guest, whose config holds nothing but ``lock: create``.

and nothing contradicts it. Everything else is somebody else's and is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from pytest_proxmox.errors import ForeignGuest
from pytest_proxmox.sandbox.baseline import Baseline
from pytest_proxmox.sandbox.lease import Lease
from pytest_proxmox.values import GuestRef, LeaseId, Upid

MAKING: Final = frozenset({"vzcreate", "vzrestore", "qmcreate", "qmrestore"})
CLONING: Final = frozenset({"vzclone", "qmclone"})

_MARK = re.compile(r"\bpytest-proxmox lease (n[0-9a-f]{12}) run (\S+)")
_LEASE_POOL = re.compile(r"[^/]+/b\d+-\d+/n[0-9a-f]{12}")


class Proof(StrEnum):
    """Why a guest is ours."""

    POOL = "pool"
    DESCRIPTION = "description"
    TASK = "task"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the target shows of a guest; ``makers`` are the tasks that can have made it.

    ``config_read`` is False where the target refused to show the configuration.
    """

    ref: GuestRef
    pool: str | None = None
    description: str = ""
    lock: str | None = None
    makers: tuple[Upid, ...] = ()

    @property
    def is_half_made(self) -> bool:
        """Whether its create has not ended, or was killed."""
        return self.lock == "create"


@dataclass(frozen=True, slots=True)
class Mark:
    """What a guest's description says to show whose it is."""

    lease: LeaseId
    run: str

    def __str__(self) -> str:
        return f"pytest-proxmox lease {self.lease} run {self.run}"

    @classmethod
    def of(cls, lease: Lease) -> Self:
        """Return the mark of a lease's guest."""
        return cls(lease.id, lease.run)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are: ``user`` as tasks name us, our run, and what it found when it began."""

    user: str
    run: str
    baseline: Baseline


def marks_in(description: str) -> list[Mark]:
    """Return the marks that a description bears."""
    return [Mark(LeaseId(lease), run) for lease, run in _MARK.findall(description)]


def prove(lease: Lease, seen: Sighting, us: Identity) -> Proof:
    """Return why the guest under the lease's VMID is ours.

    Raises:
        ForeignGuest: it is not, or that cannot be shown; carries the reason.
    """
    _refuse_contradictions(lease, seen, us)
    if lease.pool is not None and seen.pool == lease.pool:
        return Proof.POOL
    if Mark.of(lease) in marks_in(seen.description):
        return Proof.DESCRIPTION
    if _made_by_us(lease, seen, us):
        return Proof.TASK
    raise ForeignGuest(str(seen.ref), _why_not(lease, seen, us))


def own_makers(makers: Collection[Upid], us: Identity) -> list[Upid]:
    """Return the tasks among ``makers`` that we started in this run, oldest first."""
    ours = [task for task in makers if task.user == us.user and us.baseline.is_before(task)]
    return sorted(ours, key=lambda task: (task.starttime, task.pstart))


def _refuse_contradictions(lease: Lease, seen: Sighting, us: Identity) -> None:
    # A clone inherits its source's description, so a mark of our own run is no contradiction.
    marks = marks_in(seen.description)
    strangers = [mark for mark in marks if mark.run != us.run]
    if strangers and Mark.of(lease) not in marks:
        raise ForeignGuest(
            str(seen.ref), f"its description names lease {strangers[0].lease} of another run"
        )
    if seen.pool is not None and seen.pool != lease.pool and _LEASE_POOL.fullmatch(seen.pool):
        raise ForeignGuest(str(seen.ref), f"it is in another lease's pool, {seen.pool}")


def _made_by_us(lease: Lease, seen: Sighting, us: Identity) -> bool:
    if not seen.makers:
        return False
    newest = max(seen.makers, key=lambda task: (task.starttime, task.pstart))
    if newest == lease.upid:
        return True
    if not own_makers([newest], us):
        return False
    # Without an answer to our POST we do not know that it was us who got this VMID. What our
    # POST makes carries our mark as soon as it is whole, so a whole guest without it is
    # somebody else's with the same token.
    return lease.maker == "test" or lease.upid is not None or seen.is_half_made


def _why_not(lease: Lease, seen: Sighting, us: Identity) -> str:
    if not seen.makers:
        return "no pool or description of ours, and no task of ours made it"
    newest = max(seen.makers, key=lambda task: (task.starttime, task.pstart))
    if newest.user != us.user:
        return f"it was made by {newest.user} ({newest.type}), and we are {us.user}"
    if not us.baseline.is_before(newest):
        return f"it was made before this run, by {newest.user}"
    return f"it was made by {newest.user} too, but does not carry the mark of lease {lease.id}"
