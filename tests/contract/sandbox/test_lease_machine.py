"""Leases and sweeps under any order of steps: two machines, three workers, strangers, time.

``./dev bench state_machines`` runs it, and the ledger's machine, with a large budget.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from benchmarks.campaign.ground import PARENT, SPAN, Ground, Machine, laid, machines
from pytest_proxmox.errors import ApiFailure, LeaseError, LeaseLost, RangeExhausted, TaskError
from pytest_proxmox.sandbox.blocks import LEASE_S, SKEW_S
from pytest_proxmox.sandbox.holdings import Hold
from pytest_proxmox.sandbox.reaper import GRACE_S, Orders, Reaper
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.sandbox.sweep import collect
from pytest_proxmox.target.tasks import wait

# What a test may meet where others work too; anything else is a mistake of ours.
USUAL = (RangeExhausted, LeaseLost, LeaseError, ApiFailure, TaskError)
PLACES = (("one", "main", 0), ("two", "gw0", 1), ("two", "gw1", 1))


@dataclass
class Process:
    """One of the three workers, in its current life."""

    run: Run
    machine: Machine
    sandbox: Sandbox


class LeaseMachine(RuleBasedStateMachine):
    """Everything that runs, reapers, later runs and strangers do on one Proxmox."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="leases-"))
        self.lives = 0

    @initialize(seed=st.integers(0, 50))
    def begin(self, seed: int) -> None:
        rng = random.Random(seed)
        self.ground: Ground = self.stack.enter_context(laid(rng, over_sockets=False))
        self.machines = machines(self.ground, self.folder, rng, 2)
        self.dead: list[Process] = []
        self.processes = [self._born(number) for number in range(len(PLACES))]

    def _born(self, number: int) -> Process:
        """A process of the place's current run; a run that has ended gets a successor."""
        name, worker, index = PLACES[number]
        machine = self.machines[index]
        self.lives += 1
        here = Run.here(f"{name}-{self.lives}" if number != 2 else "-", worker=worker)
        if number == 2:  # the second worker joins the first one's run
            here = replace(here, id=self.processes[1].run.id if self.lives > 3 else "two-2")
        sandbox = Sandbox(
            self.ground.api,
            self.ground.facts,
            machine.ledger,
            span=SPAN,
            run=here,
            pool=PARENT,
            clock=machine.clock,
        )
        return Process(here, machine, sandbox.open())

    @rule(who=st.integers(0, 2), what=st.sampled_from(["lxc", "vmid", "app", "clone", "renew"]))
    def work(self, who: int, what: str) -> None:
        sandbox = self.processes[who].sandbox
        try:
            getattr(self, f"_{what}")(sandbox)
        except USUAL:
            return

    def _lxc(self, sandbox: Sandbox) -> None:
        sandbox.lxc()

    def _vmid(self, sandbox: Sandbox) -> None:
        sandbox.vmid()

    def _clone(self, sandbox: Sandbox) -> None:
        sandbox.clone(sandbox.lxc())

    def _renew(self, sandbox: Sandbox) -> None:
        sandbox.ground.renew()

    def _app(self, sandbox: Sandbox) -> None:
        facts, vmid = sandbox.facts, sandbox.vmid()
        order: dict[str, Any] = {
            "vmid": int(vmid),
            "ostemplate": facts.template,
            "rootfs": f"{facts.storage}:1",
            "pool": sandbox.pool_of(vmid),
        }
        upid = sandbox.calls.post(f"nodes/{facts.node}/lxc", **order)
        wait(sandbox.calls.api, upid, timeout_s=120, clock=sandbox.calls.clock)

    @rule(who=st.integers(0, 2))
    def close(self, who: int) -> None:
        self.processes[who].sandbox.close()

    @rule(who=st.integers(0, 2))
    def end(self, who: int) -> None:
        """A process ends in the normal way, and the next one begins."""
        sandbox = self.processes[who].sandbox
        sandbox.close()
        sandbox.sweep_run()
        self.processes[who] = self._born(who)

    @rule(who=st.integers(0, 2))
    def die(self, who: int) -> None:
        process = self.processes[who]
        facts, ledger = self.ground.facts, process.machine.ledger
        gone = replace(process.run, born="gone")
        ledger.register(gone, target=facts.url, kind="real", user=facts.user)
        self.dead.append(process)
        self.processes[who] = self._born(who)

    @rule(which=st.integers(0, 5))
    def reap(self, which: int) -> None:
        if self.dead:
            process = self.dead[which % len(self.dead)]
            orders = Orders(
                self.ground.endpoint,
                self.ground.facts,
                self.folder,
                process.run.id,
                Path(),
                PARENT,
            )
            process.machine.clock.sleep(GRACE_S)
            Reaper(orders, process.machine.ledger, process.machine.clock).reap(rounds=2)

    @rule(index=st.integers(0, 1))
    def sweep(self, index: int) -> None:
        machine, ground = self.machines[index], self.ground
        collect(ground.api, ground.facts, machine.ledger, pool=PARENT, clock=machine.clock)

    @rule(seconds=st.sampled_from([1.0, 60.0, LEASE_S * 0.6, LEASE_S + SKEW_S + 300]))
    def pass_time(self, seconds: float) -> None:
        self.machines[0].clock.sleep(seconds)

    @rule(vmid=st.sampled_from(range(9012, 9030)))
    def stranger_comes(self, vmid: int) -> None:
        held = {
            lease.vmid for one in self.machines for lease in one.ledger.leases(self._url)
        }  # what an app of ours was promised is another story: it may not be proven
        if self.ground.simulator.guest(vmid) is None and vmid not in held:
            self.ground.plant(vmid)

    @property
    def _url(self) -> str:
        return self.ground.facts.url

    @invariant()
    def strangers_are_left_alone(self) -> None:
        if not hasattr(self, "ground"):
            return
        now = self.ground.picture()
        for name, before in self.ground.before.items():
            assert {key: now[name].get(key) for key in before} == before

    @invariant()
    def no_vmid_is_held_by_both_machines(self) -> None:
        """Except by one that stood still: it finds out at its next step."""
        if not hasattr(self, "ground"):
            return
        both = [self._held(machine) for machine in self.machines]
        assert not both[0] & both[1]

    def _held(self, machine: Machine) -> set[int]:
        """The VMIDs under leases whose time is not over."""
        blocks = machine.ledger.holdings.blocks(self._url)
        now = machine.clock.now()
        valid = [one.span for one in blocks if one.hold is Hold.HELD and one.expires > now]
        return {int(vmid) for span in valid for vmid in span}

    def teardown(self) -> None:
        try:
            if hasattr(self, "ground"):
                self._end_all()
        finally:
            for machine in getattr(self, "machines", ()):
                machine.ledger.close()
            self.stack.close()
            shutil.rmtree(self.folder)

    def _end_all(self) -> None:
        """Everybody is gone for long: one sweep on each machine leaves nothing."""
        for number in range(3):
            process = self.processes[number]
            gone = replace(process.run, born="gone")
            facts = self.ground.facts
            ledger = process.machine.ledger
            ledger.register(gone, target=facts.url, kind="real", user=facts.user)
        self.machines[0].clock.sleep(LEASE_S + SKEW_S + 300)
        for machine in self.machines:
            swept = collect(
                self.ground.api,
                self.ground.facts,
                machine.ledger,
                pool=PARENT,
                clock=machine.clock,
            )
            assert swept.leftovers == ()
        assert self.ground.differences() == []
        for machine in self.machines:
            assert machine.ledger.leases(self._url) == []
            assert machine.ledger.holdings.blocks(self._url) == []


TestLeaseMachine = LeaseMachine.TestCase
TestLeaseMachine.settings = settings(
    max_examples=20,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
