"""Says how much of each package the tests ran, and which files lie below the floor.

``scripts/coverage_floor.py COVERAGE_JSON`` reads what ``coverage json`` wrote; the exit code is
1 where a package or a file has too little. Lines and branches count alike.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PACKAGES = ("pytest_proxmox", "src_app")
OF_A_PACKAGE = 90.0  # percent, at least
OF_A_FILE = 80.0  # percent, more than


def percent(summaries: list[Mapping[str, Any]]) -> float:
    """Return the share of lines and branches that were run, 100 where there are none."""
    covered = sum(one["covered_lines"] + one.get("covered_branches", 0) for one in summaries)
    every = sum(one["num_statements"] + one.get("num_branches", 0) for one in summaries)
    return 100.0 * covered / every if every else 100.0


def judged(files: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, bool]]:
    """Yield a line for each package and each low file, and whether it is in order."""
    for package in PACKAGES:
        own = [file["summary"] for name, file in files.items() if name.startswith(f"{package}/")]
        share = percent(own)
        yield f"{package}: {share:.1f} % of {len(own)} files", share >= OF_A_PACKAGE
    shares = {name: percent([file["summary"]]) for name, file in files.items()}
    for name, share in sorted(shares.items(), key=lambda item: item[1]):
        if share <= OF_A_FILE:
            yield f"{name}: {share:.1f} %", False


def main(path: Path) -> int:
    """Print the verdict and return the exit code."""
    lines = list(judged(json.loads(path.read_text(encoding="utf-8"))["files"]))
    for text, is_in_order in lines:
        print(text if is_in_order else f"{text}, too little")
    return 0 if all(is_in_order for _, is_in_order in lines) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
