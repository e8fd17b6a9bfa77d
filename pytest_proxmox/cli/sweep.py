"""``pytest-proxmox sweep``: remove what runs left on a Proxmox that are no more."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from pytest_proxmox.cli.target import kind_of, ledger_folder, settings_here

if TYPE_CHECKING:
    from pytest_proxmox.sandbox.lease import Lease
    from pytest_proxmox.sandbox.sweep import Sweep

FOUND = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.description = (
        "Remove what runs of this machine left on the Proxmox that PROXMOX_HOST or "
        "PROXMOX_TARGET names. What cannot be proven to be theirs is left alone. Ends with 1 "
        "and a JSON list of what stays."
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")


def run(args: argparse.Namespace) -> int:
    """Sweep, and return 1 where something stays, else 0."""
    done = _sweep(dry_run=args.dry_run)
    verb = "Would remove" if args.dry_run else "Removed"
    for lease in done.collected:
        print(f"{verb} what lease {lease.id} holds: {lease}", file=sys.stderr)
    if done.in_use:
        print(f"{len(done.in_use)} leases belong to runs that are alive.", file=sys.stderr)
    if done.leftovers:
        print(json.dumps([asdict(leftover) for leftover in done.leftovers], indent=2))
        return FOUND
    if not done.collected:
        print("Nothing to remove.", file=sys.stderr)
    return 0


def _sweep(*, dry_run: bool) -> Sweep:
    from pytest_proxmox.clock import SystemClock
    from pytest_proxmox.sandbox.ledger import Ledger
    from pytest_proxmox.sandbox.sweep import collect
    from pytest_proxmox.target.settings import endpoint_of, visit

    settings = settings_here()
    kind = kind_of(settings)
    api, facts = visit(settings, kind, endpoint_of(settings, kind), SystemClock())

    def tell(lease: Lease) -> None:
        print(f"Removing {lease} …", file=sys.stderr)

    with Ledger(ledger_folder()) as ledger:
        return collect(api, facts, ledger, pool=settings.pool, dry_run=dry_run, progress=tell)
