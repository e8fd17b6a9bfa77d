"""The sweep: what dead runs left goes, what live runs hold stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.sandbox.account import Account
from pytest_proxmox.sandbox.lease import State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.removal import Patience
from pytest_proxmox.sandbox.run import Run, birth
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.sandbox.sweep import collect, forget_dead_simulators
from pytest_proxmox.values import NodeName
from tests.unit.sandbox.conftest import SPAN, URL
from tests.unit.sandbox.fake import FakeGuest, FakeProxmox


def bury(ledger: Ledger, run: str) -> None:
    """Make a run's only process one that does not exist."""
    dead = Run(run, "main", Run.here().host, os.getpid(), "another birth")
    ledger.register(dead, target=URL, kind="real")


def test_a_dead_runs_guests_are_collected(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox, ledger: Ledger, clock: ManualClock
) -> None:
    dead = make_sandbox("dead")
    dead.lxc(start=1)
    vmid = dead.vmid()
    proxmox.plant(FakeGuest(vmid), maker=proxmox.user)
    bury(ledger, "dead")

    swept = collect(proxmox, dead.facts, ledger, clock=clock)

    assert [lease.vmid for lease in swept.collected] == [9000, 9001]
    assert (swept.leftovers, proxmox.guests) == ((), {})


def test_a_live_runs_guests_stay(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox, ledger: Ledger, clock: ManualClock
) -> None:
    sandbox = make_sandbox("live")
    guest = sandbox.lxc()

    swept = collect(proxmox, sandbox.facts, ledger, clock=clock)

    assert [lease.vmid for lease in swept.in_use] == [9000]
    assert guest.vmid in proxmox.guests


def test_a_dry_run_only_tells(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox, ledger: Ledger, clock: ManualClock
) -> None:
    sandbox = make_sandbox("dead")
    sandbox.lxc()
    bury(ledger, "dead")

    swept = collect(proxmox, sandbox.facts, ledger, clock=clock, dry_run=True)

    assert [lease.vmid for lease in swept.collected] == [9000]
    assert 9000 in proxmox.guests


def test_what_stays_is_named_and_keeps_its_vmid(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox, ledger: Ledger, clock: ManualClock
) -> None:
    sandbox = make_sandbox("dead")
    sandbox.lxc()
    proxmox.guests[9000].lock = "backup"
    bury(ledger, "dead")
    told: list[int] = []

    swept = collect(
        proxmox, sandbox.facts, ledger, clock=clock, progress=lambda lease: told.append(lease.vmid)
    )

    assert told == [9000]
    assert "locked (backup)" in swept.leftovers[0].reason
    assert ledger.leases(URL)[0].state is State.DIRTY


def test_a_killed_processes_foreign_neighbour_stays(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox, ledger: Ledger, clock: ManualClock
) -> None:
    """The lease says 'creating', but the VMID went to somebody else before the POST."""
    sandbox = make_sandbox("dead")
    (lease,) = ledger.claim(URL, [sandbox.span], sandbox.run)
    ledger.advance(lease, State.CREATING, kind="lxc")
    proxmox.plant(FakeGuest(9000), maker="root@pam")
    bury(ledger, "dead")

    swept = collect(proxmox, sandbox.facts, ledger, clock=clock)

    assert swept.leftovers == ()
    assert 9000 in proxmox.guests
    assert ledger.get(lease.id).state is State.RELEASED


def test_what_a_dead_simulator_held_is_forgotten(ledger: Ledger) -> None:
    living, dead = Run.here("living"), Run("dead", "main", Run.here().host, 1, "never")
    for run, target in ((living, "https://a.invalid"), (dead, "https://b.invalid")):
        ledger.register(run, target=target, kind="simulator")
        ledger.claim_exactly(target, SPAN.first, run)

    forget_dead_simulators(ledger)

    assert ledger.targets(kind="simulator") == ["https://a.invalid"]


def test_a_process_is_alive_until_it_is_killed() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    run = Run("r", "gw0", Run.here().host, process.pid, birth(process.pid) or "")
    before = run.is_alive

    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, not yet reaped: a zombie
    as_zombie = run.is_alive
    process.communicate()

    assert (before, as_zombie, run.is_alive) == (True, False, False)


def test_a_process_of_another_machine_counts_as_alive() -> None:
    assert Run("r", "main", "elsewhere", 1, "born").is_alive


@pytest.mark.parametrize("pid", [2**22 + 1, 0], ids=["no such process", "no process id"])
def test_there_is_no_birth_without_a_process(pid: int) -> None:
    assert birth(pid) is None


def test_the_last_request_of_a_dead_process_is_waited_for(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox, ledger: Ledger, clock: ManualClock
) -> None:
    """What arrives after the sweep looked would be nobody's."""
    sandbox = make_sandbox("dead")
    (lease,) = ledger.claim(URL, [SPAN], sandbox.run)
    ledger.advance(lease, State.CREATING, kind="lxc", node=NodeName("pve"))
    bury(ledger, "dead")
    clock.advance(4)
    sent = clock.now()

    collect(proxmox, sandbox.facts, ledger, clock=clock)

    assert clock.now() - sent >= Patience().request - 4


def test_a_request_that_was_answered_is_not_waited_for(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox, ledger: Ledger, clock: ManualClock
) -> None:
    sandbox = make_sandbox("dead")
    sandbox.lxc()
    bury(ledger, "dead")
    began = clock.now()

    collect(proxmox, sandbox.facts, ledger, clock=clock)

    assert clock.now() - began < Patience().request


def test_an_account_counts_what_was_made_and_what_stayed(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox, ledger: Ledger
) -> None:
    sandbox = make_sandbox("run-1")
    assert str(Account.of(ledger, "run-1", URL)) == f"nothing made on {URL}, all removed"
    sandbox.vmid()
    sandbox.lxc().destroy()
    sandbox.lxc()
    proxmox.guests[sandbox.lxc().vmid].lock = "backup"
    sandbox.close()

    assert str(Account.of(ledger, "run-1", URL)) == f"3 containers made on {URL}, 1 not removed"
