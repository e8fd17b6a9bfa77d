"""Changes the code that must not be wrong, and counts the changes that unit tests notice.

    python scripts/mutation.py [--sample 400] [--seed 1] [--only PART ...] [--report FILE]

The changes are mutmut's (``pip install mutmut``): every one that it knows inside functions.
Each is made in a copy of the checkout, and judged by the unit tests of the same package that
run the changed function, then by those that run anything else of the module; the cheapest go
first. A test that takes far longer than it does otherwise has noticed the change too.

``--sample 0`` tries all. ``--only`` takes parts of names, as the list of survivors has them:
``sandbox/ledger.py`` or ``sandbox/ledger.py#17``. The exit code is 1 under ``--least`` per cent.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import Any

HERE = Path(__file__).resolve().parent.parent
PACKAGE = "pytest_proxmox"
# What is changed, and the folder of tests that has to notice.
ROOMS = {
    "sandbox/*.py": "tests/unit/sandbox",
    # The isolation, what it consists of, and the databases below it.
    "database/isolation.py": "tests/unit/database",
    "database/wire.py": "tests/unit/database",
    "database/virtual.py": "tests/unit/database",
    "database/escapes.py": "tests/unit/database",
    "database/commits.py": "tests/unit/database",
    "database/state.py": "tests/unit/database",
    "database/statements.py": "tests/unit/database",
    "database/stores.py": "tests/unit/database",
    "database/sqlite.py": "tests/unit/database",
    "database/postgresql.py": "tests/unit/database",
    "target/failures.py": "tests/unit/target",
    "flaky/statistics.py": "tests/unit/flaky",
}
# Imported once, before the processes part: none of them is a plugin of pytest.
SHARED = """
    asyncpg cryptography.x509 hypothesis psycopg proxmoxer pytest requests sqlalchemy
    sqlalchemy.ext.asyncio
"""
OPTIONS = (
    *("-x", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider"),
    "--disable-plugin-autoload",  # others take seconds to import, and add nothing here
    *("-p", "proxmox", "-p", "pytest_asyncio.plugin", "-p", "_hypothesis_pytestplugin"),
)
NO_TESTS = 5  # pytest's exit code
FLOOR_S = 10  # a busy machine is slow at random moments
SLOWER = 8  # times its usual duration: a test that hangs
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Mutant:
    """One change: its name, its text and the lines of the function that it is in."""

    name: str
    path: Path
    tests: str
    text: str
    lines: range

    def diff(self, original: str) -> str:
        """Return what was changed, with a line around it."""
        pair = original.splitlines(), self.text.splitlines()
        return "\n".join(list(difflib.unified_diff(*pair, lineterm="", n=1))[2:])


@dataclass(frozen=True)
class Judgement:
    """What became of a mutant: killed, timeout or survived."""

    mutant: Mutant
    outcome: str
    by: str
    seconds: float


class Plan:
    """A plugin of pytest: runs the given tests in their order, each with a limit in seconds."""

    def __init__(self, limits: dict[str, int], log: Path) -> None:
        self.limits = limits
        self.log = log

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keep the tests of the plan, in its order."""
        found = {item.nodeid: item for item in items}
        items[:] = [found[node] for node in self.limits if node in found]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """End the process when the test takes too long."""
        self.log.write_text(nodeid, encoding="utf-8")
        signal.alarm(self.limits[nodeid])


class Survey:
    """A plugin of pytest: notes how long each test takes, and which lines it runs."""

    def __init__(self, coverage: Any) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Count the lines for this test from now on."""
        self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add a phase of a test."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration


@dataclass(frozen=True)
class Findings:
    """A survey's findings: seconds by test, and tests by line by file."""

    seconds: dict[str, float]
    tests: dict[str, dict[int, list[str]]]

    def plan(self, mutant: Mutant) -> dict[str, int]:
        """Return the tests that can notice, the likeliest and cheapest first, with limits."""
        by_line = self.tests.get(str(mutant.path), {})
        module = {test for tests in by_line.values() for test in tests if test}
        near = {test for line in mutant.lines for test in by_line.get(line, []) if test}
        of_folder = {test for test in self.seconds if test.startswith(mutant.tests)}
        chosen = (module & of_folder) or of_folder

        def price(test: str) -> tuple[bool, bool, float]:
            # the first test of a session's server pays for it, the others look cheap
            return test not in near, "postgresql" in test, self.seconds[test]

        return {
            test: FLOOR_S + int(SLOWER * self.seconds[test]) for test in sorted(chosen, key=price)
        }


