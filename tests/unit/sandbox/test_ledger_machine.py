"""The ledger under any order of steps by two runs and three workers: a state machine."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
)

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.errors import LeaseError, RangeExhausted
from pytest_proxmox.sandbox.lease import BEFORE, Lease, State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.values import LeaseId, Vmid, VmidRange

TARGETS = ("https://a.invalid", "https://b.invalid")
SPAN = VmidRange(Vmid(9000), Vmid(9011))
RUNS = [Run.here("one"), Run.here("two", worker="gw0"), Run.here("two", worker="gw1")]


class LedgerMachine(RuleBasedStateMachine):
    """Three processes' ledgers on one file, against a dictionary."""

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-"))
        self.clock = ManualClock()
        self.ledgers = [self._open() for _ in RUNS]
        self.model: dict[LeaseId, Lease] = {}
        self.foreign: set[tuple[str, str, int]] = set()
        for number, run in enumerate(RUNS):
            for target in TARGETS:
                self.ledgers[number].register(run, target=target, kind="real")

    def _open(self) -> Ledger:
        return Ledger(self.folder, clock=self.clock, durable=False)

    def teardown(self) -> None:
        for ledger in self.ledgers:
            ledger.close()
        shutil.rmtree(self.folder)

    def held(self, target: str) -> set[int]:
        """The VMIDs that the model holds on a target."""
        return {lease.vmid for lease in self.model.values() if lease.is_held
                and lease.target == target}  # fmt: skip

    @rule(
        target=leases,
        who=st.integers(0, 2),
        where=st.sampled_from(TARGETS),
        count=st.integers(1, 3),
    )
    def claim(self, who: int, where: str, count: int) -> object:
        run = RUNS[who]
        taken = self.held(where) | {v for t, r, v in self.foreign if (t, r) == (where, run.id)}
        try:
            claimed = self.ledgers[who].claim(where, [SPAN], run, count=count)
        except RangeExhausted:
            free = "".join("-" if vmid in taken else "f" for vmid in SPAN)
            assert "f" * count not in free
            return multiple()
        vmids = [lease.vmid for lease in claimed]
        assert vmids == list(range(vmids[0], vmids[0] + count))
        assert not taken & set(vmids)
        self.model |= {lease.id: lease for lease in claimed}
        return multiple(*claimed)

    @rule(
        target=leases,
        who=st.integers(0, 2),
        where=st.sampled_from(TARGETS),
        vmid=st.sampled_from(list(SPAN)),
    )
    def claim_exactly(self, who: int, where: str, vmid: Vmid) -> object:
        lease = self.ledgers[who].claim_exactly(where, vmid, RUNS[who], maker="test")
        assert (lease is None) == (vmid in self.held(where))
        if lease is None:
            return multiple()
        self.model[lease.id] = lease
        return lease

    @rule(lease=leases, who=st.integers(0, 2), state=st.sampled_from(State))
    def advance(self, lease: Lease, who: int, state: State) -> None:
        """Any process may take a lease on: the worker itself, a sweep, the next run."""
        now = self.model[lease.id]
        try:
            after = self.ledgers[who].advance(lease, state)
        except LeaseError:
            assert now.state not in BEFORE[state]
            return
        assert now.state in BEFORE[state]
        assert after.state is state
        self.model[lease.id] = after

    @rule(who=st.integers(0, 2), where=st.sampled_from(TARGETS), vmid=st.sampled_from(list(SPAN)))
    def mark_foreign(self, who: int, where: str, vmid: Vmid) -> None:
        self.ledgers[who].mark_foreign(where, RUNS[who], [vmid])
        self.foreign.add((where, RUNS[who].id, vmid))

    @rule(who=st.integers(0, 2))
    def reopen(self, who: int) -> None:
        self.ledgers[who].close()
        self.ledgers[who] = self._open()

    @precondition(lambda self: self.model)
    @rule(seconds=st.floats(0, 1e6))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def every_process_sees_what_was_done(self) -> None:
        expected = {lease.id: lease.state for lease in self.model.values()}
        for ledger in self.ledgers:
            rows = [lease for t in TARGETS for lease in ledger.leases(t, states=tuple(State))]
            assert {lease.id: lease.state for lease in rows} == expected

    @invariant()
    def no_vmid_is_held_twice(self) -> None:
        for target in TARGETS:
            vmids = [lease.vmid for lease in self.ledgers[0].leases(target)]
            assert len(vmids) == len(set(vmids))


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,  # a machine that writes files says nothing by its time
    suppress_health_check=[HealthCheck.too_slow],
)
