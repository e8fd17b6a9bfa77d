"""Coverage by module, from the JSON file that ``coverage json`` writes."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from pytest_proxmox.errors import InvalidValue


class Covered(NamedTuple):
    """How much of a module was run, in lines."""

    module: str
    statements: int
    covered: int

    @property
    def percent(self) -> float:
        """The share in percent, 100 where there is nothing to run."""
        return 100.0 * self.covered / self.statements if self.statements else 100.0


def read(path: Path) -> list[Covered]:
    """Return the coverage of each folder of code, by name.

    Raises:
        InvalidValue: the file is none of ``coverage json``'s.
    """
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        for name, of in files.items():
            summary = of["summary"]
            folder = name.replace("\\", "/").rpartition("/")[0] or "."
            sums[folder][0] += int(summary["num_statements"])
            sums[folder][1] += int(summary["covered_lines"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InvalidValue(
            f"the coverage cannot be read: {type(exc).__name__}: {exc}",
            origin=str(path),
            hint="Make the file with: coverage json",
        ) from exc
    return [Covered(name, *counts) for name, counts in sorted(sums.items())]


def total(modules: list[Covered]) -> Covered:
    """Return the sum of all modules."""
    statements = sum(one.statements for one in modules)
    return Covered("total", statements, sum(one.covered for one in modules))
