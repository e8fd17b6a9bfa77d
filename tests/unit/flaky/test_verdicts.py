"""Verdicts: what makes a test flaky, broken, fixed, or neither."""

from __future__ import annotations

import pytest

from pytest_proxmox.flaky.history import Observation, Run
from pytest_proxmox.flaky.verdicts import Sighting, judge, sightings


def _seen(text: str, *, per_commit: int = 3, in_ci: bool = True) -> list[Sighting]:
    """Evidence spelled by letters, F for a failure; so many runs share a commit."""
    return [
        Sighting(letter == "F", run, f"c{run // per_commit}", in_ci)
        for run, letter in enumerate(text)
    ]


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("P" * 30, "steady"),
        ("P" * 150 + "F" + "P" * 150, "suspect"),  # one failure in so many proves no rate
        ("PPFPPPPFPPPPPFPP" * 2, "flaky"),
        ("P" * 15 + "F" * 6, "broken"),
        ("F" * 3, "broken"),
        ("P" * 15 + "FFF" + "P" * 12, "suspect"),  # a bug of one commit, fixed in the next
        ("PFPFPPFPF" + "FFFFFFFF", "broken"),  # flaky once, and by now it always fails
        ("PFFPFPFF" + "P" * 40, "fixed"),
    ],
)
def test_a_history_has_its_verdict(text: str, state: str) -> None:
    assert judge(_seen(text)).state == state


def test_a_fix_at_the_desk_is_no_contradiction() -> None:
    work = _seen("PPPFFPPPPPPPPPPFFPPP", per_commit=100, in_ci=False)[3:10]
    assert judge(work).state != "flaky"


def test_no_commit_known_needs_more_to_and_fro() -> None:
    seen = [one._replace(commit="") for one in _seen("PFPPFPP")]
    assert judge(seen).state == "flaky"
    assert judge([one._replace(commit="") for one in _seen("PPFFPPP")]).state == "suspect"


def test_a_pass_on_retry_is_a_contradiction_wherever_it_ran() -> None:
    retried = [
        Sighting(failed, run, "", in_ci=False) for run in range(4) for failed in (True, False)
    ]
    assert judge(retried).contradictions == 1
    assert judge(retried).state == "flaky"


def test_hysteresis_keeps_a_rare_flake_through_a_short_clean_streak() -> None:
    text = ("P" * 9 + "F") * 6
    assert judge(_seen(text + "P" * 20)).state == "flaky"
    assert judge(_seen(text + "P" * 120)).state == "fixed"


def _run(id: int, *, trusted: bool = True) -> Run:
    return Run(id, str(id), id, id, 0, trusted, "c", "main", "", 0, "no", {}, {})


def test_outages_and_infrastructure_are_no_evidence() -> None:
    runs = {1: _run(1), 2: _run(2, trusted=False), 3: _run(3)}
    observed = [
        Observation(1, 1, 0, "failed", False, 0.1, "infrastructure", 1),
        Observation(1, 1, 1, "passed", True, 0.1, "", None),
        Observation(1, 2, 0, "failed", True, 0.1, "assertion", 2),
        Observation(1, 3, 0, "skipped", True, 0.1, "", None),
        Observation(1, 3, 0, "failed", True, 0.1, "assertion", 2),
    ]
    assert [one.failed for one in sightings(observed, runs)] == [False, True]
