"""The app manager, killed at every moment: ``python -m benchmarks.app_kills``.

For each kind of operation (deploy, clone, update, backup, restore over the app, restore as
another, delete) a process of the manager gets SIGKILL just before each of its requests to Proxmox
and each of its commits; then another process goes on. In the end every container has its row and
every row its container, files hold what was in them, backups are what the storage has, and the
operation has ended. It is ``tests/app/test_kill.py`` with all moments instead of a few.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = "tests/app/test_kill.py"
TOLD = re.compile(r"^\.*([a-z-]+): (\d+) kills, at (\d+) of (\d+) moments$", re.MULTILINE)


def main_with(arguments: list[str]) -> int:
    """Run the campaign and return 0 where nothing was lost and nothing left over."""
    args = _parser().parse_args(arguments)
    told = {**os.environ, "KILL_MOMENTS": args.moments}
    if args.again is not None:
        told["KILL_AGAIN"] = str(args.again)
    command = [sys.executable, "-m", "pytest", TESTS, "-q", "-s", "-o", "faulthandler_timeout=0"]
    command += ["-k", " or ".join(f"[{kind}]" for kind in args.kinds)] if args.kinds else []
    run = subprocess.run(command, cwd=ROOT, env=told, stdout=subprocess.PIPE, text=True)
    found = TOLD.findall(run.stdout)
    for kind, kills, tried, total in found:
        print(f"{kind:12} {kills:>4} kills, at {tried} of {total} moments, each made good")
    print(f"{sum(int(kills) for _, kills, _, _ in found)} kills in all; pytest's code is", end=" ")
    print(run.returncode)
    if run.returncode:
        print(run.stdout)
    return 1 if run.returncode or not found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="app_kills", description=__doc__)
    parser.add_argument(
        "--moments", default="all", metavar="N", help="so many of each kind (default: all)"
    )
    parser.add_argument(
        "--again", type=int, metavar="SEED", help="kill the next process too, at a random moment"
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="only these (default: all)")
    return parser


if __name__ == "__main__":
    sys.exit(main_with(sys.argv[1:]))
