"""``pytest-proxmox coverage``: what of the API is simulated, and what of it a run used."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_proxmox.errors import InvalidValue

if TYPE_CHECKING:
    from pytest_proxmox.simulator.coverage import Coverage, Usage

CACHE = Path(".pytest_cache", "d", "proxmox")
MARKS = {"stateful": "works", "checked": "checked", "unsupported": "501"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.description = (
        "Say which methods of the Proxmox VE API the embedded Proxmox has: stateful (works), "
        "checked (parameters and permissions are judged, reads have the right shape) or "
        "unsupported (501, nothing is pretended), and which the last run in this folder used."
    )
    parser.add_argument("family", nargs="?", help="only this family, each method: e.g. nodes/lxc")
    parser.add_argument("--used", action="store_true", help="only what the last run used")
    parser.add_argument("--json", action="store_true", help="for machines: every method")
    parser.add_argument(
        "--cache",
        type=Path,
        default=CACHE,
        metavar="DIR",
        help="where the run left its record (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Print the table and return 0."""
    from pytest_proxmox.simulator import coverage

    rows = list(coverage.table(_usage(args.cache, needed=args.used)))
    if args.family is not None:
        rows = _of_family(rows, args.family)
    if args.used:
        rows = [row for row in rows if row.used or row.refused]
    if args.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    elif args.family is not None or args.used:
        _print_methods(rows)
    else:
        _print_families(rows)
    return 0


def _usage(folder: Path, *, needed: bool) -> Usage:
    from pytest_proxmox.simulator.coverage import NOTHING, Usage

    files = sorted(folder.glob("used-*.json"))
    if needed and not files:
        raise InvalidValue(
            f'no run has left a record in "{folder}"',
            origin="option --cache",
            hint="Run pytest here first, with its cache on, on the embedded Proxmox",
        )
    return Usage.read(files) if files else NOTHING


def _of_family(rows: Iterable[Coverage], family: str) -> list[Coverage]:
    known = list(rows)
    found = [row for row in known if row.family == family]
    if not found:
        names = ", ".join(sorted({row.family for row in known}))
        raise InvalidValue(f'"{family}" is not a family', hint=f"There are: {names}")
    return found


def _print_methods(rows: Sequence[Coverage]) -> None:
    for row in rows:
        used = f"  used {row.used}, refused {row.refused}" if row.used or row.refused else ""
        print(f"{MARKS[row.kind]:8} {row.verb:6} {row.path}{used}")


def _print_families(rows: Sequence[Coverage]) -> None:
    families: dict[str, Counter[str]] = {}
    for row in rows:
        count = families.setdefault(row.family, Counter())
        count[row.kind] += 1
        count["used"] += bool(row.used or row.refused)
    total: Counter[str] = Counter()
    columns = (*MARKS, "used")
    print(f"{'family':24}" + "".join(f"{name:>13}" for name in columns))
    for name, count in families.items():
        total.update(count)
        print(f"{name:24}" + "".join(f"{count[column]:>13}" for column in columns))
    print(f"{'all':24}" + "".join(f"{total[column]:>13}" for column in columns))
