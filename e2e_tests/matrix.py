"""The navigation matrix: each switch from view to view, how long it took, as an HTML table."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from statistics import median

import pytest

from e2e_tests.pages import VIEWS

SLOW_MS = 150
LIMIT_MS = 1000
STYLE = """body{font:15px system-ui;margin:2rem;color:#191d2e}table{border-collapse:collapse}
th,td{border:1px solid #dfe2ee;padding:.5rem .8rem;text-align:right}th{background:#f4f5fa}
.fast{background:#dcf5ea}.slow{background:#fdf0d9}.late{background:#fde7ea}.none{color:#9aa}"""


@dataclass(frozen=True)
class Cell:
    """One switch."""

    origin: str
    target: str
    took_ms: float

    @property
    def pace(self) -> str:
        """How good that is."""
        return "fast" if self.took_ms < SLOW_MS else "slow" if self.took_ms < LIMIT_MS else "late"


class Matrix:
    """The cells of one run, of all its workers: a line each in one file."""

    def __init__(self, folder: Path, run: str) -> None:
        self._file = folder / f"navigation-{run}.jsonl"
        self.table = folder / "navigation-matrix.html"

    @classmethod
    def of(cls, config: pytest.Config) -> Matrix:
        """Return the matrix of this run."""
        run = os.getppid() if hasattr(config, "workerinput") else os.getpid()
        return cls(Path(config.getoption("--output")).absolute(), str(run))

    def add(self, cell: Cell) -> None:
        """Write a cell down, and the table with it."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(cell)) + "\n")
        self._write()

    def cells(self) -> list[Cell]:
        """Return what has been written down."""
        if not self._file.exists():
            return []
        lines = self._file.read_text(encoding="utf-8").splitlines()
        return [Cell(**json.loads(line)) for line in lines]

    def summary(self) -> str:
        """Return a line about all switches, "" where there were none."""
        took = [cell.took_ms for cell in self.cells()]
        if not took:
            return ""
        return (
            f"view switches: {len(took)}, median {median(took):.0f} ms, "
            f"slowest {max(took):.0f} ms; {self.table}"
        )

    def _write(self) -> None:
        found = {(cell.origin, cell.target): cell for cell in self.cells()}
        head = "".join(f"<th scope=col>{escape(name)}</th>" for name in VIEWS)
        rows = "".join(
            f"<tr><th scope=row>{escape(origin)}</th>"
            + "".join(_cell(found.get((origin, target))) for target in VIEWS)
            + "</tr>"
            for origin in VIEWS
        )
        text = (
            f"<!doctype html><html lang=en><meta charset=utf-8><title>Navigation matrix</title>"
            f"<style>{STYLE}</style><h1>Navigation matrix</h1><p>{escape(self.summary())}</p>"
            f"<table><tr><th scope=col>from, to</th>{head}</tr>{rows}</table>"
        )
        draft = self.table.with_suffix(f".{os.getpid()}.part")
        draft.write_text(text, encoding="utf-8")
        draft.replace(self.table)


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "<td class=none></td>"
    return f"<td class={cell.pace}>{cell.took_ms:.0f} ms</td>"
