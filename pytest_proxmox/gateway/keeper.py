"""The keeper: writes a guest into the ledger before the call that makes it is forwarded."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import Any

from pytest_proxmox.errors import ProxmoxTestError, RangeExhausted
from pytest_proxmox.gateway.reach import Making
from pytest_proxmox.sandbox.inventory import Inventory
from pytest_proxmox.sandbox.lease import Lease, Leftover, State
from pytest_proxmox.sandbox.quota import Demand
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.spellings import NO_CAPS
from pytest_proxmox.values import LeaseId, Upid, Vmid


class NotOurs(ProxmoxTestError):
    """A VMID that the run cannot have: the call that would use it is not forwarded."""


class Taken(NotOurs):
    """A VMID in the range that somebody else has; with another one the call would be well."""


class Keeper:
    """The leases behind a gateway: who holds a VMID, and what is made under it.

    May be used by several threads: an app's calls come as they like.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._lock = threading.RLock()
        self._offered: Lease | None = None
        self._claimed: list[LeaseId] = []

    def lease_of(self, vmid: int) -> Lease | None:
        """Return this process's lease on a VMID, None where it has none."""
        run, target = self._sandbox.run, self._sandbox.facts.url
        leases = self._sandbox.ledger.leases(target, run=run.id)
        ours = (one for one in leases if one.vmid == vmid and one.worker == run.worker)
        return next(ours, None)

    def is_leased(self, vmid: int) -> bool:
        """Whether this process may write to a guest."""
        return self.lease_of(vmid) is not None

    def leases(self) -> list[Lease]:
        """Return what is held because a call through the gateway asked for it, oldest first."""
        known = (self._sandbox.ledger.get(one) for one in self._claimed)
        return [lease for lease in known if lease.is_held]

    def release(self, kept: Collection[LeaseId] = ()) -> list[Leftover]:
        """Return what is left after destroying what was made, all but ``kept``."""
        with self._lock:
            now = self._sandbox.calls.clock.now()
            gone = [one for one in self.leases() if one.id not in kept and not one.is_kept(now)]
            self._offered = None
            return list(self._sandbox.destroyer().destroy_all(gone)) if gone else []

    def keep(self, kept: Collection[LeaseId], *, for_s: float) -> list[Lease]:
        """Return the leases of guests that stay for so many seconds: all but ``kept``."""
        with self._lock:
            wanted = [lease for lease in self.leases() if lease.id not in kept]
            return self._sandbox.keep(wanted, for_s=for_s)

    def next_vmid(self) -> Vmid:
        """Return a leased VMID for whoever asks for a free one; the same until it is used.

        Raises:
            RangeExhausted: none is free.
        """
        with self._lock:
            offered = self._offered
            if offered is not None:
                now = self._sandbox.ledger.get(offered.id)
                if now.state is State.RESERVED and self._is_free(now.vmid):
                    return offered.vmid
            vmid = self._sandbox.vmid()
            self._offered = self._known(self.lease_of(vmid))
            return vmid

    def _known(self, lease: Lease | None) -> Lease | None:
        """The lease, remembered as one that came about by a call."""
        if lease is not None:
            self._claimed.append(lease.id)
        return lease

    def expect(self, making: Making, settings: Mapping[str, Any]) -> Lease:
        """Return the lease of a guest that is about to be made, written down with what it is.

        Waits until it fits under the run's caps; ``settings`` are those of the create.

        Raises:
            NotOurs: somebody else has the VMID, or holds its block.
            OverCap: it does not fit.
        """
        lease = self._lease_for(making)
        sandbox = self._sandbox
        if sandbox.caps != NO_CAPS:
            if making.source is not None:
                path = f"nodes/{making.node}/{making.kind}/{int(making.source)}/config"
                settings = sandbox.calls.get(path)
            sandbox.ledger.quota.hold(lease, Demand.of(settings), sandbox.caps)
        facts = {"kind": making.kind, "node": making.node, "source": making.source}
        with self._lock:
            if sandbox.ledger.get(lease.id).state is State.RESERVED:
                return sandbox.ledger.advance(lease, State.CREATING, **facts)
            return sandbox.ledger.note(lease, **facts)

    def _lease_for(self, making: Making) -> Lease:
        with self._lock:
            lease = self.lease_of(making.vmid) or self._claim(making.vmid)
            if making.pool not in (None, lease.pool) and lease.pool is not None:
                raise NotOurs(f"pool {making.pool} is not this run's, which is {lease.pool}")
            return lease

    def _claim(self, vmid: Vmid) -> Lease:
        sandbox = self._sandbox.open()
        if not self._is_free(vmid):
            raise Taken(f"VMID {int(vmid)} is taken by a guest that is not leased by this run")
        try:
            sandbox.ground.renew()
            sandbox.ground.cover(vmid)
        except RangeExhausted as exc:
            raise Taken(str(exc)) from exc
        lease = sandbox.ledger.claim_exactly(
            sandbox.facts.url, vmid, sandbox.run, maker="test", pool=sandbox.ground.pool_of(vmid)
        )
        if lease is None:
            raise Taken(f"VMID {int(vmid)} is held by another lease")
        self._claimed.append(lease.id)
        return lease

    def _is_free(self, vmid: Vmid) -> bool:
        return Inventory(self._sandbox.calls).is_free(vmid)

    def made(self, lease: Lease, upid: Upid) -> None:
        """Write down the task that makes the guest: the proof that it is ours."""
        with self._lock:
            if self._sandbox.ledger.get(lease.id).state is State.CREATING:
                lease = self._sandbox.ledger.advance(lease, State.LIVE)
            self._sandbox.ledger.note(lease, upid=upid)

    def beaten(self, lease: Lease) -> None:
        """Give up a VMID that turned out to be somebody else's, unless our guest is there."""
        with self._lock:
            now = self._sandbox.ledger.get(lease.id)
            if now.state is State.CREATING and now.upid is None:
                self._sandbox.ledger.advance(now, State.RELEASED)
                run, target = self._sandbox.run, self._sandbox.facts.url
                self._sandbox.ledger.mark_foreign(target, run, [now.vmid])
