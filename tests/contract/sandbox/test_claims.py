"""Two machines on one range: never the same VMID twice, also when one of them stands still."""

from __future__ import annotations

from benchmarks.campaign.claims import campaign


def test_no_vmid_is_held_twice_and_a_stopped_run_is_fenced_off() -> None:
    found = campaign(240, seed=1)

    assert found.doubles == []
    assert found.claims >= 240
    assert found.lost > 0
