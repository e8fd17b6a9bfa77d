"""Write docs/reference/coverage.md: every method of the API and what the simulator does with it."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from pathlib import Path

from pytest_proxmox.simulator import coverage

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "coverage.md"
HEAD = """# What the embedded Proxmox covers

Made by `scripts/coverage_page.py`. *stateful*: a write shows in later reads, and a contract
test of this project was answered by the method. *checked*: permission and parameters are judged,
and a read has the right shape. *unsupported*: the answer is 501, and nothing is pretended.
`pytest-proxmox coverage` prints the same, with what your last run used.

"""


def page() -> str:
    """Return the page as Markdown."""
    rows = list(coverage.table())
    parts = [HEAD, _summary(rows)]
    rows.sort(key=lambda row: (row.family, row.path, row.verb))
    for family, group in itertools.groupby(rows, key=lambda row: row.family):
        parts.append(f"\n## {family}\n\n| method | class |\n| --- | --- |\n")
        parts += [f"| `{row.verb} {row.path}` | {row.kind} |\n" for row in group]
    return "".join(parts)


def _summary(rows: list[coverage.Coverage]) -> str:
    counts = Counter(row.kind for row in rows)
    cells = " | ".join(str(counts[kind]) for kind in coverage.CLASSES)
    names = " | ".join(coverage.CLASSES)
    return f"| methods | {names} |\n| --- | --- | --- | --- |\n| {len(rows)} | {cells} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit(0)
