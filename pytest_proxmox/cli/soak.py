"""``pytest-proxmox soak``: repeats a whole run, and says what flake rate that rules out."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from pytest_proxmox.errors import InvalidValue

FAILED = 1
STATE = Path(".pytest_cache", "d", "proxmox", "soak.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.description = (
        "Repeat a whole run of pytest, stop at the first failure, and print the bound on the "
        "flake rate that the runs prove. Ctrl-C stops it; --resume goes on."
    )
    parser.add_argument("-n", type=int, default=10, metavar="RUNS", help="default: %(default)s")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    parser.add_argument(
        "--random-order",
        nargs="?",
        type=int,
        const=1,
        metavar="SEED",
        help="each run in another order: the seeds count up from SEED (default: 1)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the one that was stopped")
    parser.add_argument("--quiet", action="store_true", help="do not show what pytest prints")
    parser.add_argument("pytest_args", nargs="*", metavar="PYTEST_ARGS", help="after --")


def run(args: argparse.Namespace) -> int:
    """Repeat, print the bound, and return 1 where a run failed."""
    from pytest_proxmox.flaky.runs import PytestRunner
    from pytest_proxmox.flaky.soak import Soak

    if args.n < 1:
        raise InvalidValue(
            f'"{args.n}" is no number of runs', origin="option -n", hint="Give 1 or more"
        )
    start = Soak.resume if args.resume else Soak.begin
    soak = start(STATE, args.pytest_args)
    runner = PytestRunner(soak.pytest_args, alone=False, quiet=args.quiet)
    interrupted = False
    try:
        soak.go_on(
            runner,
            times=args.n,
            first_seed=args.random_order,
            stops=not args.keep_going,
            now=time.monotonic,
            say=lambda text: print(text, file=sys.stderr, flush=True),
        )
    except KeyboardInterrupt:
        interrupted = True
    print(soak.summary())
    if interrupted:
        print("Stopped. Go on with: pytest-proxmox soak --resume", file=sys.stderr)
        return 130
    return FAILED if soak.failures else 0
