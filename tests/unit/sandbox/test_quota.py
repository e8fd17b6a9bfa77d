"""A run stays under its caps: workers wait for others, and are told when nobody can help."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.errors import OverCap
from pytest_proxmox.sandbox.lease import Lease, State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.quota import Demand
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.spellings import Caps
from tests.unit.sandbox.conftest import SPAN, URL


def lease(ledger: Ledger, worker: str = "gw0") -> Lease:
    """Return a new lease of one worker of the run."""
    (made,) = ledger.claim(URL, [SPAN], Run.here("run-1", worker=worker))
    return made


@pytest.mark.parametrize(
    ("settings", "demand"),
    [
        ({}, Demand(512, 0)),
        ({"memory": 2048, "rootfs": "local-lvm:8"}, Demand(2048, 8)),
        ({"memory": "256", "rootfs": "local:1,x=1", "mp0": "fast:4,mp=/data"}, Demand(256, 5)),
        ({"memory": "current=128,max=256"}, Demand(128, 0)),
        ({"scsi0": "local:9000/vm-9000-disk-0.raw,size=512M", "ide2": "none"}, Demand(512, 0.5)),
        ({"virtio1": "a:b,size=1T"}, Demand(512, 1024)),
    ],
    ids=["nothing", "new disk", "two disks", "of a VM", "existing", "large"],
)
def test_demand_is_read_from_settings(settings: dict[str, Any], demand: Demand) -> None:
    assert Demand.of(settings) == demand


@pytest.mark.parametrize(
    ("caps", "message"),
    [
        (Caps(guests=1), "guests: 2 are needed at a time, and the cap is 1"),
        (Caps(memory_mib=800), "memory: 1024 MiB are needed at a time, and the cap is 800 MiB"),
        (Caps(disk_gib=3), "disk: 4 GiB are needed at a time, and the cap is 3 GiB"),
    ],
    ids=["guests", "memory", "disk"],
)
def test_worker_that_would_wait_for_itself_is_told_at_once(
    ledger: Ledger, clock: ManualClock, caps: Caps, message: str
) -> None:
    began = clock.now()
    ledger.quota.hold(lease(ledger), Demand(512, 2), caps)
    with pytest.raises(OverCap, match=message):
        ledger.quota.hold(lease(ledger), Demand(512, 2), caps)
    assert clock.now() == began


def test_worker_waits_until_another_one_makes_room(
    ledger: Ledger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = lease(ledger, "gw1")
    ledger.quota.hold(theirs, Demand(), Caps(guests=1))
    naps: list[float] = []

    def nap(duration_s: float) -> None:
        naps.append(duration_s)
        if len(naps) == 3:
            ledger.advance(theirs, State.RELEASED)

    monkeypatch.setattr(clock, "sleep", nap)
    ledger.quota.hold(lease(ledger), Demand(), Caps(guests=1))
    assert len(naps) == 3


def test_wait_for_others_ends(ledger: Ledger) -> None:
    ledger.quota.hold(lease(ledger, "gw1"), Demand(), Caps(guests=1))
    with pytest.raises(OverCap, match="other workers made no room in 15 min"):
        ledger.quota.hold(lease(ledger), Demand(), Caps(guests=1))


def test_other_runs_do_not_count(ledger: Ledger, clock: ManualClock) -> None:
    began = clock.now()
    (other,) = ledger.claim(URL, [SPAN], Run.here("run-2", worker="gw0"))
    ledger.quota.hold(other, Demand(), Caps(guests=1))
    ledger.quota.hold(lease(ledger), Demand(), Caps(guests=1))
    assert clock.now() == began
