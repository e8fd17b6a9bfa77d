"""Flaky tests: how many are found, whether a bug is ever hidden, what ``order`` and history cost.

A made-up project of 1,000 tests with known flake rates, order dependencies, failures of the
infrastructure and true bugs runs 60 times, each time in another order, for three seeds.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import harness
from pytest_proxmox.flaky import statistics, verdicts
from pytest_proxmox.flaky.connection import Place
from pytest_proxmox.flaky.history import History
from pytest_proxmox.flaky.order import Search, most_runs
from pytest_proxmox.flaky.ordering import NAME, SEED_VARIABLE, VARIABLE
from pytest_proxmox.flaky.runs import PytestRunner
from pytest_proxmox.report.events import BAD

TESTS = 1000
MODULES = 40
RUNS = int(os.environ.get("FLAKY_BENCH_RUNS", "60"))
RUNS_A_COMMIT = 3
SEEDS = (1, 2, 3)
FLAKY, VICTIMS, INFRASTRUCTURE, BUGS = 60, 3, 30, 20
RATES = (0.05, 0.50)
PLUGINS = "-p asyncio -p rerunfailures -p proxmox"
TRIVIAL = 2000

PLAY = '''
"""What a test of the made-up project does, from the table in truth.json."""
import json, os, random
from pathlib import Path
TRUTH = json.loads(Path(__file__).with_name("truth.json").read_text())
RUN = int(os.environ.get("RUN", "0"))
COMMIT = RUN // TRUTH["runs_a_commit"]
state = {}
tries = {}

def play(n):
    what = TRUTH["tests"].get(str(n))
    if what is None:
        return
    tries[n] = tries.get(n, 0) + 1
    draw = random.Random(f"{TRUTH['seed']}-{RUN}-{n}-{tries[n]}").random()
    kind = what["kind"]
    if kind == "flaky":
        assert draw >= what["rate"], "not this time"
    elif kind == "infrastructure":
        if draw < what["rate"]:
            raise ConnectionError("the line is cut")
    elif kind == "bug":
        assert not what["from"] <= COMMIT < what["until"], "a true bug"
    elif kind == "polluter":
        state[what["of"]] = True
    elif kind == "cleaner":
        state[what["of"]] = False
    elif kind == "victim":
        assert not state.get(n), "somebody was here before"
'''


@dataclass
class Truth:
    """What is wrong with which test of a made-up project."""

    seed: int
    tests: dict[int, dict[str, object]] = field(default_factory=dict)

    @classmethod
    def draw(cls, seed: int) -> Truth:
        """Return a project of its own for each seed."""
        chance = random.Random(seed)
        truth = cls(seed)
        free = list(range(TESTS))
        chance.shuffle(free)
        for _ in range(FLAKY):
            truth.tests[free.pop()] = {"kind": "flaky", "rate": chance.uniform(*RATES)}
        for _ in range(INFRASTRUCTURE):
            truth.tests[free.pop()] = {"kind": "infrastructure", "rate": 0.1}
        commits = RUNS // RUNS_A_COMMIT
        for index in range(BUGS):
            begins = chance.randrange(1, max(2, commits - 2))
            until = begins + chance.randrange(1, 5) if index % 2 else 10**6
            truth.tests[free.pop()] = {"kind": "bug", "from": begins, "until": until}
        for index in range(VICTIMS):
            victim = free.pop()
            truth.tests[victim] = {"kind": "victim"}
            others = [n for n in free if n // (TESTS // MODULES) != victim // (TESTS // MODULES)]
            for kind in ("polluter", "cleaner")[: 1 + index % 2]:
                other = others.pop()
                free.remove(other)
                truth.tests[other] = {"kind": kind, "of": victim}
        return truth

    def of(self, *kinds: str) -> list[int]:
        """Return the tests of these kinds."""
        return [n for n, what in self.tests.items() if what["kind"] in kinds]

    def write(self, folder: Path) -> None:
        """Make the project."""
        table = {"seed": self.seed, "runs_a_commit": RUNS_A_COMMIT, "tests": self.tests}
        (folder / "truth.json").write_text(json.dumps(table))
        (folder / "play.py").write_text(PLAY)
        (folder / "pytest.ini").write_text(
            "[pytest]\npythonpath = .\nasyncio_default_fixture_loop_scope = function\n"
        )
        size = TESTS // MODULES
        for module in range(MODULES):
            names = range(module * size, (module + 1) * size)
            body = "".join(f"def test_{n}(): play({n})\n" for n in names)
            (folder / f"test_{module:02}.py").write_text(f"from play import play\n{body}")


@dataclass
class Result:
    """What 60 runs of one project have shown."""

    seed: int
    found: int
    missed: int
    wrong: int
    bug_runs: int
    bugs_hidden: int
    bugs_excused: int
    reruns: int
    order: list[tuple[bool, int]]

    @property
    def recall(self) -> float:
        """Found by all that are flaky."""
        return self.found / (self.found + self.missed)

    @property
    def precision(self) -> float:
        """Found by all that were called flaky."""
        return self.found / max(1, self.found + self.wrong)

    def describe(self) -> str:
        """Return the figures with their intervals."""
        recall = statistics.wilson(self.found, self.found + self.missed)
        precision = statistics.wilson(self.found, self.found + self.wrong)
        right = sum(correct for correct, _ in self.order)
        most = max((runs for _, runs in self.order), default=0)
        return (
            f"seed {self.seed}: recall {self.recall:.3f} ({recall.low:.3f} to {recall.high:.3f}), "
            f"precision {self.precision:.3f} ({precision.low:.3f} to {precision.high:.3f}); "
            f"{self.bug_runs} runs of true bugs: {self.bugs_hidden} hidden, "
            f"{self.bugs_excused} called flaky; {self.reruns} reruns; "
            f"order: {right} of {len(self.order)} polluters in at most {most} runs "
            f"(bound {most_runs(TESTS)})"
        )


def main() -> Sequence[harness.Row]:
    """Print the figures of each seed, and return them as rows."""
    results = []
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as name:
            results.append(measure(Truth.draw(seed), Path(name)))
        print(results[-1].describe(), flush=True)
    bound = most_runs(TESTS)
    share = [runs / bound for one in results for _, runs in one.order]
    hidden = tuple(1.0 + one.bugs_hidden + one.bugs_excused for one in results)
    polluters = tuple(
        sum(right for right, _ in one.order) / max(1, len(one.order)) for one in results
    )
    row, enough = harness.Row, harness.at_least(0.95)
    return [
        row("flaky recall, worst seed", "truth", (min(r.recall for r in results),), enough),
        row("flaky precision, worst seed", "truth", (min(r.precision for r in results),), enough),
        row("bugs hidden or excused + 1", "1", (max(hidden),), harness.at_most(1)),
        row("polluters found", "truth", (min(polluters),), harness.at_least(1)),
        row("runs of order", f"{bound}", (max(share),), harness.at_most(1)),
        *session_cost(),
    ]


def measure(truth: Truth, folder: Path) -> Result:
    """Run the project 60 times, and compare what the history says with the truth."""
    truth.write(folder)
    bugs = [_nodeid(n) for n in truth.of("bug")]
    excused = 0
    for run in range(RUNS):
        run_once(folder, run)
        with History.open(_place(folder)) as history:
            states = history.verdicts(folder.name)
        excused += sum(states[b].state == verdicts.FLAKY for b in bugs if b in states)
    with History.open(_place(folder)) as history:
        flaky = {k for k, v in history.verdicts(folder.name).items() if v.state == verdicts.FLAKY}
        shown, hidden = _bugs(truth, history, folder.name)
        reruns = sum(not one.final for one in history.observations(folder.name))
    true = {_nodeid(n) for n in truth.of("flaky", "victim")}
    return Result(
        truth.seed, len(flaky & true), len(true - flaky), len(flaky - true), shown, hidden,
        excused, reruns,
        [_ordered(truth, folder, n) for n in truth.of("victim")],
    )  # fmt: skip


def run_once(folder: Path, run: int, *args: str) -> None:
    """Run the whole project in a random order; commits and runs are counted."""
    task = folder / "task.json"
    task.write_text(json.dumps({"seed": run, "result": str(folder / "result.json")}))
    environ = {
        **environment(folder), "RUN": str(run), "CI": "1",
        "GITHUB_SHA": f"{run // RUNS_A_COMMIT:040x}", VARIABLE: str(task), SEED_VARIABLE: str(run),
    }  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", NAME, *args]
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        sys.exit(done.stdout + done.stderr)


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which only the plugins in question are loaded."""
    return {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": PLUGINS,
        "FLAKY_HISTORY_URL": str(folder / "history.sqlite"),
    }


