"""``pytest-proxmox sweep``: remove what runs left on a Proxmox that are no more."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_proxmox.cli.target import ledger_folder, open_target, settings_here
from pytest_proxmox.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_proxmox.cli.cluster import Tenancy
    from pytest_proxmox.sandbox.lease import Lease
    from pytest_proxmox.sandbox.ledger import Ledger
    from pytest_proxmox.sandbox.sweep import Sweep

FOUND = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.description = (
        "Remove what dead runs of this machine left on the Proxmox that PROXMOX_HOST or "
        "PROXMOX_TARGET names. What cannot be proven to be theirs is left alone. Ends with 1 "
        "and a JSON list of what stays. For cron: pytest-proxmox sweep --all-expired"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument(
        "--all-expired",
        action="store_true",
        help="also what runs of other machines hold, where their lease has expired",
    )
    parser.add_argument(
        "--kept",
        action="append",
        type=int,
        default=[],
        metavar="VMID",
        help="also a guest that --proxmox-keep kept, before its time; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="say everything as JSON, for machines")


def run(args: argparse.Namespace) -> int:
    """Sweep, and return 1 where something stays, else 0."""
    done, expired = _sweep(args)
    if args.json:
        print(json.dumps(_as_json(done, expired), indent=2))
        return FOUND if done.leftovers else 0
    verb = "Would remove" if args.dry_run else "Removed"
    for lease in done.collected:
        print(f"{verb} what lease {lease.id} holds: {lease}", file=sys.stderr)
    for one in expired:
        what = ", ".join(one.guests) or "no guests"
        print(f"{verb} the block {one.span} of run {one.run} on {one.host}: {what}")
    for pool in done.blocks:
        print(f"Freed the block {pool}", file=sys.stderr)
    if done.in_use:
        print(
            f"{len(done.in_use)} leases belong to runs that are alive, or are kept.",
            file=sys.stderr,
        )
    if done.leftovers:
        print(json.dumps([asdict(leftover) for leftover in done.leftovers], indent=2))
        return FOUND
    if not (done.collected or expired or done.blocks):
        print("Nothing to remove.", file=sys.stderr)
    return 0


def _sweep(args: argparse.Namespace) -> tuple[Sweep, Sequence[Tenancy]]:
    """What was done, and in a dry run the leases of other machines that would be collected."""
    from pytest_proxmox.cli.cluster import tenancies
    from pytest_proxmox.sandbox.ledger import Ledger
    from pytest_proxmox.sandbox.sweep import collect

    settings = settings_here()
    calls, facts, _ = open_target(settings)

    def tell(lease: Lease) -> None:
        print(f"Removing {lease} …", file=sys.stderr)

    expired: list[Tenancy] = []
    if args.all_expired and args.dry_run:
        now = calls.clock.now()
        expired = [one for one in tenancies(calls, settings.pool) if one.is_expired(now)]
    with Ledger(ledger_folder()) as ledger:
        _end_keeping(ledger, facts.url, args)
        progress = None if args.json else tell
        done = collect(
            calls.api,
            facts,
            ledger,
            pool=settings.pool,
            others=args.all_expired,
            dry_run=args.dry_run,
            progress=progress,
        )
    return done, expired


def _end_keeping(ledger: Ledger, target: str, args: argparse.Namespace) -> None:
    """Let go of guests that a failed test kept, so that they are swept like any other.

    Raises:
        InvalidValue: a VMID is not kept.
    """
    kept = {int(one.vmid): one for one in ledger.leases(target) if one.kept_until is not None}
    for vmid in args.kept:
        if vmid not in kept:
            raise InvalidValue(
                f"guest {vmid} is not kept on {target}",
                origin="option --kept",
                hint="See pytest-proxmox leases",
            )
        if not args.dry_run:
            ledger.note(kept[vmid], kept_until=None)


def _as_json(done: Sweep, expired: Sequence[Tenancy]) -> dict[str, Any]:
    return {
        "removed": [{"lease": lease.id, "guest": str(lease)} for lease in done.collected],
        "expired": [one.to_json() for one in expired],
        "blocks": list(done.blocks),
        "in_use": [{"lease": lease.id, "guest": str(lease)} for lease in done.in_use],
        "leftovers": [asdict(leftover) for leftover in done.leftovers],
    }
