"""Tables for people: columns as wide as what is in them, the last one wrapped at the screen's."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TextIO

GAP = "  "
NARROWEST = 24  # a last column below this is left to the terminal to break


def show(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, file: TextIO | None = None
) -> None:
    """Print rows under their columns' names."""
    out = file if file is not None else sys.stdout
    width = shutil.get_terminal_size().columns if out.isatty() else 0
    for line in lines([columns, *rows], width=width):
        print(line, file=out)


def lines(rows: Sequence[Sequence[object]], *, width: int = 0) -> list[str]:
    """Return a table's lines; ``width`` 0 wraps nothing."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    indent = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
    room = width - indent
    return [
        line
        for row in texts
        for line in _row(row, widths, room if width and room >= NARROWEST else 0, indent)
    ]


def _row(row: Sequence[str], widths: Sequence[int], room: int, indent: int) -> list[str]:
    head = "".join(
        cell.ljust(width) + GAP for cell, width in zip(row[:-1], widths[:-1], strict=True)
    )
    wrapped = textwrap.wrap(row[-1], room, break_long_words=False) if room else [row[-1]]
    first, *rest = wrapped or [""]
    return [(head + first).rstrip(), *(" " * indent + line for line in rest)]