def _bugs(truth: Truth, history: History, project: str) -> tuple[int, int]:
    """How often a bug was there, and in how many of these runs its test did not fail."""
    shown = hidden = 0
    bugs = {_nodeid(n): truth.tests[n] for n in truth.of("bug")}
    for run in history.runs(project):
        commit = int(run.commit, 16)
        for one in history.attempts(run.id):
            what = bugs.get(one.nodeid)
            if what is None or not one.final:
                continue
            if int(str(what["from"])) <= commit < int(str(what["until"])):
                shown += 1
                hidden += one.outcome not in BAD or one.quarantined or run.exit_status != 1
    return shown, hidden


def _ordered(truth: Truth, folder: Path, victim: int) -> tuple[bool, int]:
    """Whether ``order`` names the right polluter and cleaner, and in how many runs."""
    runner = PytestRunner(["-q"], alone=True, quiet=True, cwd=folder)
    with _environ(environment(folder)):
        search = Search(runner, say=lambda _: None)
        seen = search.failing_order(victim=_nodeid(victim))
        if _nodeid(victim) not in seen.failed:
            return False, runner.count
        found = search.explain(_nodeid(victim), seen)
    mine = [n for n, what in truth.tests.items() if what.get("of") == victim]
    by_kind = {truth.tests[n]["kind"]: _nodeid(n) for n in mine}
    right = found.polluters == (by_kind["polluter"],) and found.cleaner == by_kind.get("cleaner")
    return right, runner.count


