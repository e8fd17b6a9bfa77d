"""Results: what each benchmark last showed, as a page that is kept with the code.

A run of one benchmark replaces its section and leaves the others, each with its own date.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path

from benchmarks.harness import Row

FILE = Path(__file__).with_name("RESULTS.md")
INTRODUCTION = """\
# Benchmark results

Written by `./dev bench`. Each row is a ratio: the median of pairs in which subject and peer were
measured in turn, on one machine in the same minutes; the spread is that of the pairs. It promises
no absolute time. The goal is the bound that the benchmark itself checks.
"""
HEAD = ("benchmark", "against", "ratio", "spread", "goal", "verdict")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """When and with what a benchmark ran; ``versions`` are those of its peers."""

    on: date
    python: str
    system: str
    versions: Mapping[str, str]

    @classmethod
    def here(cls, peers: Iterable[str], *, today: date) -> Circumstances:
        """Return those of this process; ``peers`` are distributions, a pinned one as it is."""
        system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
        versions = {name: version for name, version in map(_version, peers) if version}
        return cls(today, platform.python_version(), system, versions)

    def __str__(self) -> str:
        peers = "".join(f", {name} {version}" for name, version in sorted(self.versions.items()))
        return f"{self.on.isoformat()}, Python {self.python}{peers}, {self.system}"


def _version(peer: str) -> tuple[str, str]:
    """A peer and its version, which is empty where it is not installed; ``a==1`` knows its own."""
    name, _, pinned = peer.partition("==")
    name = name.partition("[")[0]
    if pinned:
        return name, pinned
    try:
        return name, metadata.version(name)
    except metadata.PackageNotFoundError:
        return name, ""


def section(name: str, rows: Sequence[Row], circumstances: Circumstances) -> str:
    """Return a benchmark's part of the page."""
    cells = [HEAD, ("---",) * len(HEAD), *map(_cells, rows)]
    lines = ["| " + " | ".join(line) + " |" for line in cells]
    return "\n".join([f"## {name}", "", f"{circumstances}.", "", *lines, ""])


def _cells(row: Row) -> tuple[str, ...]:
    name, peer, ratio, spread, _, bound, verdict = row.cells()
    return tuple(cell.replace("|", "\\|") for cell in (name, peer, ratio, spread, bound, verdict))


def merged(page: str, name: str, new: str) -> str:
    """Return the page with one section replaced, or added; they stand in the order of names."""
    parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]
    sections = {part.splitlines()[0].removeprefix("## "): part.strip() for part in parts}
    sections[name] = new.strip()
    ordered = [sections[known] for known in sorted(sections)]
    return "\n\n".join([INTRODUCTION.strip(), *ordered]) + "\n"


def keep(name: str, rows: Sequence[Row], peers: Iterable[str], *, today: date, file: Path) -> None:
    """Put a benchmark's rows into the file; without rows there is nothing to say."""
    if not rows:
        return
    new = section(name, rows, Circumstances.here(peers, today=today))
    page = file.read_text(encoding="utf-8") if file.exists() else ""
    beside = file.with_suffix(".new")
    beside.write_text(merged(page, name, new), encoding="utf-8")
    beside.replace(file)  # a run that is killed leaves the page as it was


def keeper(file: Path, peers: Mapping[str, Sequence[str]]) -> Callable[[str, Sequence[Row]], None]:
    """Return what a run calls with each benchmark's rows; ``peers`` are those of each name."""

    def keep_rows(name: str, rows: Sequence[Row]) -> None:
        keep(name, rows, peers.get(name, ()), today=date.today(), file=file)  # noqa: DTZ011

    return keep_rows
