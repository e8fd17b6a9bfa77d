"""A million attempts: four writers at once, what a report over them takes, on both databases.

Every side is a process of its own, so that its CPU time and its peak memory are its own too.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import harness
from pytest_proxmox.clock import SystemClock
from pytest_proxmox.flaky.connection import Place
from pytest_proxmox.flaky.history import History
from pytest_proxmox.report import bundle
from tests.unit.report.histories import fill

ATTEMPTS = int(os.environ.get("HISTORY_BENCH_ATTEMPTS", "1000000"))
WRITERS = 4
TESTS = 2500
RUNS = ATTEMPTS // WRITERS // TESTS  # of each writer
PROJECT = "shop"
PATIENCE_S = 60.0
REPORT_S, MEMORY_MB = 30.0, 500.0
ROOT = Path(__file__).parents[1]


def main() -> Sequence[harness.Row]:
    """Fill each database, report from it, and return what was lost, taken and needed."""
    with tempfile.TemporaryDirectory() as name:
        rows = [*measure("SQLite", str(Path(name) / "history.sqlite"), Path(name))]
    with _postgresql() as url, tempfile.TemporaryDirectory() as name:
        rows += measure("PostgreSQL", url, Path(name))
    return rows


def measure(database: str, url: str, folder: Path) -> Iterator[harness.Row]:
    """Yield the rows of one database."""
    began = SystemClock().monotonic()
    writers = [_start("write", url, str(number)) for number in range(WRITERS)]
    told = [writer.communicate()[0] for writer in writers]
    filled_s = SystemClock().monotonic() - began
    with History.open(Place.parse(url, origin="benchmark")) as history:
        finals = sum(sum(totals.values()) for totals in history.totals(PROJECT).values())
        stored = sum(1 for _ in history.observations(PROJECT))
    written = sum(int(text) for text in told)
    report = _start("report", url, str(folder / "out"))
    cpu_s, peak_mb = map(float, report.communicate()[0].split())
    print(
        f"{database}: {written} attempts by {WRITERS} writers at once in {filled_s:.0f} s, "
        f"{written - stored} lost; report: {cpu_s:.1f} s of CPU, peak {peak_mb:.0f} MB",
        flush=True,
    )
    lost = abs(written - stored) + abs(finals - WRITERS * RUNS * TESTS)
    row = harness.Row
    yield row(f"{database}: attempts lost + 1", "1", (lost + 1.0,), harness.at_most(1))
    yield row(f"{database}: report, CPU s", f"{REPORT_S:g} s", (cpu_s / REPORT_S,),
              harness.at_most(1))  # fmt: skip
    yield row(f"{database}: report, peak MB", f"{MEMORY_MB:g} MB", (peak_mb / MEMORY_MB,),
              harness.at_most(1))  # fmt: skip


def write(url: str, number: int) -> None:
    """Store this writer's runs, and print how many attempts they were."""
    with History.open(Place.parse(url, origin="benchmark"), busy_s=PATIENCE_S) as history:
        print(fill(history, tests=TESTS, runs=RUNS, first=number * RUNS, seed=number))


def report(url: str, folder: Path) -> None:
    """Write every report, and print the CPU seconds and the peak memory of this process."""
    bundle.write(Place.parse(url, origin="benchmark"), PROJECT, folder)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _start(*args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.history", *args]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@contextmanager
def _postgresql() -> Iterator[str]:
    from pytest_proxmox.database.server import TemporaryPostgres

    server = TemporaryPostgres().start()
    try:
        yield server.url.set(drivername="postgresql").render_as_string(hide_password=False)
    finally:
        server.stop()


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2], int(sys.argv[3]))
    else:
        report(sys.argv[2], Path(sys.argv[3]))