@contextmanager
def _environ(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _place(folder: Path) -> Place:
    return Place(folder / "history.sqlite")


def _nodeid(n: int) -> str:
    return f"test_{n // (TESTS // MODULES):02}.py::test_{n}"


def session_cost() -> Iterator[harness.Row]:
    """Yield what a history, and being ready to try again, add to 2,000 trivial tests."""
    sides = (
        ("a history", "--infra-reruns=0", "history.sqlite", 1.03),
        ("reruns armed", "--infra-reruns=2", "off", 1.10),
    )
    for name, option, history, bound in sides:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            (folder / "pytest.ini").write_text(
                "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
            )
            body = "".join(f"def test_{n}(): pass\n" for n in range(TRIVIAL))
            (folder / "test_trivial.py").write_text(body)
            yield harness.compare(
                f"{TRIVIAL} trivial tests with {name}",
                partial(_cpu_s, folder, *option.split(), f"--flaky-history={history}"),
                partial(_cpu_s, folder, "--infra-reruns=0", "--flaky-history=off"),
                against="without",
                bound=harness.at_most(bound),
                pairs=15,
            )


def _cpu_s(folder: Path, *options: str) -> float:
    """The CPU seconds of a run, user and system, all threads."""
    before = os.times()
    environ = environment(folder)
    environ.pop("FLAKY_HISTORY_URL")
    command = [sys.executable, "-m", "pytest", "-q", *options]
    subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True)
    after = os.times()
    return (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )
