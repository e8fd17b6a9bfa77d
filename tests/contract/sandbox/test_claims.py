"""Two machines on one range: never the same VMID twice, also when one of them stands still."""

from __future__ import annotations

import pytest

from benchmarks.campaign.claims import campaign


@pytest.mark.xfail(
    strict=False,
    reason="issue 4: on a busy machine, and always where RATE is 300, a run that stood still "
    "counts VMIDs beside the run that took its block over; not known yet whose mistake it is",
)
def test_no_vmid_is_held_twice_and_a_stopped_run_is_fenced_off() -> None:
    found = campaign(240, seed=1)

    assert found.doubles == []
    assert found.claims >= 240
    assert found.lost > 0
