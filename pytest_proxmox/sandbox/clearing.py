"""Clearing: empty the pool of a lease that nobody renews, so that it can be deleted.

A pool must never be deleted while a task makes a guest for it: on a real node the create then
ends OK, with a guest outside every pool that a weak token can neither see nor delete (golden 15
seq 24 to 34). So the tasks come first, then the members.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from pytest_proxmox.errors import LeaseError
from pytest_proxmox.sandbox.baseline import Baseline
from pytest_proxmox.sandbox.destroy import Destroyer
from pytest_proxmox.sandbox.inventory import Inventory
from pytest_proxmox.sandbox.lease import Lease, Leftover, State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.ownership import CLONING, MAKING, Identity
from pytest_proxmox.sandbox.pools import PoolRow
from pytest_proxmox.sandbox.removal import Patience, settle
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.target.calls import Calls
from pytest_proxmox.target.facts import TargetFacts
from pytest_proxmox.values import GuestRef, NodeName, Upid, Vmid, VmidRange


class Clearing:
    """Destroys what is in the pools of other runs' leases, by the proof of the pool."""

    def __init__(
        self, calls: Calls, facts: TargetFacts, ledger: Ledger, run: Run, patience: Patience
    ) -> None:
        self._calls = calls
        self._facts = facts
        self._ledger = ledger
        self._run = run
        self._patience = patience

    def clear(self, poolid: str, span: VmidRange, run: str) -> list[Leftover]:
        """Return what is left in a lease's pool after destroying the guests in it.

        ``run`` is whose lease it was. Its guests get leases of that run in our ledger, so what
        cannot go is kept and found again.
        """
        for upid in self._making(span):
            settle(self._calls, upid, self._patience)
        inventory = Inventory(self._calls)
        leases = [self._lease(ref, poolid, run) for ref in inventory.members(poolid)]
        destroyer = destroyer_for(self._calls, self._facts, self._ledger, run, self._patience)
        return list(destroyer.destroy_all(leases))

    def _making(self, span: VmidRange) -> list[Upid]:
        """Tasks of ours that may be making a guest with a VMID of the span.

        A clone is listed under its source, which may lie anywhere: all of ours are waited for.
        """
        inventory = Inventory(self._calls)
        running = [upid for node in inventory.nodes() for upid in inventory.running(node)]
        vmids = {str(int(vmid)) for vmid in span}
        return [
            upid
            for upid in running
            if upid.user == self._facts.user
            and (upid.type in CLONING or (upid.type in MAKING and upid.id in vmids))
        ]

    def _lease(self, ref: GuestRef, poolid: str, run: str) -> Lease:
        owner = replace(self._run, id=run, worker="sweep")
        url = self._facts.url
        lease = self._ledger.claim_exactly(url, ref.vmid, owner)
        if lease is None:
            held = self._ledger.leases(url)
            lease = next(lease for lease in held if lease.vmid == ref.vmid)
        if lease.state is State.RESERVED:
            lease = self._ledger.advance(lease, State.LIVE)
        return self._ledger.note(lease, pool=poolid, kind=ref.kind, node=ref.node)


def destroyer_for(
    calls: Calls, facts: TargetFacts, ledger: Ledger, run: str, patience: Patience | None
) -> Destroyer:
    """Return the destroyer of what another run leased: it proves as that run would have."""
    text = ledger.baseline(run, facts.url)
    us = Identity(
        ledger.user(run, facts.url) or facts.user,
        run,
        Baseline.parse(text) if text is not None else Baseline({}),
    )
    return Destroyer(calls, ledger, us, node=NodeName(facts.node), patience=patience)


def release_what_others_cleared(
    calls: Calls, ledger: Ledger, leases: list[Lease], parent: str | None
) -> list[Lease]:
    """Return the leases without those whose pool another machine has taken over and emptied.

    A lease's pool goes when nothing is left under it, so it is a proof where the parent is still
    to be seen; a VMID that is taken all the same is looked at, unless its block's next lease has
    a guest of its own there.
    """
    if parent is None or all(lease.pool is None for lease in leases):
        return leases
    pools = {row["poolid"]: row.get("comment") or "" for row in calls.get("pools")}
    inventory = Inventory(calls)
    rest = []
    for lease in leases:
        is_gone = parent in pools and lease.pool is not None and lease.pool not in pools
        if is_gone and (
            inventory.is_free(lease.vmid) or _has_a_successor(lease.vmid, pools, inventory)
        ):
            with suppress(LeaseError):  # another sweep was faster
                ledger.advance(ledger.advance(lease, State.DESTROYING), State.RELEASED)
        else:
            rest.append(lease)
    return rest


def _has_a_successor(vmid: Vmid, pools: Mapping[str, str], inventory: Inventory) -> bool:
    """Whether the VMID's guest is in the pool of a lease that came after."""
    parsed = (PoolRow.parse(poolid, comment) for poolid, comment in pools.items())
    leases = [row.poolid for row in parsed if row and row.lease and vmid in row.span]
    return any(ref.vmid == vmid for poolid in leases for ref in inventory.members(poolid))
