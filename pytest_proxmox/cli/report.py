"""``pytest-proxmox report``: the dashboard, the Markdown reports and the gate, from the history."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

FAILED = 1
CACHE = Path(".pytest_cache", "d", "proxmox", "history.sqlite")
OUT = Path("build", "report")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.description = (
        "Build the dashboard, the Markdown reports, a CSV of failures and a JUnit file from the "
        "history of runs; with --gate, exit 1 and name what breaks a bound."
    )
    parser.add_argument("--history", metavar="URL", help=f"the history (default: {CACHE})")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="default: %(default)s")
    parser.add_argument("--project", default="", help="default: the one that ran last")
    parser.add_argument("--coverage", type=Path, metavar="FILE", help="what coverage json wrote")
    parser.add_argument(
        "--gate",
        metavar="NAME=NUMBER,...",
        help="bounds: pass_rate=0.9,flaky=0,coverage=80,leftovers=0 (also broken, failed, reruns)",
    )


def run(args: argparse.Namespace) -> int:
    """Write the reports, check the gate, and return 0, or 1 where a bound is broken."""
    from pytest_proxmox.flaky.connection import Place
    from pytest_proxmox.flaky.settings import HISTORY_VARIABLE
    from pytest_proxmox.report import bundle, coverage, gate

    bounds = None if args.gate is None else gate.parse(args.gate)
    given = args.history or os.environ.get(HISTORY_VARIABLE)
    origin = "option --history" if args.history else f"environment variable {HISTORY_VARIABLE}"
    place = Place(CACHE) if given is None else Place.parse(given, origin=origin)
    modules = [] if args.coverage is None else coverage.read(args.coverage)
    figures = bundle.read(place, args.project)
    page = bundle.write_figures(figures, args.out, modules=modules, leases=_leases())
    last = figures.last
    print(
        f"{figures.project}: {len(figures.runs)} runs, {len(figures.tests)} tests, last run "
        f"{last.passed} of {last.judged} passed, {len(figures.flaky)} flaky"
    )
    print(f"report: {page}")
    if bounds is None:
        return 0
    findings = gate.check(bounds, figures, modules)
    for finding in findings:
        print(finding)
    return 0 if all(finding.is_kept for finding in findings) else FAILED


def _leases() -> list[tuple[str, str, int]]:
    """What tests of this machine hold now; the ledger is read only where there is one."""
    from pytest_proxmox.cli.leases import held
    from pytest_proxmox.cli.target import ledger_folder
    from pytest_proxmox.sandbox.ledger import FILE_NAME, Ledger

    if not (ledger_folder() / FILE_NAME).exists():
        return []
    with Ledger(ledger_folder()) as ledger:
        return [(str(one), str(one.state), len(one.leftovers)) for one in held(ledger)]
