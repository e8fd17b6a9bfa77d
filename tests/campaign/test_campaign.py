"""The clean-up campaign, a short one: benchmarks/cleanup_campaign.py runs the long ones.

``python -m benchmarks.cleanup_campaign --no-kills --seed S --only CASE`` plays one again.
"""

from __future__ import annotations

import pytest

from benchmarks.campaign.case import play
from benchmarks.campaign.events import EVENTS
from benchmarks.campaign.plan import plan

SEED = 1
CASES = 300
PARTS = 20
VIRTUAL = tuple(event for event in EVENTS if event.sort != "kill")


@pytest.mark.parametrize("part", range(PARTS), ids="part {}".format)
def test_nothing_of_ours_is_left_and_nothing_of_others_has_changed(part: int) -> None:
    plans = [plan(SEED, number, VIRTUAL) for number in range(part, CASES, PARTS)]

    verdicts = [play(one) for one in plans]

    assert [f"{one.plan}: {one.wrong}" for one in verdicts if one.wrong] == []
    assert sum(one.has_fired for one in verdicts) >= len(plans) * 0.8