def main(arguments: list[str]) -> int:
    """Try the mutants that are asked for, print what became of them, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=400, metavar="N", help="0: all")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--only", nargs="+", default=[], metavar="PART")
    parser.add_argument("--least", type=float, default=85.0, metavar="PERCENT")
    parser.add_argument("--report", type=Path, metavar="FILE", help="judgements as JSON lines")
    given = parser.parse_args(arguments)
    os.chdir(HERE)  # mutmut reads its settings from where it is
    everything = list(_changes())
    chosen = [one for one in everything if not given.only or _is_named(one.name, given.only)]
    if 0 < given.sample < len(chosen):
        chosen = random.Random(given.seed).sample(chosen, given.sample)
    print(f"{len(chosen)} of {len(everything)} mutants, seed {given.seed}", flush=True)
    began = time.monotonic()
    judgements = list(_judge([one.mutant() for one in chosen], given.report))
    _print(judgements)
    print(f"\n{(time.monotonic() - began) / 60:.0f} minutes")
    killed = sum(one.outcome != "survived" for one in judgements)
    return int(100 * killed < given.least * len(judgements))


def _is_named(name: str, parts: Sequence[str]) -> bool:
    return any(part == name if "#" in part else part in name for part in parts)


# -- mutants ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """A mutant that is not written yet, which takes a while: there are thousands."""

    name: str
    path: Path
    tests: str
    module: Any
    mutation: Any

    def mutant(self) -> Mutant:
        """Write the changed module."""
        old, new = self.mutation.original_node, self.mutation.mutated_node
        before, after = self.module.code, self.module.deep_replace(old, new).code
        line = _first_difference(before, after)
        lines = next(one for one in _functions(before) if line in one)
        return Mutant(self.name, self.path, self.tests, after, lines)


def _changes() -> Iterator[Change]:
    import libcst
    from mutmut.mutation.file_mutation import create_mutations

    for pattern, tests in ROOMS.items():
        for file in sorted((HERE / PACKAGE).glob(pattern)):
            path = file.relative_to(HERE)
            module, mutations, _, _ = create_mutations(str(path), file.read_text(encoding="utf-8"))
            inside = (
                one
                for one in mutations
                if isinstance(one.contained_by_top_level_function, libcst.FunctionDef)
            )
            for number, mutation in enumerate(inside, 1):
                name = f"{path.relative_to(PACKAGE).as_posix()}#{number}"
                yield Change(name, path, tests, module, mutation)


def _functions(text: str) -> list[range]:
    body = ast.parse(text).body
    body += [inner for outer in body if isinstance(outer, ast.ClassDef) for inner in outer.body]
    functions = (one for one in body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
    return [range(one.lineno, (one.end_lineno or one.lineno) + 1) for one in functions]


def _first_difference(before: str, after: str) -> int:
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return next(number for number, (old, new) in enumerate(pairs, 1) if old != new)


# -- tests -----------------------------------------------------------------------------


def _judge(mutants: Sequence[Mutant], report: Path | None) -> Iterator[Judgement]:
    for name in SHARED.split():
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary, "checkout")
        _copy(copy)
        findings = _survey(copy, sorted({one.tests for one in mutants}))
        for number, mutant in enumerate(mutants, 1):
            judgement = _try(mutant, findings.plan(mutant), copy)
            line = f"{number} {mutant.name} {judgement.outcome} {judgement.seconds:.1f} s"
            print(line, judgement.by, file=sys.stderr, flush=True)
            if report is not None:
                with report.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([mutant.name, judgement.outcome, judgement.by]) + "\n")
            yield judgement


def _copy(target: Path) -> None:
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=HERE, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (HERE / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HERE / name, target / name)


def _survey(copy: Path, folders: Sequence[str]) -> Findings:
    """Return what the unchanged code's tests take and touch; raises when one of them fails."""
    findings = Findings({}, {})
    output, found = copy.parent / "survey.txt", copy.parent / "survey.json"
    for folder in folders:
        body = partial(_run_survey, folder, copy, found)
        if _part(body, copy, output, limit_s=1800) != 0:
            raise RuntimeError(f"unchanged code fails: {output.read_text(encoding='utf-8')}")
        seconds, tests = json.loads(found.read_text(encoding="utf-8"))
        findings.seconds.update(seconds)
        for path, lines in tests.items():
            into = findings.tests.setdefault(path, {})
            for line, names in lines.items():
                into.setdefault(int(line), []).extend(names)
    return findings


