"""Blocks: tens of VMIDs that a run holds on a cluster, by pools that everybody sees.

Making the pool of a block is the compare-and-set between machines. The lease's pool in it has
the guests, and in its comment who holds it until when; renewing it is the heartbeat. An expired
block is taken over by making the one pool that is its lease's successor, sweeping the old lease
and deleting its pool. From then on the old holder, should it wake up, can make nothing there
(403) and not renew (500): it is fenced off.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Protocol

from pytest_proxmox.errors import ApiFailure, LeaseLost, PoolRefused
from pytest_proxmox.sandbox.ground import exhausted, merged
from pytest_proxmox.sandbox.holdings import Block, Hold
from pytest_proxmox.sandbox.lease import Leftover
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.pools import PoolRow, Tenant, block_of, successor
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.target.calls import Calls
from pytest_proxmox.target.failures import Code, Kind
from pytest_proxmox.values import LeaseId, Vmid, VmidRange

LEASE_S: Final = 1800.0  # the longest tests (heavy) take 15 min between two calls; twice that
TAKING_S: Final = 120.0  # two POSTs and, after a crash of the worker that sent them, no more
REQUEST_S: Final = 15.0  # from a request to its effect: PVE's own locks
POLL_S: Final = 0.5
SKEW_S: Final = 300.0  # how far apart two machines' clocks may be: longer than NTP ever lets them


class Sweeper(Protocol):
    """Clears a lease's pool of guests that nobody renews any more."""

    def clear(self, poolid: str, span: VmidRange, run: str) -> list[Leftover]:
        """Return what is left in a pool after destroying the guests in it."""


