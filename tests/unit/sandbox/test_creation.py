"""Creation: how long it waits for what, and what it says when it comes to nothing."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.errors import ApiFailure, ForeignGuest, OverCap, TaskFailed
from pytest_proxmox.sandbox.baseline import Baseline
from pytest_proxmox.sandbox.lease import Lease, State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.ownership import Identity, Sighting, prove
from pytest_proxmox.sandbox.quota import Demand
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.spellings import Caps
from pytest_proxmox.values import GuestRef, LeaseId, NodeName, Upid, Vmid
from tests.unit.sandbox.conftest import SPAN, URL
from tests.unit.sandbox.fake import FakeProxmox


def test_a_lease_knows_what_its_guest_is_made_by(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    source = sandbox.lxc()
    clone = source.clone()

    made = ledger.get(clone.lease.id)
    assert (made.kind, made.node, made.source) == ("lxc", "pve", source.vmid)
    assert (made.state, made.maker) == (State.LIVE, "sandbox")
    assert str(made.upid) == proxmox.tasks[-1].upid
    first = ledger.get(source.lease.id)
    assert (str(first.upid), first.source) == (proxmox.tasks[0].upid, None)


def test_a_source_that_stays_busy_is_waited_for_two_minutes(
    sandbox: Sandbox, proxmox: FakeProxmox, clock: ManualClock
) -> None:
    guest = sandbox.lxc()
    proxmox.fail("POST", "clone$", 500, "CT is locked (disk)", times=999)
    began = clock.monotonic()

    with pytest.raises(ApiFailure, match="is locked"):
        guest.clone()

    assert clock.monotonic() - began == pytest.approx(120.5)


def test_a_lock_on_nobodys_source_is_not_waited_for(
    sandbox: Sandbox, proxmox: FakeProxmox, clock: ManualClock
) -> None:
    proxmox.fail("POST", "lxc$", 500, "CT is locked (disk)", times=999)
    began = clock.monotonic()

    with pytest.raises(ApiFailure, match="is locked"):
        sandbox.lxc()

    assert clock.monotonic() == began


def test_a_lost_answers_task_is_looked_for_as_long_as_lists_are_late(
    sandbox: Sandbox, proxmox: FakeProxmox, clock: ManualClock
) -> None:
    proxmox.lose("POST", "nodes/pve/lxc$", after=False)
    began = clock.monotonic()

    with pytest.raises(ApiFailure, match="no answer"):
        sandbox.lxc()

    assert clock.monotonic() - began == pytest.approx(5.5)


def test_a_task_that_is_listed_late_is_found(
    sandbox: Sandbox, proxmox: FakeProxmox, clock: ManualClock
) -> None:
    proxmox.lose("POST", "nodes/pve/lxc$", after=True)
    listed, began = proxmox.node_tasks, clock.monotonic()

    def late(node: str, **wanted: Any) -> list[dict[str, Any]]:
        return listed(node, **wanted) if clock.monotonic() - began >= 2 else []

    sandbox.open()
    proxmox.node_tasks = late  # type: ignore[method-assign]

    assert sandbox.lxc().vmid == 9000
    assert clock.monotonic() - began == pytest.approx(2, abs=0.1)


def test_a_clones_lost_answer_is_looked_up_under_its_source(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    source = sandbox.lxc()
    proxmox.lose("POST", "clone$", after=True)

    clone = source.clone()

    assert ledger.get(clone.lease.id).upid == Upid.parse(proxmox.tasks[-1].upid)
    assert proxmox.calls.count("POST nodes/pve/lxc/9000/clone") == 1


def test_a_failed_create_names_what_it_made(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    proxmox.exit_statuses["vzcreate"] = "something nobody has seen"

    with pytest.raises(TaskFailed) as caught:
        sandbox.lxc()

    assert str(caught.value).startswith("create lxc/9000 on pve failed: something nobody has seen")
    (note,) = caught.value.__notes__
    assert note.startswith("left behind: lxc/9000 on pve: ")


def test_a_failed_clone_names_source_and_guest(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.lxc()
    proxmox.exit_statuses["vzclone"] = "something nobody has seen"

    with pytest.raises(TaskFailed, match=r"^clone of lxc/9000 on pve as lxc/9001 on pve failed: "):
        guest.clone()


def test_a_vmid_that_was_lost_to_somebody_is_left_to_them_for_good(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    proxmox.fail("POST", "nodes/pve/lxc$", 500, "CT 9000 already exists on node 'pve'")

    sandbox.lxc()

    assert ledger.foreigners(URL, sandbox.run) == [9000]


# The quota ------------------------------------------------------------------------------------


def lease_of(ledger: Ledger, worker: str, *, target: str = URL) -> Lease:
    """A new lease of a worker of the run."""
    (made,) = ledger.claim(target, [SPAN], Run.here("run-1", worker=worker))
    return made


def test_the_wait_for_others_is_a_quarter_of_an_hour(ledger: Ledger, clock: ManualClock) -> None:
    ledger.quota.hold(lease_of(ledger, "gw1"), Demand(), Caps(guests=1))
    began = clock.now()

    with pytest.raises(OverCap) as caught:
        ledger.quota.hold(lease_of(ledger, "gw0"), Demand(), Caps(guests=1))

    assert clock.now() - began == pytest.approx(900.5)
    assert (
        "caps: guests: 2 are needed at a time, and the cap is 1; other workers made no room in 15 "
        "min (--proxmox-caps)" in str(caught.value)
    )


def test_a_guest_counts_once_on_its_target_and_until_it_is_released(
    ledger: Ledger, clock: ManualClock
) -> None:
    began = clock.now()
    first = lease_of(ledger, "gw0")
    for _ in range(2):
        ledger.quota.hold(first, Demand(100, 1), Caps(memory_mib=100, disk_gib=1, guests=1))
    elsewhere = lease_of(ledger, "gw0", target="https://other.invalid")
    ledger.quota.hold(elsewhere, Demand(100, 1), Caps(memory_mib=100))
    ledger.advance(first, State.RELEASED)
    ledger.quota.hold(lease_of(ledger, "gw0"), Demand(100, 1), Caps(memory_mib=100))

    assert clock.now() == began


def test_without_caps_nothing_is_counted(ledger: Ledger) -> None:
    ledger.quota.hold(lease_of(ledger, "gw0"), Demand(10**6, 10**6), Caps())

    ledger.quota.hold(lease_of(ledger, "gw0"), Demand(100, 1), Caps(memory_mib=100))
    assert ledger._book.read("SELECT COUNT(*) FROM demands")[0][0] == 1


def test_a_demand_that_nobody_can_read_is_what_pve_gives() -> None:
    assert Demand.of({"memory": "much"}) == Demand(512, 0)
    assert Demand.of({"scsi0": "none", "efidisk0": "a:1", "net0": "a:7"}) == Demand(512, 1)
    assert Demand.of({"sata1": "a:b,size=512K", "ide0": "a:b,size=1073741824"}) == Demand(
        512, 2**-11 + 1
    )


# Why a guest is not ours ----------------------------------------------------------------------

MINE, OTHER = LeaseId("n0123456789ab"), LeaseId("nffffffffffff")
REF = GuestRef(Vmid(9001), "lxc", NodeName("pve"))


def made_by(user: str, start: int = 101) -> Upid:
    """A create of the guest."""
    return Upid(NodeName("pve"), 1, 1, start, "vzcreate", "9001", user)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (Sighting(REF), "no pool or description of ours, and no task of ours made it"),
        (
            Sighting(REF, makers=(made_by("root@pam"),)),
            "it was made by root@pam (vzcreate), and we are pt@pve!ci",
        ),
        (
            Sighting(REF, makers=(made_by("pt@pve!ci", 99),)),
            "it was made before this run, by pt@pve!ci",
        ),
        (
            Sighting(REF, makers=(made_by("pt@pve!ci"),)),
            f"it was made by pt@pve!ci too, but does not carry the mark of lease {MINE}",
        ),
        (
            Sighting(REF, description=f"pytest-proxmox lease {OTHER} run other"),
            f"its description names lease {OTHER} of another run",
        ),
        (
            Sighting(REF, pool=f"p/b9000-9009/{OTHER}"),
            f"it is in another lease's pool, p/b9000-9009/{OTHER}",
        ),
    ],
    ids=["no trace", "another user", "before", "no mark", "another mark", "another pool"],
)
def test_why_a_guest_is_not_ours_is_said_in_full(seen: Sighting, reason: str) -> None:
    before = Upid(NodeName("pve"), 1, 1, 100, "vzcreate", "1", "pt@pve!ci")
    us = Identity("pt@pve!ci", "run", Baseline.of({NodeName("pve"): [before]}))
    lease = Lease(MINE, URL, Vmid(9001), "run", "main", State.LIVE)

    with pytest.raises(ForeignGuest) as caught:
        prove(lease, seen, us)

    assert caught.value.reason == reason
    assert caught.value.guest == "lxc/9001 on pve"
