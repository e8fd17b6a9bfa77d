"""``pytest-proxmox leases``: what tests hold, by this machine's ledger and by the Proxmox."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from pytest_proxmox.cli import table
from pytest_proxmox.cli.target import ledger_folder, open_target, settings_here

if TYPE_CHECKING:
    from pytest_proxmox.cli.cluster import Tenancy
    from pytest_proxmox.sandbox.lease import Lease
    from pytest_proxmox.sandbox.ledger import Ledger

COLUMNS = ("target", "guest", "state", "run", "alive")
CLUSTER_COLUMNS = ("vmids", "run", "host", "ends in", "guests")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.description = (
        "List what tests of this machine hold, and, where PROXMOX_HOST or PROXMOX_TARGET names a "
        "Proxmox, the leases of every machine there. Changes nothing."
    )
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--local", action="store_true", help="do not ask the Proxmox")


def run(args: argparse.Namespace) -> int:
    """Print the leases, and return 0."""
    rows = _here()
    found = None if args.local else _there()
    if args.json:
        there = None if found is None else [one.to_json() for one in found]
        print(json.dumps({"machine": rows, "proxmox": there}, indent=2))
        return 0
    _show_here(rows)
    if found:
        _show_there(found)
    return 0


def held(ledger: Ledger) -> list[Lease]:
    """Return every lease that is held on a Proxmox that outlives its runs."""
    targets = [target for kind in ("real", "url") for target in ledger.targets(kind=kind)]
    return [lease for target in targets for lease in ledger.leases(target)]


def _here() -> list[dict[str, Any]]:
    from pytest_proxmox.sandbox.ledger import FILE_NAME, Ledger

    if not (ledger_folder() / FILE_NAME).exists():
        return []
    with Ledger(ledger_folder()) as ledger:
        return [_row(ledger, lease) for lease in held(ledger)]


def _there() -> list[Tenancy] | None:
    from pytest_proxmox.cli.cluster import tenancies

    settings = settings_here()
    if settings.kind == "simulator" and settings.host is None:
        return None
    calls, _, _ = open_target(settings)
    return tenancies(calls, settings.pool)


def _row(ledger: Ledger, lease: Lease) -> dict[str, Any]:
    return {
        "target": lease.target,
        "vmid": int(lease.vmid),
        "guest": str(lease),
        "state": str(lease.state) if lease.kept_until is None else f"{lease.state}, kept",
        "run": lease.run,
        "worker": lease.worker,
        "alive": "yes" if ledger.is_alive(lease.run, lease.target) else "no",
        "kept_until": lease.kept_until,
        "leftovers": [str(leftover) for leftover in lease.leftovers],
    }


def _show_here(rows: list[dict[str, Any]]) -> None:
    if not rows:
        print("No leases of this machine.")
        return
    table.show(COLUMNS, [[str(row[name]) for name in COLUMNS] for row in rows])
    for row in rows:
        for line in row["leftovers"]:
            print(f"left: {line}")
    if any(row["alive"] == "no" and row["kept_until"] is None for row in rows):
        print("Those of runs that are not alive: pytest-proxmox sweep", file=sys.stderr)


def _show_there(found: list[Tenancy]) -> None:
    from pytest_proxmox.clock import SystemClock

    now = SystemClock().now()
    print("\nOn the Proxmox, from any machine:")
    table.show(
        CLUSTER_COLUMNS,
        [
            (one.span, one.run or "?", one.host or "?", one.until(now), ", ".join(one.guests))
            for one in found
        ],
    )
    if any(one.is_expired(now) for one in found):
        print("Expired ones: pytest-proxmox sweep --all-expired", file=sys.stderr)
