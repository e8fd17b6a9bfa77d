"""Two machines on one range: never the same VMID twice, also when one of them stands still."""

from __future__ import annotations

from benchmarks.campaign.claims import campaign

BUSY = 75.0  # a lease lasts 24 seconds: also a machine that runs all suites at once renews it


def test_no_vmid_is_held_twice_and_a_stopped_run_is_fenced_off() -> None:
    found = campaign(240, seed=1, rate=BUSY)

    assert found.doubles == []
    assert found.claims >= 240
    assert found.lost > 0
    assert found.refused > 0
