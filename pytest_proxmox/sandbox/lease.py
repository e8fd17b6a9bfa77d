"""A lease: one VMID that one run may use, from the claim until nothing is left of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from pytest_proxmox.values import GuestKind, LeaseId, NodeName, Upid, Vmid, Volid

Maker = Literal["sandbox", "test"]
"""Who makes the guest: the sandbox, whose POST carries the lease's mark, or the test itself."""


class State(StrEnum):
    """What the ledger knows about a VMID; written before the step it names."""

    RESERVED = "reserved"
    CREATING = "creating"
    LIVE = "live"
    DESTROYING = "destroying"
    RELEASED = "released"
    DIRTY = "dirty"


_UNDONE: Final = frozenset({State.RESERVED, State.CREATING, State.LIVE})
BEFORE: Final[dict[State, frozenset[State]]] = {
    State.RESERVED: frozenset(),
    State.CREATING: frozenset({State.RESERVED}),
    State.LIVE: frozenset({State.RESERVED, State.CREATING}),
    # Again from destroying: whoever sweeps after a crash takes over where the dead one was.
    State.DESTROYING: _UNDONE | {State.DESTROYING, State.DIRTY},
    # From creating only where PVE refused the create because the VMID is somebody else's.
    State.RELEASED: frozenset({State.RESERVED, State.CREATING, State.DESTROYING}),
    State.DIRTY: frozenset({State.DESTROYING}),
}
"""For each state, the states it may follow."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that clean-up could not remove: what, why, and the command that frees it."""

    what: str
    reason: str
    command: str = ""

    def __str__(self) -> str:
        remedy = f" To free it, run on its node: {self.command}" if self.command else ""
        return f"{self.what}: {self.reason}.{remedy}"


@dataclass(frozen=True, slots=True)
class Lease:
    """One row of the ledger.

    ``kind`` and ``node`` are None until they are known. ``upid`` is the task that makes the
    guest, ``source`` the guest it is cloned from, ``pool`` the lease pool that it goes into,
    ``backups`` those that the sandbox made of it. Until ``kept_until``, in seconds since the
    epoch, no net takes it away: a person wants to look at it.
    """

    id: LeaseId
    target: str
    vmid: Vmid
    run: str
    worker: str
    state: State
    maker: Maker = "sandbox"
    kind: GuestKind | None = None
    node: NodeName | None = None
    pool: str | None = None
    source: Vmid | None = None
    upid: Upid | None = None
    backups: tuple[Volid, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    kept_until: float | None = None

    @property
    def is_held(self) -> bool:
        """Whether the VMID is kept from everybody else."""
        return self.state is not State.RELEASED

    def is_kept(self, now: float) -> bool:
        """Whether clean-up must leave it alone for a while."""
        return self.kept_until is not None and now < self.kept_until and self.is_held

    @property
    def is_untouched(self) -> bool:
        """Whether no request of ours can have made anything under this VMID."""
        return self.state is State.RESERVED and self.maker == "sandbox"

    @property
    def may_await_its_guest(self) -> bool:
        """Whether a request that makes its guest may be on its way, unknown to us."""
        if self.maker == "test":
            return self.state in (State.RESERVED, State.LIVE)
        return self.state is State.CREATING and self.upid is None

    def __str__(self) -> str:
        place = f" on {self.node}" if self.node is not None else ""
        return f"{self.kind or 'guest'}/{int(self.vmid)}{place}"
