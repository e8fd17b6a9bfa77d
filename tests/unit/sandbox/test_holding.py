"""What a sandbox holds for others: pools, slots, caps, guests that are kept or shared."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.errors import ForeignGuest, LeaseError, LeaseLost, OverCap
from pytest_proxmox.sandbox.blocks import LEASE_S, Blocks
from pytest_proxmox.sandbox.lease import State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.spellings import Caps
from pytest_proxmox.values import Vmid, VmidRange
from tests.unit.sandbox.conftest import SPAN, URL
from tests.unit.sandbox.fake import FakeGuest, FakeProxmox

Make = Callable[..., Sandbox]


def test_leaving_a_sandbox_clears_it(make_sandbox: Make, proxmox: FakeProxmox) -> None:
    with make_sandbox() as sandbox:
        sandbox.lxc()

    assert proxmox.guests == {}


# Pools ----------------------------------------------------------------------------------------


def test_guests_are_made_in_the_pool_of_their_block(
    make_sandbox: Make, proxmox: FakeProxmox
) -> None:
    sandbox = make_sandbox(pool="pytest")
    guest = sandbox.lxc()

    (block,) = [pool for pool in proxmox.pools if pool.count("/") == 2]
    assert proxmox.guests[guest.vmid].pool == block == sandbox.pool_of(guest.vmid)
    assert block.startswith("pytest/b9000-9009/n")
    assert sandbox.close() == []
    assert sandbox.sweep_run() == []
    assert list(proxmox.pools) == ["pytest"]


def test_without_pools_there_is_none_to_name(sandbox: Sandbox) -> None:
    assert sandbox.pool_of(sandbox.vmid()) is None


def test_the_range_is_what_blocks_are_taken_of(make_sandbox: Make, proxmox: FakeProxmox) -> None:
    sandbox = make_sandbox(pool="pytest", span=VmidRange.parse("9018-9029"))

    assert sandbox.block(3) == VmidRange.parse("9018-9020")
    assert sandbox.lxc(vmid=9027).vmid == 9027


def test_a_create_whose_pool_is_gone_is_a_lost_lease(
    make_sandbox: Make, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    sandbox = make_sandbox(pool="pytest")
    vmid = sandbox.vmid()
    (block,) = [pool for pool in proxmox.pools if pool.count("/") == 2]
    del proxmox.pools[block]

    with pytest.raises(LeaseLost, match="pytest/b9000-9009"):
        sandbox.lxc()

    rows = {lease.vmid: lease.state for lease in ledger.leases(URL, states=tuple(State))}
    assert rows == {vmid: State.RESERVED, vmid + 1: State.RELEASED}
    proxmox.plant(FakeGuest(vmid))
    assert sandbox.close() == []  # whatever is there is another run's to clear
    assert list(proxmox.guests) == [vmid]
    assert ledger.leases(URL) == []


def test_the_last_worker_gives_the_blocks_back(make_sandbox: Make, proxmox: FakeProxmox) -> None:
    one = make_sandbox(pool="pytest", worker="gw0")
    two = make_sandbox(pool="pytest", worker="gw1")
    one.vmid()
    guest = two.lxc()

    assert one.sweep_run() == []
    assert len(proxmox.pools) == 3
    assert guest.vmid in proxmox.guests
    assert two.sweep_run() == []
    assert (list(proxmox.pools), proxmox.guests) == (["pytest"], {})


# Slots and caps -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "used"), [("real", ["local"]), ("simulator", [])], ids=["real", "simulator"]
)
def test_a_create_holds_a_slot_of_its_storage_on_a_real_node(
    make_sandbox: Make, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, kind: str, used: list[str]
) -> None:
    asked: list[tuple[str, str, str, int]] = []

    def use(target: str, storage: str, run: Run, *, limit: int) -> AbstractContextManager[None]:
        asked.append((target, storage, run.id, limit))
        return nullcontext()

    monkeypatch.setattr(ledger.slots, "use", use)
    make_sandbox(kind=kind, slots=7).lxc()

    assert asked == [(URL, storage, "run-1", 7) for storage in used]


def test_a_guest_over_a_cap_is_not_made_and_its_vmid_is_free_again(
    make_sandbox: Make, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    sandbox = make_sandbox(caps=Caps(memory_mib=600))
    sandbox.lxc(memory=256)

    with pytest.raises(OverCap, match="memory: 768 MiB are needed at a time"):
        sandbox.lxc(memory=512)

    assert list(proxmox.guests) == [9000]
    assert [lease.vmid for lease in ledger.leases(URL)] == [9000]
    assert sandbox.lxc(memory=300).vmid in proxmox.guests


def test_a_clone_is_as_large_as_its_source(make_sandbox: Make, proxmox: FakeProxmox) -> None:
    sandbox = make_sandbox(caps=Caps(memory_mib=600))
    source = sandbox.lxc(memory=256)
    shown = proxmox.config
    proxmox.config = lambda *where: shown(*where) | {"memory": 400}  # type: ignore[method-assign]

    with pytest.raises(OverCap, match="656 MiB"):
        source.clone()


# Guests that stay, and guests of two sandboxes ------------------------------------------------


def test_a_guest_that_is_kept_stays_until_its_time(
    make_sandbox: Make, proxmox: FakeProxmox, clock: ManualClock
) -> None:
    sandbox = make_sandbox()
    guest, vmid = sandbox.lxc(), sandbox.vmid()

    (kept,) = sandbox.keep(for_s=60)

    assert (kept.vmid, kept.kept_until) == (guest.vmid, clock.now() + 60)
    assert sandbox.close() == []
    assert list(proxmox.guests) == [guest.vmid]
    assert vmid != guest.vmid
    clock.advance(61)
    assert make_sandbox("run-1").sweep_run() == []
    assert proxmox.guests == {}


def test_only_what_is_named_is_kept(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    one, two = sandbox.lxc(), sandbox.lxc()

    assert [lease.vmid for lease in sandbox.keep([two.lease], for_s=60)] == [two.vmid]
    assert sandbox.close() == []
    assert list(proxmox.guests) == [two.vmid]
    assert one.vmid not in proxmox.guests


def test_the_block_of_a_guest_that_is_kept_is_held_as_long(
    make_sandbox: Make, clock: ManualClock
) -> None:
    sandbox = make_sandbox(pool="pytest")
    sandbox.lxc()
    assert isinstance(sandbox.ground, Blocks)

    sandbox.keep(for_s=3 * LEASE_S)

    (block,) = sandbox.ground.held()
    assert block.expires == clock.now() + 3 * LEASE_S


def test_a_lease_of_two_sandboxes_is_released_by_who_ends_first(
    make_sandbox: Make, proxmox: FakeProxmox
) -> None:
    one, two = make_sandbox(), make_sandbox()
    guest = one.lxc()
    two.join(guest.lease)
    two.join(guest.lease)

    assert two.close() == []
    assert proxmox.guests == {}
    assert one.close() == []


# What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", [None, "pytest"], ids=["no pools", "pools"])
def test_a_vmid_that_another_lease_holds_is_refused(make_sandbox: Make, pool: str | None) -> None:
    sandbox = make_sandbox(pool=pool)
    sandbox.vmid()

    with pytest.raises(LeaseError) as caught:
        sandbox.lxc(vmid=9000)

    assert str(caught.value) == (
        "lease (none): VMID 9000 is held by another lease. Take an id from the fixture vmid, or "
        "register the one that the app chose"
    )


def test_a_vmid_that_was_there_before_us_is_refused(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    proxmox.plant(FakeGuest(9005))

    with pytest.raises(ForeignGuest) as caught:
        sandbox.lxc(vmid=9005)

    assert str(caught.value) == (
        "guest/9005 is not ours, so it was left alone: it was there before us. Take an id from the "
        "fixture vmid, or leave vmid= out"
    )
    assert ledger.leases(URL) == []


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (
            lambda ledger, lease: ledger.advance(lease, State.DIRTY),
            "{id}: reserved cannot become dirty. Wait for what uses the guest before the next "
            "step; if your code does not use it twice at once, report it",
        ),
        (
            lambda ledger, lease: ledger.get("n000000000000"),
            "n000000000000: not in the ledger. Leave the ledger's file alone while tests run; see "
            "what it holds with: pytest-proxmox leases",
        ),
    ],
    ids=["a step out of order", "no such lease"],
)
def test_the_ledger_says_what_to_do(
    ledger: Ledger, do: Callable[[Ledger, Any], object], message: str
) -> None:
    (lease,) = ledger.claim(URL, [SPAN], Run.here("run-1"))

    with pytest.raises(LeaseError) as caught:
        do(ledger, lease)

    assert str(caught.value) == "lease " + message.format(id=lease.id)


def test_a_target_is_listed_with_its_runs(ledger: Ledger, clock: ManualClock) -> None:
    ledger.register(Run.here("b"), target=URL, kind="real", user="pt@pve")
    clock.advance(1)
    ledger.register(Run.here("a"), target=URL, kind="real")
    ledger.register(Run.here("a"), target="https://b", kind="real")

    assert ledger.runs(URL) == ["b", "a"]
    assert ledger.targets_of("a") == ["https://b", URL]
    assert [ledger.user(run, URL) for run in ("b", "a", "c")] == ["pt@pve", "root@pam", None]
    assert ledger.targets(kind="real") == []
    ledger.claim(URL, [SPAN], Run.here("a"))
    assert ledger.targets(kind="real") == [URL]
    assert ledger.targets(kind="simulator") == []


def test_a_field_that_a_lease_does_not_have_is_refused(ledger: Ledger) -> None:
    (lease,) = ledger.claim(URL, [SPAN], Run.here("run-1"))

    with pytest.raises(TypeError, match="colour"):
        ledger.note(lease, colour="red")


def test_the_time_of_a_leases_state_is_known(ledger: Ledger, clock: ManualClock) -> None:
    (lease,) = ledger.claim(URL, [SPAN], Run.here("run-1"))
    clock.advance(5)
    ledger.note(lease, node="pve")
    before = ledger.changed(lease)
    moved = ledger.advance(lease, State.CREATING, kept_until=7)

    assert ledger.changed(moved) - before == 5
    assert (moved.node, moved.kept_until) == ("pve", 7.0)


def test_the_reapers_place_is_taken_once(ledger: Ledger) -> None:
    ledger.register(Run.here("run-1"), target=URL, kind="real")

    assert ledger.reaper("run-1", URL) is None
    assert ledger.set_reaper("run-1", URL, "here", instead_of=None)
    assert not ledger.set_reaper("run-1", URL, "there", instead_of=None)
    assert ledger.reaper("run-1", URL) == "here"
    assert ledger.set_reaper("run-1", URL, None, instead_of="here")
    assert ledger.reaper("run-1", URL) is None
    assert ledger.reaper("run-2", URL) is None


def test_an_exact_vmid_may_be_outside_the_range_where_one_process_has_all(
    sandbox: Sandbox,
) -> None:
    assert sandbox.lxc(vmid="9500").vmid == Vmid(9500)
