"""Runs well-kept async projects' own suites with the plugin and without it, and compares.

    python scripts/foreign_suites.py [NAME ...] [--keep FOLDER]

Each project's source distribution comes from the package index, into a virtual environment of
its own in a temporary folder. A test has to have the same outcome in both runs; every
difference is printed with its text. The exit code is 1 when there is one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
RECORDER = "foreign_suites_recorder"
RECORDER_SOURCE = """
import json, os

REPORTS = {}


def pytest_runtest_logreport(report):
    outcome = "xfailed" if hasattr(report, "wasxfail") and report.skipped else report.outcome
    text = report.longreprtext if report.failed else ""
    REPORTS.setdefault(report.nodeid, []).append([report.when, outcome, text])


def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        with open(os.environ["FOREIGN_SUITES_REPORTS"], "w") as file:
            json.dump(REPORTS, file)
"""


@dataclass(frozen=True)
class Project:
    """A project whose suite is run: its version, what its tests need, how it runs async tests."""

    name: str
    version: str
    mode: str
    needs: tuple[str, ...]
    options: tuple[str, ...] = ()
    without: tuple[str, ...] = ()  # plugins that the project does not have, but we bring


PROJECTS = (
    Project("asgiref", "3.13.0", "asyncio strict", ("pytest-asyncio",)),
    Project(
        "async-lru",
        "2.4.0",
        "asyncio auto",
        ("pytest-asyncio", "pytest-timeout", "pytest-cov"),
        # unset, pytest-asyncio 1.5 dies of it under the suite's own filterwarnings = error
        ("-o", "addopts=", "-o", "asyncio_default_fixture_loop_scope=fixture-scope"),
    ),
    Project(
        "httpx",
        "0.28.1",
        "anyio",
        ("httpx[brotli,cli,http2,socks,zstd]", "chardet", "trio", "trustme", "uvicorn"),
        without=("asyncio",),
    ),
    Project("pytest-asyncio", "1.5.0", "asyncio auto", ("hypothesis", "coverage")),
    Project("pytest-httpx", "0.36.2", "asyncio auto", ("pytest-asyncio",)),
    Project(
        "starlette",
        "1.10.0",
        "anyio",
        (
            "starlette[full]",
            "httpx",
            "httpx2[zstd]",
            "blockbuster",
            "trio",
            "opentelemetry-sdk",
            "pytest-codspeed",
        ),
        without=("asyncio",),
    ),
    Project(
        "uvicorn",
        "0.54.0",
        "anyio",
        (
            "uvicorn[standard]",
            "pytest-mock",
            "pytest-xdist",
            "pytest-codspeed",
            "trustme",
            "cryptography",
            "httpx2",
            "a2wsgi",
            "wsproto",
            "zttp",
        ),
        ("-n", "2"),
        without=("asyncio",),
    ),
)


@dataclass(frozen=True)
class Comparison:
    """What came of both runs of one suite."""

    project: Project
    tests: int
    outcomes: dict[str, int]
    differences: list[str]

    def row(self) -> str:
        """Return the line of the table."""
        counts = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
        verdict = f"{len(self.differences)} differ" if self.differences else "same"
        title = f"{self.project.name} {self.project.version}"
        return f"{title:24}{self.project.mode:16}{self.tests:6}  {verdict:10} {counts}"


def main(arguments: list[str]) -> int:
    """Run the suites that are named, or all, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--keep", type=Path, help="folder to work in, and to leave behind")
    given = parser.parse_args(arguments)
    wanted = [one for one in PROJECTS if not given.names or one.name in given.names]
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        comparisons = [compare(project, folder) for project in wanted]
    for comparison in comparisons:
        for difference in comparison.differences:
            print(f"{comparison.project.name}: {difference}\n")
    print("\n".join(comparison.row() for comparison in comparisons))
    print(f"{sum(comparison.tests for comparison in comparisons)} tests")
    return int(any(comparison.differences for comparison in comparisons))


def compare(project: Project, folder: Path) -> Comparison:
    """Return what the project's suite says without the plugin and with it."""
    print(f"{project.name} ...", file=sys.stderr, flush=True)
    python = _environment(project, folder)
    source = _source(project, folder)
    absent = [f"-pno:{name}" for name in ("proxmox", *project.without)]
    before = _run(project, python, source, absent)
    after = _run(project, python, source, [])
    words = [_word(phases) for phases in after.values()]
    return Comparison(
        project,
        len(before),
        {word: words.count(word) for word in set(words)},
        [_difference(node, before, after) for node in _differing(before, after)],
    )


def _environment(project: Project, folder: Path) -> Path:
    venv = folder / f"venv-{project.name}"
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pinned = f"{project.name}=={project.version}"
        needs = ["-e", str(HERE), "pytest", pinned, *project.needs]
        subprocess.run([python, "-m", "pip", "install", "-q", *needs], check=True)
    return python


def _source(project: Project, folder: Path) -> Path:
    pinned = f"{project.name}=={project.version}"
    target = folder / "sources" / project.name
    if not target.exists():
        target.mkdir(parents=True)
        options = ["--no-deps", "--no-binary", ":all:", "-q", "-d", str(target)]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, pinned], check=True)
        with tarfile.open(next(target.glob("*.tar.gz"))) as archive:
            archive.extractall(target, filter="data")
    (target / f"{RECORDER}.py").write_text(RECORDER_SOURCE, encoding="utf-8")
    return next(path for path in target.iterdir() if path.is_dir())


def _run(
    project: Project, python: Path, source: Path, options: list[str]
) -> dict[str, list[list[str]]]:
    reports = source.parent / "reports.json"
    reports.unlink(missing_ok=True)
    command = [str(python), "-m", "pytest", "-q", "-p", RECORDER, *project.options, *options]
    done = subprocess.run(
        [*command, "tests"],
        cwd=source,
        env={"PATH": f"{python.parent}:/usr/bin:/bin", "PYTHONPATH": str(source.parent)}
        | {"FOREIGN_SUITES_REPORTS": str(reports), "HOME": str(source.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    if not reports.exists():
        raise RuntimeError(f"{project.name}: the run ended early: {done.stdout}{done.stderr}")
    found: dict[str, list[list[str]]] = json.loads(reports.read_text(encoding="utf-8"))
    print(f"  {' '.join(options) or 'with'}: {done.stdout.splitlines()[-1:]}", file=sys.stderr)
    return found


def _word(phases: list[list[str]]) -> str:
    for when, outcome, _ in phases:
        if outcome == "failed":
            return "failed" if when == "call" else f"error at {when}"
    return next((outcome for _, outcome, _ in phases if outcome != "passed"), "passed")


def _differing(before: dict[str, list[list[str]]], after: dict[str, list[list[str]]]) -> list[str]:
    nodes = before.keys() | after.keys()
    return sorted(
        node for node in nodes if _word(before.get(node, [])) != _word(after.get(node, []))
    )


def _difference(
    node: str, before: dict[str, list[list[str]]], after: dict[str, list[list[str]]]
) -> str:
    texts = [text for _, _, text in (*before.get(node, []), *after.get(node, [])) if text]
    change = f"{_word(before.get(node, []))} -> {_word(after.get(node, []))}"
    return f"{node}: {change}\n" + "\n".join(texts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
