"""``python -m benchmarks [NAME ...]``: runs every module here that has a ``main()``.

What they show goes into ``RESULTS.md`` beside them.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import harness, results
from benchmarks.peers import FAKEPVE

# The packages that a benchmark is measured against, or that its floor is made of.
PEERS = {
    "app": ("uvicorn", "fastapi", "argon2-cffi"),
    "browser": ("playwright",),
    "database": ("SQLAlchemy", "pytest-django", "Django", "psycopg"),
    "database_state": ("SQLAlchemy",),
    "flaky": ("pytest", "pytest-rerunfailures"),
    "history": ("psycopg",),
    "hygiene": ("pytest", "pytest-asyncio"),
    "imports": ("pytest",),
    "simulator": (FAKEPVE, "proxmoxer", "requests"),
    "sync": ("SQLAlchemy",),
}


def benchmarks() -> dict[str, Callable[[], Sequence[harness.Row]]]:
    """Return each benchmark's ``main`` by the name of its module."""
    found = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name != "__main__":
            main = getattr(importlib.import_module(f"benchmarks.{module.name}"), "main", None)
            if main is not None:
                found[module.name] = main
    return found


def select(names: Sequence[str]) -> list[Callable[[], Sequence[harness.Row]]]:
    """Return the benchmarks of these names, or all of them when none is given.

    Raises:
        SystemExit: a name that no benchmark has.
    """
    known = benchmarks()
    if unknown := set(names) - known.keys():
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}. There are: {', '.join(known)}")
    return [known[name] for name in names or known]


if __name__ == "__main__":
    if {"-h", "--help"} & {*sys.argv[1:]}:
        print(f"{__doc__}\nThere are: {', '.join(benchmarks())}")
        sys.exit()
    sys.exit(harness.run(select(sys.argv[1:]), keep=results.keeper(results.FILE, PEERS)))
