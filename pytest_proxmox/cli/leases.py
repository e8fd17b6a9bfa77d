"""``pytest-proxmox leases``: what tests of this machine hold, on which Proxmox."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pytest_proxmox.cli.target import ledger_folder

if TYPE_CHECKING:
    from pytest_proxmox.sandbox.lease import Lease
    from pytest_proxmox.sandbox.ledger import Ledger

COLUMNS = ("target", "guest", "state", "run", "alive")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Print the leases, and return 0."""
    from pytest_proxmox.sandbox.ledger import FILE_NAME, Ledger

    rows: list[dict[str, Any]] = []
    if (ledger_folder() / FILE_NAME).exists():
        with Ledger(ledger_folder()) as ledger:
            rows = [_row(ledger, lease) for lease in held(ledger)]
    if args.json:
        print(json.dumps(rows, indent=2))
    elif rows:
        _print_table([COLUMNS, *([str(row[name]) for name in COLUMNS] for row in rows)])
        for row in rows:
            for line in row["leftovers"]:
                print(f"left: {line}")
    else:
        print("No leases.")
    return 0


def held(ledger: Ledger) -> list[Lease]:
    """Return every lease that is held on a Proxmox that outlives its runs."""
    targets = [target for kind in ("real", "url") for target in ledger.targets(kind=kind)]
    return [lease for target in targets for lease in ledger.leases(target)]


def _row(ledger: Ledger, lease: Lease) -> dict[str, Any]:
    return {
        "target": lease.target,
        "vmid": int(lease.vmid),
        "guest": str(lease),
        "state": str(lease.state),
        "run": lease.run,
        "worker": lease.worker,
        "alive": "yes" if ledger.is_alive(lease.run, lease.target) else "no",
        "leftovers": [str(leftover) for leftover in lease.leftovers],
    }


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