class Blocks:
    """The blocks of one run on one target, within a range."""

    def __init__(
        self,
        calls: Calls,
        ledger: Ledger,
        run: Run,
        *,
        target: str,
        span: VmidRange,
        parent: str,
        sweeper: Sweeper,
    ) -> None:
        self._calls = calls
        self._ledger = ledger
        self._run = run
        self._target = target
        self._span = span
        self._parent = parent
        self._sweeper = sweeper
        self._taking = threading.Lock()

    def lost(self, vmid: Vmid) -> LeaseLost:
        """Return the error for the block of a VMID whose pool is gone; it is not used again.

        Where a mate is about to give it back, the block is no other run's.
        """
        rows = self._ledger.holdings.blocks(self._target, self._run.id)
        block = next(block for block in rows if vmid in block.span)
        if block.hold is not Hold.GIVING:
            self._ledger.holdings.put(replace(block, hold=Hold.LOST))
        return LeaseLost(block.pool)

    def is_lost(self, vmid: Vmid) -> bool:
        """Whether another run is responsible for what is under this VMID."""
        rows = self._ledger.holdings.blocks(self._target, self._run.id)
        return any(vmid in block.span for block in rows if block.hold is Hold.LOST)

    # What is held -----------------------------------------------------------------------------

    def held(self) -> list[Block]:
        """Return the blocks that may be used."""
        rows = self._ledger.holdings.blocks(self._target, self._run.id)
        return [block for block in rows if block.hold is Hold.HELD]

    def spans(self) -> list[VmidRange]:
        """Return the VMIDs of the range that are in blocks of ours."""
        return merged(_common(block.span, self._span) for block in self.held())

    def pool_of(self, vmid: Vmid) -> str | None:
        """Return the lease's pool of the block that the VMID is in."""
        return next((block.lease_pool for block in self.held() if vmid in block.span), None)

    def renew(self) -> None:
        """Renew every block whose lease is half over.

        Raises:
            LeaseLost: another run has taken one over.
        """
        now = self._calls.clock.now()
        for block in self._ledger.holdings.blocks(self._target, self._run.id):
            if block.hold is Hold.LOST:
                raise LeaseLost(block.pool)
            if block.hold is Hold.HELD and block.expires - now < LEASE_S / 2:
                self.beat(block)

    def beat(self, block: Block, *, until: float | None = None) -> Block:
        """Return the block, held for the whole time of a lease from now on, or until then.

        Raises:
            LeaseLost: another run has taken it over.
        """
        expires = self._calls.clock.now() + LEASE_S if until is None else until
        renewed = replace(block, expires=expires)
        try:
            self._calls.put("pools", poolid=block.lease_pool, comment=self._comment(renewed))
        except ApiFailure as exc:
            if exc.code != Code.NO_POOL:
                raise
            self._ledger.holdings.put(replace(block, hold=Hold.LOST))
            raise LeaseLost(block.pool) from exc
        return self._ledger.holdings.put(renewed)

    def prolong(self, vmid: Vmid, until: float) -> None:
        """Hold the block of a VMID at least until then, also after the run has ended."""
        for block in self.held():
            if vmid in block.span and block.expires < until:
                self.beat(block, until=until)

    # Taking -----------------------------------------------------------------------------------

    def extend(self, seen: list[VmidRange]) -> None:
        """Take one more block of the range: a free one, else one whose lease has expired.

        Returns at once where another thread or worker of the run has taken one since ``seen``.

        Raises:
            RangeExhausted: others hold all that we do not; says who and until when.
            PoolRefused: we may not make pools there.
        """
        with self._taking:
            if self.spans() != seen:
                return
            rows = self._rows()
            ours = self._ledger.holdings.blocks(self._target, self._run.id)
            wanted = [block_of(part.first) for part in self._span.blocks()]
            open_ones = [span for span in wanted if span not in {block.span for block in ours}]
            if any(self._take(span, rows) for span in open_ones):
                return
            if any(map(self._is_being_taken, ours)):
                self._calls.clock.sleep(POLL_S)  # another worker is about to have it for us all
                return
            raise exhausted([self._span], _holders(open_ones, rows))

    def _is_being_taken(self, block: Block) -> bool:
        begun = block.expires - LEASE_S
        return block.hold is Hold.TAKING and abs(self._calls.clock.now() - begun) < TAKING_S

    def cover(self, vmid: Vmid) -> None:
        """Take the block of this VMID, unless it is ours.

        Raises:
            RangeExhausted: it is outside the range, or another run's.
            PoolRefused: we may not make pools there.
        """
        if any(vmid in block.span for block in self.held()):
            return
        span = block_of(vmid)
        rows = self._rows() if vmid in self._span else []
        if vmid not in self._span or not self._take(span, rows):
            raise exhausted([VmidRange(vmid, vmid)], _holders([span], rows))

    def _take(self, span: VmidRange, rows: list[PoolRow]) -> bool:
        of_span = [row for row in rows if row.span == span]
        if not of_span:
            return self._take_free(span)
        if not self._is_expired(of_span):
            return False
        block, left = self._take_over(span, of_span)
        return block is not None and not left

    def _take_free(self, span: VmidRange) -> bool:
        block = self._note(span, LeaseId.new())
        if self._make(block.pool, block) and self._make(block.lease_pool, block):
            if self._calls.clock.now() < block.expires:
                self._ledger.holdings.put(replace(block, hold=Hold.HELD))
                return True
            self._drop_pool(block.lease_pool)  # we stood still: it may be taken over already
        self._ledger.holdings.drop(block)
        return False

    def _take_over(
        self, span: VmidRange, rows: list[PoolRow]
    ) -> tuple[Block | None, list[Leftover]]:
        """The block, ours and swept; None where somebody else was first, or something stays."""
        tenants = [row.tenant for row in rows if row.tenant is not None]
        leases = [row.lease for row in rows if row.lease is not None]
        last = next((one for one in leases if successor(one) not in leases), tenants[0].lease)
        block = self._note(span, successor(last))
        if not self._make(block.lease_pool, block):
            self._ledger.holdings.drop(block)
            return None, []
        if left := self._sweep(rows):
            left += self._drop_pool(block.lease_pool)[1]
            self._ledger.holdings.drop(block)
            return None, left
        self._calls.put("pools", poolid=block.pool, comment=self._comment(block))
        return self._ledger.holdings.put(replace(block, hold=Hold.HELD)), []

    def _sweep(self, rows: list[PoolRow]) -> list[Leftover]:
        """Empty the expired leases of a block and delete their pools."""
        left: list[Leftover] = []
        for row in rows:
            if row.lease is None or row.tenant is None:
                continue
            left += self._sweeper.clear(row.poolid, row.span, row.tenant.run)
            left += self._drop_pool(row.poolid)[1]
        return left

    def _is_expired(self, rows: list[PoolRow]) -> bool:
        """Whether nobody holds a block: every lease in it, or the bare block, is over.

        A pool whose comment is not ours was made, or touched, by a person: it is left alone.
        """
        leases = [row for row in rows if row.lease is not None] or rows
        limit = self._calls.clock.now() - SKEW_S
        return all(row.tenant is not None and row.tenant.expires < limit for row in leases)

    def _note(self, span: VmidRange, nonce: LeaseId) -> Block:
        expires = self._calls.clock.now() + LEASE_S
        return self._ledger.holdings.put(
            Block(self._target, span, self._parent, nonce, self._run.id, expires)
        )

    def _make(self, poolid: str, block: Block) -> bool:
        """Make a pool, and say whether it is ours: a lost answer is looked up."""
        comment = self._comment(block)
        try:
            self._calls.post("pools", poolid=poolid, comment=comment)
        except ApiFailure as exc:
            if exc.code in (Code.POOL_EXISTS, Code.NO_POOL):
                return False
            if exc.kind == Kind.AMBIGUOUS:
                return self._says(poolid, comment) or self._make(poolid, block)
            raise self._refused(exc) from exc
        return True

    def _says(self, poolid: str, comment: str) -> bool:
        rows = self._calls.get("pools")
        return any(row["poolid"] == poolid and row.get("comment") == comment for row in rows)

    def _rows(self) -> list[PoolRow]:
        """The blocks and leases under the parent pool, which is made if it is not there."""
        found: list[dict[str, Any]] = self._calls.get("pools")
        if all(row["poolid"] != self._parent for row in found):
            try:
                self._calls.post("pools", poolid=self._parent, comment="leases of pytest-proxmox")
            except ApiFailure as exc:
                if exc.code != Code.POOL_EXISTS:
                    raise self._refused(exc) from exc
        under = (row for row in found if str(row["poolid"]).startswith(self._parent + "/"))
        parsed = (PoolRow.parse(row["poolid"], row.get("comment") or "") for row in under)
        return [row for row in parsed if row is not None]

    def _refused(self, error: ApiFailure) -> Exception:
        if error.code != Code.FORBIDDEN:
            return error
        return PoolRefused(
            f'no right to keep leases under the pool "{self._parent}" of {self._target}',
            hint="Run once as root: pytest-proxmox setup",
        )

    def _comment(self, block: Block) -> str:
        host = self._run.host.replace(" ", "-") or "unknown"
        return Tenant(self._run.id, host, block.nonce, int(block.expires)).render()

    # Giving back ------------------------------------------------------------------------------

    def give_back(self) -> list[Leftover]:
        """Return what stays of our blocks: those with dirty leases, and lost ones.

        A pool with guests cannot be deleted, so a block that is given back is a proof.
        """
        left: list[Leftover] = []
        dirty = [lease.vmid for lease in self._ledger.leases(self._target, run=self._run.id)]
        mates = self._ledger.workers(self._run.id, self._target)
        is_someone_dead = not all(mate.is_alive for mate in mates)
        for block in self._ledger.holdings.blocks(self._target, self._run.id):
            if block.hold is Hold.LOST:
                left.append(Leftover(f"pool {block.pool}", str(LeaseLost(block.pool))))
                self._ledger.holdings.drop(block)
            elif is_someone_dead and self._request_rest_s(block) > 0:
                continue  # the dead one's reaper waits for what is under way
            elif not any(vmid in block.span for vmid in dirty):
                left += self.release(block)
        return left

    def release(self, block: Block) -> list[Leftover]:
        """Return why a block's pools are still there, or nothing: others may have the block."""
        self._ledger.holdings.put(replace(block, hold=Hold.GIVING))
        was_there, left = self._drop_pool(block.lease_pool)
        if left:
            return left
        if was_there or self._is_bare(block):
            left = self._drop_pool(block.pool)[1]
        if not left:
            self._ledger.holdings.drop(block)
        return left

    def _is_bare(self, block: Block) -> bool:
        """Whether the block's pool is there because of us, who then got no further."""
        tenants = [row.tenant for row in self._rows() if row.poolid == block.pool]
        return any(tenant is not None and tenant.lease == block.nonce for tenant in tenants)

    def collect(
        self, is_dead: Callable[[str], bool], *, others: bool = True
    ) -> tuple[list[str], list[Leftover]]:
        """Return the pools of blocks that were freed, and what keeps others from being so.

        Freed is what has expired, on any machine, and what runs of this machine hold that are
        dead by ``is_dead``, which need not be waited for; without ``others`` the latter only.
        """
        blocks = self._ledger.holdings.blocks(self._target)
        freed: list[str] = []
        left: list[Leftover] = []
        for run in sorted({block.run for block in blocks if is_dead(block.run)}):
            left += self.collect_run(run)
            kept = {block.pool for block in self._ledger.holdings.blocks(self._target, run)}
            freed += [one.pool for one in blocks if one.run == run and one.pool not in kept]
        rows = self._rows() if others else []
        for span in sorted({row.span for row in rows}):
            of_span = [row for row in rows if row.span == span]
            if self._is_expired(of_span):
                taken, stays = self._take_over(span, of_span)
                left += stays
                if taken is not None:
                    left += self.release(taken)
                    freed.append(taken.pool)
        return freed, left

    def collect_run(self, run: str) -> list[Leftover]:
        """Return what keeps the blocks of a dead run of this machine from being freed.

        A block in which a guest is kept for somebody stays.
        """
        left: list[Leftover] = []
        now = self._calls.clock.now()
        leases = self._ledger.leases(self._target, run=run)
        kept = [lease.vmid for lease in leases if lease.is_kept(now)]
        for block in self._ledger.holdings.blocks(self._target, run):
            if any(vmid in block.span for vmid in kept):
                continue
            if (rest_s := self._request_rest_s(block)) > 0:
                self._calls.clock.sleep(rest_s)
            stays = self._sweeper.clear(block.lease_pool, block.span, block.run)
            left += stays or self.release(block)
        return left

    def _request_rest_s(self, block: Block) -> float:
        """How long a request for a pool, sent by a process that died, may still be under way.

        Never longer than requests last: the clock that it was written by may have been ahead.
        """
        if block.hold is not Hold.TAKING:
            return 0.0
        return min(block.expires - LEASE_S + REQUEST_S - self._calls.clock.now(), REQUEST_S)

    def _drop_pool(self, poolid: str, *, again: bool = False) -> tuple[bool, list[Leftover]]:
        """Delete a pool: whether it was there, and why it still is."""
        try:
            self._calls.delete("pools", poolid=poolid)
        except ApiFailure as exc:
            if exc.code == Code.NO_POOL:
                return again, []
            if exc.code == Code.POOL_NOT_EMPTY and poolid.count("/") == 1:
                return True, []  # a block that somebody has taken over meanwhile
            if exc.kind == Kind.AMBIGUOUS and not again:
                return self._drop_pool(poolid, again=True)  # by its name: twice does no harm
            remedy = f"pvesh delete /pools --poolid {poolid}"
            return True, [Leftover(f"pool {poolid}", str(exc), remedy)]
        return True, []


def _common(one: VmidRange, other: VmidRange) -> VmidRange:
    return VmidRange(max(one.first, other.first), min(one.last, other.last))


def _holders(spans: list[VmidRange], rows: list[PoolRow]) -> str:
    """Who has these blocks, as the end of a sentence."""
    said = [
        f"b{row.span}: run {row.tenant.run} on {row.tenant.host}"
        if row.tenant is not None
        else f"b{row.span}: a pool that is not ours, {row.poolid}"
        for row in rows
        if row.span in spans and (row.lease is not None or row.tenant is None)
    ]
    return f" ({'; '.join(said)})" if said else ""
