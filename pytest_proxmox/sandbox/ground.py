"""The ground: which VMIDs of the range a run may hand out.

On an embedded Proxmox, which one process has for itself, the whole range. On a Proxmox that
others use, blocks of ten that the run holds by pools in the cluster, where everybody can see
them (``blocks``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from pytest_proxmox.errors import LeaseLost, RangeExhausted
from pytest_proxmox.sandbox.lease import Leftover
from pytest_proxmox.values import Vmid, VmidRange


class Ground(Protocol):
    """What the sandbox asks before it hands out VMIDs."""

    def spans(self) -> list[VmidRange]:
        """Return the VMIDs that may be handed out now."""

    def extend(self, seen: list[VmidRange]) -> None:
        """Get more of them than ``seen``.

        Raises:
            RangeExhausted: there are no more in the range.
        """

    def cover(self, vmid: Vmid) -> None:
        """Make sure that this VMID may be handed out.

        Raises:
            RangeExhausted: it may not.
        """

    def pool_of(self, vmid: Vmid) -> str | None:
        """Return the pool that a guest with this VMID goes into."""

    def renew(self) -> None:
        """Keep what is held from expiring.

        Raises:
            LeaseLost: it did expire, and somebody else has it.
        """

    def prolong(self, vmid: Vmid, until: float) -> None:
        """Keep a VMID at least until then, also after the run has ended."""

    def lost(self, vmid: Vmid) -> LeaseLost:
        """Return the error for a VMID whose pool is gone, and hand out no more beside it."""

    def is_lost(self, vmid: Vmid) -> bool:
        """Whether another run is responsible for what is under this VMID."""

    def give_back(self) -> list[Leftover]:
        """Return what could not be given back of everything that is held."""


class WholeRange:
    """The range itself: nobody else is on this Proxmox."""

    def __init__(self, span: VmidRange) -> None:
        self._span = span

    def spans(self) -> list[VmidRange]:
        """Return the whole range."""
        return [self._span]

    def extend(self, seen: list[VmidRange]) -> None:
        """Raise: there is no more than the whole range.

        Raises:
            RangeExhausted: always.
        """
        raise exhausted(seen)

    def cover(self, vmid: Vmid) -> None:
        """Take the VMID as it is: a test may name one outside the range."""

    def pool_of(self, vmid: Vmid) -> str | None:
        """Return None: no pool is needed to tell ours from others'."""
        return None

    def renew(self) -> None:
        """Do nothing: what one process has for itself does not expire."""

    def prolong(self, vmid: Vmid, until: float) -> None:
        """Do nothing: what one process has for itself ends with it."""

    def lost(self, vmid: Vmid) -> LeaseLost:
        """Return the error for a pool that a test named itself, and that is not there."""
        return LeaseLost(f"VMID {int(vmid)}")

    def is_lost(self, vmid: Vmid) -> bool:
        """Return False: nobody takes over what one process has for itself."""
        return False

    def give_back(self) -> list[Leftover]:
        """Return nothing: nothing was taken."""
        return []


def exhausted(spans: Iterable[VmidRange], why: str = "") -> RangeExhausted:
    """Return the error that says which VMIDs are all in use."""
    return RangeExhausted(
        f"no free VMIDs in {', '.join(map(str, spans)) or 'an empty range'}{why}",
        hint="Widen --vmid-range, or see what holds them with: pytest-proxmox leases",
    )


def merged(spans: Iterable[VmidRange]) -> list[VmidRange]:
    """Return the spans with neighbours joined, lowest first."""
    joined: list[VmidRange] = []
    for span in sorted(spans):
        if joined and joined[-1].last + 1 >= span.first:
            joined[-1] = VmidRange(joined[-1].first, max(joined[-1].last, span.last))
        else:
            joined.append(span)
    return joined