def _run_survey(folder: str, copy: Path, found: Path) -> int:
    import coverage
    import pytest

    measured = coverage.Coverage(
        data_file=None,
        config_file=False,
        source=[str(copy / PACKAGE)],
        concurrency=["thread", "greenlet"],
    )
    survey = Survey(measured)
    measured.start()
    code = pytest.main([*OPTIONS, folder], plugins=[survey])
    measured.stop()
    data = measured.get_data()
    tests = {
        str(Path(file).relative_to(copy)): data.contexts_by_lineno(file)
        for file in data.measured_files()
    }
    found.write_text(json.dumps([survey.seconds, tests]), encoding="utf-8")
    return int(code)


def _try(mutant: Mutant, plan: dict[str, int], copy: Path) -> Judgement:
    file, log, output = copy / mutant.path, copy.parent / "running", copy.parent / "output.txt"
    before = file.stat()
    text = file.read_bytes()
    began = time.monotonic()
    try:
        file.write_text(mutant.text, encoding="utf-8")
        os.utime(file, (before.st_atime, before.st_mtime + 100))  # bytecode of before is not of it
        log.write_text("", encoding="utf-8")
        code = _part(partial(_run_plan, plan, log), copy, output, limit_s=sum(plan.values()))
    finally:
        file.write_bytes(text)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    unnoticed = (0, NO_TESTS)
    outcome = "survived" if code in unnoticed else "killed"
    outcome = "timeout" if code == -signal.SIGALRM else outcome
    by = "" if code in unnoticed else log.read_text(encoding="utf-8") or f"exit code {code}"
    return Judgement(mutant, outcome, by, time.monotonic() - began)


def _run_plan(plan: dict[str, int], log: Path) -> int:
    import pytest

    sys.dont_write_bytecode = True  # a changed module's must not be found by the next mutant
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    files = list(dict.fromkeys(node.partition("::")[0] for node in plan))
    return int(pytest.main([*OPTIONS, *files], plugins=[Plan(plan, log)]))


def _part(body: Callable[[], int], copy: Path, output: Path, *, limit_s: int) -> int:
    """Return the exit code of ``body`` in a process of its own, negative for a signal."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setsid()
            signal.alarm(limit_s)
            _settle(copy, output)
            code = body()
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            sys.stdout.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what its tests started and did not end
    return os.waitstatus_to_exitcode(status)


def _settle(copy: Path, output: Path) -> None:
    """Make this process one that runs the copy's tests, always in the same way."""
    with output.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    with open(os.devnull, encoding="utf-8") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.chdir(copy)
    sys.path.insert(0, str(copy))
    os.environ |= {"PYTHONPATH": str(copy), "FLAKY_HISTORY_URL": "off"}
    os.environ |= {"CI": "1", "PYTHONHASHSEED": "0"}  # Hypothesis' profile without chance


# -- the report ------------------------------------------------------------------------


def _print(judgements: Sequence[Judgement]) -> None:
    print(f"\n{'module':32}{'mutants':>8}{'killed':>8}{'timeout':>8}{'survived':>9}  score")
    modules = sorted({one.mutant.name.partition("#")[0] for one in judgements})
    for module in modules:
        of_module = [one for one in judgements if one.mutant.name.startswith(f"{module}#")]
        print(_row(module, of_module))
    for room in dict.fromkeys(module.partition("/")[0] for module in modules):
        print(_row(room, [one for one in judgements if one.mutant.name.startswith(f"{room}/")]))
    print(_row("all", judgements))
    for one in judgements:
        if one.outcome == "survived":
            original = (HERE / one.mutant.path).read_text(encoding="utf-8")
            print(f"\n{one.mutant.name}\n{one.mutant.diff(original)}")


def _row(title: str, judgements: Sequence[Judgement]) -> str:
    words = [one.outcome for one in judgements]
    killed, late, survived = (words.count(word) for word in ("killed", "timeout", "survived"))
    low, high = _wilson(killed + late, len(words))
    score = f"{100 * (killed + late) / len(words):.1f} % ({100 * low:.1f} to {100 * high:.1f})"
    return f"{title:32}{len(words):8}{killed:8}{late:8}{survived:9}  {score}"


def _wilson(hits: int, count: int) -> tuple[float, float]:
    """Return Wilson's score interval for a rate; not the package's, which is under test here."""
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    rate, scale = hits / count, 1 + z * z / count
    centre = rate + z * z / (2 * count)
    spread = z * (rate * (1 - rate) / count + z * z / (4 * count * count)) ** 0.5
    return (centre - spread) / scale, min(1.0, (centre + spread) / scale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
