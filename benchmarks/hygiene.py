"""What the checks cost: 2,000 trivial tests with every check on, against every check off.

And against ``-p no:proxmox``, which is what a user sees: loading the plugin is in it too.
Processor time of the whole run is compared, not its wall time: the tests do nothing, so nothing
else is left to measure, and another program on the machine does not count.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from benchmarks.harness import Measure, Row, at_most, compare, run
from benchmarks.imports import with_bytecode
from pytest_proxmox.hygiene.settings import KINDS

TESTS = 2000
PAIRS = 11
OFF = [f"-o{kind.ini}=off" for kind in KINDS.values()]
NEEDED = {"proxmox", "asyncio"}

SYNC = "def test_{number}():\n    assert {number} >= 0\n\n\n"
ASYNC = "@pytest.mark.asyncio\nasync def test_{number}():\n    assert {number} >= 0\n\n\n"


def main() -> Sequence[Row]:
    """Return two rows for sync and two for async tests."""
    with tempfile.TemporaryDirectory() as folder:
        return [
            *_rows(Path(folder, "sync"), "sync", SYNC),
            *_rows(Path(folder, "async"), "async", ASYNC),
        ]


def _rows(folder: Path, name: str, test: str) -> Iterator[Row]:
    folder.mkdir()
    (folder / "pytest.ini").write_text(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\n", encoding="utf-8"
    )
    tests = "".join(test.format(number=number) for number in range(TESTS))
    (folder / "test_trivial.py").write_text(f"import pytest\n\n\n{tests}", encoding="utf-8")
    for against, options in (("checks off", OFF), ("-p no:proxmox", ["-pno:proxmox"])):
        yield compare(
            f"{TESTS} {name} tests, checks on",
            _processor_seconds(folder),
            _processor_seconds(folder, *options),
            against=against,
            bound=at_most(1.05),
            pairs=PAIRS,
        )


def _processor_seconds(folder: Path, *options: str) -> Measure:
    others = {point.name for point in entry_points(group="pytest11")} - NEEDED
    switches = [f"-pno:{name}" for name in sorted(others)]
    command = [sys.executable, "-m", "pytest", "-q", *switches, *options, "test_trivial.py"]

    def measure() -> float:
        before = os.times()
        done = subprocess.run(
            command,
            cwd=folder,
            env=with_bytecode(folder),
            capture_output=True,
            text=True,
            check=False,
        )
        after = os.times()
        if done.returncode != 0:
            raise RuntimeError(f"the run ended with {done.returncode}: {done.stdout}{done.stderr}")
        return (after.children_user + after.children_system) - (
            before.children_user + before.children_system
        )

    return measure


if __name__ == "__main__":
    sys.exit(run([main]))
