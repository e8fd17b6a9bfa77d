"""What the installed, unused plugin costs a run: ``pytest`` on an empty suite, with and without.

Other installed plugins are switched off on both sides: they would make the peer slower and the
ratio kinder than what a user of this plugin alone sees.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

from benchmarks.harness import Row, at_most, compare, run, seconds

PAIRS = 25  # a start of Python varies by several per cent; the median of 25 by about one
INI = "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
NO_TESTS = 5  # pytest's exit code
NEEDED = {"proxmox", "asyncio"}


def main() -> Sequence[Row]:
    """Return the one row: start-up with the plugin over start-up with ``-p no:proxmox``."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pytest.ini").write_text(INI)
        row = compare(
            "empty suite, plugin unused",
            seconds(lambda: _empty_run(folder)),
            seconds(lambda: _empty_run(folder, "-p", "no:proxmox")),
            against="-p no:proxmox",
            bound=at_most(1.05),
            pairs=PAIRS,
        )
    return [row]


def _empty_run(folder: str, *options: str) -> None:
    others = {point.name for point in entry_points(group="pytest11")} - NEEDED
    switches = [f"-pno:{name}" for name in sorted(others)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *switches, *options, folder],
        cwd=folder,
        env=with_bytecode(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != NO_TESTS:
        raise RuntimeError(
            f"the empty run ended with {done.returncode}: {done.stdout}{done.stderr}"
        )


def with_bytecode(folder: str | Path) -> dict[str, str]:
    """Return an environment in which Python keeps compiled modules, as it does for users."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(Path(folder, "bytecode"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


if __name__ == "__main__":
    sys.exit(run([main]))
