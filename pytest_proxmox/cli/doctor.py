"""``pytest-proxmox doctor``: whether tests can run here, and what to do where they cannot."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from pytest_proxmox.cli import table
from pytest_proxmox.cli.target import settings_here

if TYPE_CHECKING:
    from pytest_proxmox.cli.checks import Finding

FOUND = 1
COLUMNS = ("check", "", "found")
SIGNS = {"ok": "ok", "warn": "warn", "fail": "FAIL", "skip": "-"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.description = (
        "Check the Proxmox that tests would use (PROXMOX_HOST or PROXMOX_TARGET; without them the "
        "embedded one), the token's rights, what is left over, and this machine: reaper, ledger, "
        "database, browser. Changes nothing there. Ends with 1 where something must be done."
    )
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Check everything, and return 1 where tests could not run, else 0."""
    from pytest_proxmox.cli import checks

    findings = []
    for finding in checks.all_of(settings_here()):
        findings.append(finding)
        _tell_progress(finding.check)
    _tell_progress("")
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _show(findings)
    return FOUND if any(finding.state == "fail" for finding in findings) else 0


def _tell_progress(check: str) -> None:
    """Show somebody at a terminal what was looked at last, in a line that goes away."""
    if sys.stderr.isatty():
        told = f"checked: {check}" if check else ""
        print(f"\r\x1b[K{told}", end="", file=sys.stderr, flush=True)


def _show(findings: list[Finding]) -> None:
    table.show(COLUMNS, [(one.check, SIGNS[one.state], one.found) for one in findings])
    remedies = [one for one in findings if one.remedy]
    if remedies:
        print("\nTo do:")
        table.show(("for", "do"), [(one.check, one.remedy) for one in remedies])
    failed = sum(one.state == "fail" for one in findings)
    verdict = f"{failed} of {len(findings)} checks failed." if failed else "Tests can run."
    print(f"\n{verdict}")
