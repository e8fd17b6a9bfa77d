"""The console's sweeps, all of each: ``python -m benchmarks.console_campaign``.

A process that creates, starts, stops or deletes a guest gets SIGKILL before and behind each of
its requests to Proxmox, the process that goes on gets it too, and a third one ends the work:
Proxmox, database and state agree then. The same for a sync. Each request is also refused, and its
answer lost, once. Processes that create, load, save, delete, migrate, back up and recover a
workspace get SIGKILL at every operation on a file, and before every statement of a migration.
500 random worlds are synced, generated and parsed back. CI runs the same tests with a few
moments and worlds each.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.moments import MOMENTS

ROOT = Path(__file__).parents[1]
SWEEPS: Mapping[str, tuple[str, ...]] = {
    "guests": ("integration/test_vm_lifecycle.py",),
    "workspace": ("tests/workspace/test_killed.py",),
    "worlds": ("tests/generators/test_worlds.py", "tests/console/test_sync_service.py"),
}
TOLD = re.compile(r"^\.*(.+): killed at (\d+) of (\d+) moments$", re.MULTILINE)


def main_with(arguments: list[str]) -> int:
    """Run the sweeps, print how often each killed, and return 0 where all was made good."""
    args = _parser().parse_args(arguments)
    files = [file for name in args.sweeps or SWEEPS for file in SWEEPS[name]]
    command = [sys.executable, "-m", "pytest", *files, "-q", "-s", "-o", "faulthandler_timeout=0"]
    told = {**os.environ, MOMENTS: args.moments, "WORLDS": str(args.worlds)}
    run = subprocess.run(command, cwd=ROOT, env=told, stdout=subprocess.PIPE, text=True)
    found = TOLD.findall(run.stdout)
    for name, kills, total in found:
        print(f"{name:30} {kills:>4} kills, at {kills} of {total} moments, each made good")
    print(f"{sum(int(kills) for _, kills, _ in found)} kills; pytest's code is {run.returncode}")
    print(run.stdout if run.returncode else run.stdout.rstrip().rpartition("\n")[2])
    return 1 if run.returncode else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="console_campaign", description=__doc__)
    parser.add_argument(
        "--moments", default="all", metavar="N", help="so many of each sweep (default: all)"
    )
    parser.add_argument("--worlds", type=int, default=500, metavar="N", help="default: 500")
    parser.add_argument(
        "sweeps", nargs="*", choices=[*SWEEPS, []], metavar="SWEEP",
        help=f"only these of {', '.join(SWEEPS)} (default: all)",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main_with(sys.argv[1:]))
