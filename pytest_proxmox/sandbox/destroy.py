"""The destroyer: the one way in which anything of ours leaves a Proxmox.

Every pass reads the state and does what is still to do, so it may be repeated after a crash at
any point; passes and waits are bounded. A guest that is not proven ours is not touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pytest_proxmox.errors import ForeignGuest, LeaseError
from pytest_proxmox.sandbox.inventory import Inventory
from pytest_proxmox.sandbox.lease import Lease, Leftover, State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.ownership import Identity
from pytest_proxmox.sandbox.removal import Patience, Removal, Trace
from pytest_proxmox.target.calls import Calls
from pytest_proxmox.target.failures import Code, Failure, Kind
from pytest_proxmox.values import NodeName, Volid

# Permanent by themselves, but the next pass looks again and does something about them.
_AGAIN: Final = frozenset({Code.PROTECTED, Code.NO_GUEST, Code.HA_MANAGED, Code.REPLICATED})
_TOOL: Final = {"lxc": "pct", "qemu": "qm", None: "pct"}


class Destroyer:
    """Destroys what leases of one run stand for; one object serves one round of clean-up.

    ``node`` is where to look for the traces of a guest whose node nobody knows.
    """

    def __init__(
        self,
        calls: Calls,
        ledger: Ledger,
        us: Identity,
        *,
        node: NodeName,
        patience: Patience | None = None,
    ) -> None:
        self._ledger = ledger
        self._node = node
        self._clock = calls.clock
        self._patience = patience if patience is not None else Patience()
        self._inventory = Inventory(calls)
        self._removal = Removal(calls, self._inventory, us, self._patience, note=self._note)

    def destroy(self, lease: Lease) -> tuple[Leftover, ...]:
        """Return what is left of a lease: with nothing left it is released, else dirty.

        A dirty VMID stays held. What we can show that we never made is not left over, and what
        another sweep has released meanwhile is not ours any more.
        """
        current = self._ledger.get(lease.id)
        if not current.is_held:
            return ()
        try:
            held = self._ledger.advance(current, State.DESTROYING)
            leftovers = () if current.is_untouched else self._clear(held)
            self._settle(held, leftovers)
        except LeaseError:
            return self._ledger.get(lease.id).leftovers  # two sweeps at once: the other's word
        return leftovers

    def _settle(self, lease: Lease, leftovers: tuple[Leftover, ...]) -> None:
        state = State.DIRTY if leftovers else State.RELEASED
        self._ledger.advance(lease, state, leftovers=leftovers)

    def destroy_all(self, leases: Iterable[Lease]) -> tuple[Leftover, ...]:
        """Return what is left of several leases, the newest destroyed first.

        A guest whose clones stand in the way is tried again as long as others go.
        """
        waiting = list(leases)[::-1]
        while True:
            results = [(lease, self.destroy(lease)) for lease in waiting]
            left = [lease for lease, leftovers in results if leftovers]
            if not left or len(left) == len(waiting):
                return tuple(item for _, leftovers in results for item in leftovers)
            waiting = left
            self._inventory.refresh()

    def _clear(self, lease: Lease) -> tuple[Leftover, ...]:
        try:
            return self._clear_away(lease)
        except ForeignGuest as exc:
            return self._not_ours(lease, exc)
        except Exception as exc:  # noqa: BLE001  # whatever it is: the other leases must still go
            return (Leftover(str(lease), f"{type(exc).__name__}: {exc}", remedy(lease)),)

    def _clear_away(self, lease: Lease) -> tuple[Leftover, ...]:
        node = lease.node if lease.node is not None else self._node
        trace = Trace(node, backups=lease.backups)
        pauses = iter(self._patience.pauses)
        while (refusal := self._removal.attempt(lease, trace)) is not None:
            pause_s = next(pauses, None)
            if pause_s is None or not self._is_worth_another_pass(refusal, lease):
                lease = self._identified(lease, trace)
                return (*trace.leftovers, Leftover(str(lease), str(refusal), remedy(lease)))
            self._clock.sleep(pause_s)
            self._inventory.refresh()
        return self._verify(self._identified(lease, trace), trace)

    def _is_worth_another_pass(self, refusal: Failure, lease: Lease) -> bool:
        if refusal.code == Code.CLONES_LEFT:
            return False  # destroy_all comes back when the clones are gone
        if refusal.code == Code.FORBIDDEN:
            # a weak token is refused what went while we looked: it was ours by its pool only
            self._inventory.refresh()
            return self._inventory.locate(lease.vmid) is None
        return refusal.kind != Kind.PERMANENT or refusal.code in _AGAIN

    def _identified(self, lease: Lease, trace: Trace) -> Lease:
        """The lease with what an app made under it, now that it was seen."""
        if lease.kind is not None or trace.kind is None:
            return lease
        return self._ledger.note(lease, kind=trace.kind, node=trace.node)

    def _note(self, lease: Lease, backups: tuple[Volid, ...]) -> None:
        if lease.backups:
            self._ledger.note(lease, backups=backups)

    def _verify(self, lease: Lease, trace: Trace) -> tuple[Leftover, ...]:
        left = self._removal.residue(lease, trace)
        is_free = trace.is_free or self._inventory.is_free(lease.vmid)
        if not is_free and not self._has_a_successor(lease, trace):
            left.append(Leftover(str(lease), "its VMID is still taken", remedy(lease)))
        return tuple(left)

    def _has_a_successor(self, lease: Lease, trace: Trace) -> bool:
        """Whether ours is gone, and somebody else was quick to take its VMID."""
        if not trace.is_destroyed:
            return False
        self._inventory.refresh()
        try:
            located = self._removal.find(lease, trace)
            if located is not None:
                self._removal.recognise(lease, located, trace)
        except ForeignGuest:
            return True
        return False

    def _not_ours(self, lease: Lease, error: ForeignGuest) -> tuple[Leftover, ...]:
        if lease.maker == "sandbox" and lease.upid is None:
            # Our create was never answered, and somebody else has the VMID: nothing is ours.
            return ()
        return (Leftover(error.guest, f"not proven ours, so it was left alone: {error.reason}"),)


def remedy(lease: Lease) -> str:
    """Return the command that frees a lease's guest by hand, run as root on its node."""
    tool, vmid = _TOOL[lease.kind], int(lease.vmid)
    return f"{tool} unlock {vmid}; {tool} stop {vmid}; {tool} destroy {vmid} --purge"
