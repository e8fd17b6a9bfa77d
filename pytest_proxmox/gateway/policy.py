"""Policy: whether a call may be forwarded, given what it reaches and what the run has leased."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from pytest_proxmox.gateway.reach import Call, Reach
from pytest_proxmox.values import VmidRange


@dataclass(frozen=True, slots=True)
class Policy:
    """Writes go to leased guests only.

    ``span`` is where guests may be made. ``sources`` are foreign guests, templates mostly, that
    may be cloned. ``guests_only`` lets writes pass that touch no guest at all, for a Proxmox that
    is there for tests alone.
    """

    span: VmidRange
    sources: Collection[int] = ()
    guests_only: bool = False

    def objection(self, call: Call, reach: Reach, is_leased: Callable[[int], bool]) -> str:
        """Return why a call must not be forwarded, empty where it may."""
        if reach.beyond and not self.guests_only:
            return f"it reaches for {reach.beyond}, and tests may write to their own guests only"
        if reach.beyond.startswith(("the node", "a file")):
            return f"it reaches for {reach.beyond}"
        for vmid in sorted(reach.guests):
            if not is_leased(vmid):
                return f"guest {vmid} is not leased by this run"
        if reach.source is not None and not (
            is_leased(reach.source) or reach.source in self.sources
        ):
            return (
                f"guest {reach.source} is not leased by this run, and not named as one that may "
                "be cloned (--clone-from)"
            )
        making = reach.making
        if making is not None and making.vmid not in self.span and not is_leased(making.vmid):
            return f"VMID {int(making.vmid)} is outside the range {self.span} for tests' guests"
        return ""
