"""What the history says of each test: steady, flaky or broken, with hysteresis between them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from pytest_proxmox.flaky import statistics
from pytest_proxmox.flaky.failures import is_infrastructure
from pytest_proxmox.flaky.history import History, Observation, Run
from pytest_proxmox.report.events import BAD, PASSED, XPASSED

STEADY = "steady"
FLAKY = "flaky"
BROKEN = "broken"
SUSPECT = "suspect"  # it has failed, and the evidence for any of the others is too thin
FIXED = "fixed"  # was flaky, and has passed for too long to be so still

FLAKE_RATE = 0.01  # a test that fails more often than this without a cause is flaky
LEAST_FLIPS = 4  # what counts as to and fro where no two runs have the same commit
RELEASE_RUNS = 10  # the shortest clean streak that can release a test, however flaky it was
LIKELY = 0.5  # enough of a rate for a test that has contradicted itself on one commit
RELEASE_CHANCE = 0.01  # a clean streak less likely than this at the old rate is no good luck
BREAK_CHANCE = 0.001  # a streak of failures less likely than this is no bad luck


class Sighting(NamedTuple):
    """One attempt that is evidence: whether it failed, in which run, on which commit."""

    failed: bool
    run: int
    commit: str
    in_ci: bool


class Judgement(NamedTuple):
    """The verdict on a test with the figures it rests on."""

    state: str
    runs: int
    failures: int
    rate: float
    bounds: statistics.Interval
    probability: float
    flip_rate: float
    contradictions: int
    clean_streak: int


def sightings(observations: Iterable[Observation], runs: Mapping[int, Run]) -> list[Sighting]:
    """Return what of a test's attempts is evidence.

    Left out: runs with too many failures to blame the tests, failures of the infrastructure,
    and outcomes that say nothing (skipped, expected failures).
    """
    found = []
    for one in observations:
        run = runs[one.run]
        failed = one.outcome in BAD
        if not run.trusted or (not failed and one.outcome not in (PASSED, XPASSED)):
            continue
        if failed and is_infrastructure(one.kind):
            continue
        found.append(Sighting(failed, one.run, run.commit, "ci" in run.environment))
    return found


def judge(seen: Sequence[Sighting]) -> Judgement:
    """Return the verdict on a test from its evidence, oldest first."""
    outcomes = [one.failed for one in seen]
    count, failures = len(outcomes), sum(outcomes)
    probability = statistics.probability_above(FLAKE_RATE, failures, count)
    contradictions = _contradictions(seen) if failures else 0
    if contradictions:  # proven without a model; only its rate is in question
        wavers = probability > LIKELY
    else:
        wavers = (
            probability > statistics.CONFIDENCE
            and statistics.flips(outcomes) >= LEAST_FLIPS
            and not _commits_repeat(seen)
        )
    streak = _streak(outcomes, failed=False)
    if _is_broken(outcomes):
        state = BROKEN
    elif wavers:
        state = FIXED if _is_released(failures, count, streak) else FLAKY
    else:
        state = SUSPECT if failures else STEADY
    return Judgement(
        state=state,
        runs=count,
        failures=failures,
        rate=failures / count if count else 0.0,
        bounds=statistics.wilson(failures, count),
        probability=probability,
        flip_rate=statistics.flip_rate(outcomes),
        contradictions=contradictions,
        clean_streak=streak,
    )


def judge_failing(history: History, project: str) -> None:
    """Judge anew the tests that have ever failed, and store it: the next run asks for it."""
    failed = history.ever_failed(project)
    if not failed:
        return
    runs = {run.id: run for run in history.runs(project)}
    now = max(run.started for run in runs.values())
    found = []
    for test, observations in by_test(history.observations(project, tests=failed)):
        verdict = judge(sightings(observations, runs))
        found.append((test, verdict.state, verdict.rate, now))
    history.judge(found)


def released(history: History, project: str, nodeids: Container[str]) -> list[tuple[str, int]]:
    """Return those of these tests that need no quarantine any more, each with its clean streak.

    A flaky test must be fixed; one that was broken, or failed for a reason that is gone, must
    have passed as often as the shortest release takes.
    """
    names = {id: name for id, (name, _) in history.tests(project).items() if name in nodeids}
    if not names:
        return []
    runs = {run.id: run for run in history.runs(project)}
    found = []
    for test, observations in by_test(history.observations(project, tests=sorted(names))):
        verdict = judge(sightings(observations, runs))
        may_go = verdict.state in (FIXED, STEADY, SUSPECT)
        if may_go and verdict.clean_streak >= RELEASE_RUNS:
            found.append((names[test], verdict.clean_streak))
    return sorted(found)


def by_test(observations: Iterable[Observation]) -> Iterator[tuple[int, Iterator[Observation]]]:
    """Yield each test with its attempts, from attempts that come test by test."""
    return groupby(observations, key=lambda one: one.test)


def _contradictions(seen: Sequence[Sighting]) -> int:
    """How many commits passed and failed alike: Google's definition of flaky.

    A pass after a failure on one commit is a contradiction within one run or on a CI; at a
    desk it may be work in progress, so there a test must go to and fro.
    """
    by_commit: dict[str, list[Sighting]] = {}
    for one in seen:
        by_commit.setdefault(one.commit, []).append(one)
    count = 0
    for commit, sighted in by_commit.items():
        count += _wavers_in_a_run(sighted) or (commit != "" and _wavers(sighted))
    return count


def _wavers(sighted: Sequence[Sighting]) -> bool:
    needed = 1 if all(one.in_ci for one in sighted) else 2
    return statistics.flips([one.failed for one in sighted]) >= needed


def _wavers_in_a_run(sighted: Sequence[Sighting]) -> bool:
    return any(
        statistics.flips([one.failed for one in attempts]) > 0
        for _, attempts in groupby(sighted, key=lambda one: one.run)
    )


def _commits_repeat(seen: Sequence[Sighting]) -> bool:
    commits = {one.run: one.commit for one in seen if one.commit}
    return len(set(commits.values())) < len(commits)


def _streak(outcomes: Sequence[bool], *, failed: bool) -> int:
    count = 0
    for outcome in reversed(outcomes):
        if outcome is not failed:
            break
        count += 1
    return count


def _is_broken(outcomes: Sequence[bool]) -> bool:
    """Whether it fails every time by now, which its rate before does not explain."""
    streak = _streak(outcomes, failed=True)
    before = outcomes[: len(outcomes) - streak]
    if streak == 0:
        return False
    if not any(before):  # it never failed before: the first failure is no flake yet
        return streak >= 2 or not before
    rate = statistics.posterior_mean(sum(before), len(before))
    return bool(rate**streak < BREAK_CHANCE)


def _is_released(failures: int, count: int, streak: int) -> bool:
    """Whether the clean streak shows a rate below all that its flaky time left possible."""
    if streak < RELEASE_RUNS:
        return False
    was = statistics.wilson(failures, count - streak).low
    return statistics.probability_above(was, 0, streak) < RELEASE_CHANCE
