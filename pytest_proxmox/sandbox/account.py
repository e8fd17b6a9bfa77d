"""The account of a run: what it made on a Proxmox, and what became of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Self

from pytest_proxmox.sandbox.lease import State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.values import GuestKind

_NAMES = {"lxc": ("container", "containers"), "qemu": ("VM", "VMs")}


@dataclass(frozen=True, slots=True)
class Account:
    """How many guests of each kind a run made on a target, and how many are not known to be gone.

    Guests that an app made under a VMID that a test had leased count from when they were seen.
    """

    target: str
    made: tuple[tuple[GuestKind, int], ...]
    left: int

    @classmethod
    def of(cls, ledger: Ledger, run: str, target: str) -> Self:
        """Return the account of a run by the ledger."""
        leases = ledger.leases(target, run=run, states=tuple(State))
        seen = [lease for lease in leases if lease.kind is not None and not lease.is_untouched]
        kinds = Counter(lease.kind for lease in seen if lease.kind is not None)
        return cls(target, tuple(sorted(kinds.items())), sum(lease.is_held for lease in seen))

    def __str__(self) -> str:
        counts = [f"{count} {_NAMES[kind][count != 1]}" for kind, count in self.made]
        end = f"{self.left} not removed" if self.left else "all removed"
        return f"{' and '.join(counts) or 'nothing'} made on {self.target}, {end}"
