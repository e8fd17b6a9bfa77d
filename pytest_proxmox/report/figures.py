"""The figures of a project, from its history in one pass: what every report prints."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from pytest_proxmox.flaky import statistics, verdicts
from pytest_proxmox.flaky.history import History, Observation, Run
from pytest_proxmox.report.events import BAD, PASSED, SKIPPED, XFAILED, XPASSED, Attempt, Failure

TREND_RUNS = 50  # Mann and Kendall's test compares all pairs of them
CLUSTER_TESTS = 2000  # so many failing tests are an outage, not clusters
_LASTING = 10  # recent outcomes that are drawn as marks


class TestFigures(NamedTuple):
    """One test over all runs."""

    nodeid: str
    markers: str
    verdict: verdicts.Judgement
    last: str
    recent: str  # one letter a run, the newest last: . passed, F failed, R passed on retry, s other
    attempts: int
    reruns: int
    infrastructure: int
    duration_s: float
    trend: statistics.Trend
    failure: Failure | None

    @property
    def module(self) -> str:
        """The file that the test is in."""
        return self.nodeid.partition("::")[0]


class RunFigures(NamedTuple):
    """One run: how many tests ended in which outcome."""

    run: Run
    totals: dict[str, int]

    @property
    def judged(self) -> int:
        """How many tests passed or failed; skipped ones say nothing."""
        other = self.totals.get(SKIPPED, 0) + self.totals.get(XFAILED, 0)
        return sum(self.totals.values()) - other

    @property
    def passed(self) -> int:
        """How many tests passed, an unexpected pass among them."""
        return self.totals.get(PASSED, 0) + self.totals.get(XPASSED, 0)

    @property
    def failed(self) -> int:
        """How many tests failed, in whatever way."""
        return sum(self.totals.get(outcome, 0) for outcome in BAD)

    @property
    def pass_rate(self) -> float:
        """Passed by judged, 1 where nothing was judged."""
        return self.passed / self.judged if self.judged else 1.0


class ClusterFigures(NamedTuple):
    """Tests that fail together, and the failure that most of them show."""

    nodeids: tuple[str, ...]
    runs: int
    message: str


class Figures(NamedTuple):
    """Everything that reports show of a project; ``latest`` has the last run's attempts."""

    project: str
    runs: tuple[RunFigures, ...]
    tests: tuple[TestFigures, ...]
    clusters: tuple[ClusterFigures, ...]
    latest: tuple[Attempt, ...]

    @property
    def last(self) -> RunFigures:
        """The run that was last."""
        return self.runs[-1]

    @property
    def flaky(self) -> list[TestFigures]:
        """The tests that are flaky, the worst first."""
        found = [test for test in self.tests if test.verdict.state == verdicts.FLAKY]
        return sorted(found, key=lambda test: (-test.verdict.rate, test.nodeid))

    def in_state(self, state: str) -> list[TestFigures]:
        """Return the tests of this state, by name."""
        return sorted(t for t in self.tests if t.verdict.state == state)


def gather(history: History, project: str) -> Figures | None:
    """Return the figures of a project, None when it has no runs.

    Reads the attempts once, test by test: memory holds one test's attempts and the sums.
    """
    runs = history.runs(project)
    if not runs:
        return None
    by_id = {run.id: run for run in runs}
    names = history.tests(project)
    failures = history.failures()
    tests: list[TestFigures] = []
    failing: dict[int, frozenset[int]] = {}
    causes: dict[int, int] = {}
    for test, stream in verdicts.by_test(history.observations(project)):
        observed = list(stream)
        found = _test(*names[test], observed, by_id, failures)
        tests.append(found)
        bad = [one for one in observed if one.outcome in BAD and by_id[one.run].trusted]
        if bad:
            failing[test] = frozenset(one.run for one in bad)
            causes[test] = bad[-1].failure or 0
    totals = history.totals(project)
    return Figures(
        project=project,
        runs=tuple(RunFigures(run, totals.get(run.id, {})) for run in runs),
        tests=tuple(tests),
        clusters=_clusters(failing, causes, names, failures),
        latest=tuple(history.attempts(runs[-1].id)),
    )


def _test(
    nodeid: str,
    markers: str,
    observed: Sequence[Observation],
    runs: dict[int, Run],
    failures: dict[int, Failure],
) -> TestFigures:
    finals = [one for one in observed if one.final]
    durations = [one.duration_s for one in finals if one.outcome == PASSED][-TREND_RUNS:]
    causes = [one.failure for one in observed if one.failure is not None]
    return TestFigures(
        nodeid=nodeid,
        markers=markers,
        verdict=verdicts.judge(verdicts.sightings(observed, runs)),
        last=finals[-1].outcome if finals else "",
        recent=_recent(observed[-3 * _LASTING :]),
        attempts=len(observed),
        reruns=len(observed) - len(finals),
        infrastructure=sum(one.kind in ("infrastructure", "timeout", "crash") for one in observed),
        duration_s=median(durations) if durations else 0.0,
        trend=statistics.trend(durations) if _may_drift(durations) else statistics.Trend(0.0, 1.0),
        failure=failures[causes[-1]] if causes else None,
    )


def _may_drift(durations: Sequence[float]) -> bool:
    """Whether the halves differ enough to be worth the full test: it takes all pairs."""
    if len(durations) < 8:
        return False
    half = len(durations) // 2
    before = median(durations[:half])
    after = median(durations[half:])
    return abs(after - before) > max(0.1 * before, 0.005)


def _recent(observed: Sequence[Observation]) -> str:
    letters: list[str] = []
    retried = False
    for one in observed:
        if not one.final:
            retried = True
            continue
        if one.outcome in BAD:
            letters.append("F")
        elif one.outcome in (PASSED, XPASSED):
            letters.append("R" if retried else ".")
        else:
            letters.append("s")
        retried = False
    return "".join(letters[-_LASTING:])


def _clusters(
    failing: dict[int, frozenset[int]],
    causes: dict[int, int],
    names: dict[int, tuple[str, str]],
    failures: dict[int, Failure],
) -> tuple[ClusterFigures, ...]:
    if len(failing) > CLUSTER_TESTS:
        return ()
    found = []
    for cluster in statistics.clusters(failing):
        shown = [causes[test] for test in cluster.tests]
        cause = failures.get(max(set(shown), key=lambda one: (shown.count(one), -one)))
        found.append(
            ClusterFigures(
                tuple(names[test][0] for test in cluster.tests),
                cluster.runs,
                cause.message if cause else "",
            )
        )
    return tuple(found)
