"""Rows and facts as rich shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

STYLES = {"running": "green", "online": "green", "stopped": "dim", "offline": "red"}


def grid(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Return a table; states have their colours, numbers stand on the right."""
    listed = [tuple(row) for row in rows]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, title in enumerate(titles):
        right = bool(listed) and all(isinstance(row[number], int) for row in listed)
        table.add_column(title, justify="right" if right else "left", overflow="fold")
    for row in listed:
        table.add_row(*(Text(str(cell), style=STYLES.get(str(cell), "")) for cell in row))
    return table


def facts(told: Mapping[str, Any], *, as_they_are: bool = False) -> Table:
    """Return names and values, one a line; names that are typed, too, are shown as they are."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in told.items():
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        text = text.rstrip()
        table.add_row(
            name if as_they_are else name.replace("_", " "), Text(text, style=STYLES.get(text, ""))
        )
    return table


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 step``, ``3 steps``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size(number: int) -> str:
    """Return bytes as people read them: ``512 MiB``, ``8 GiB``."""
    amount, unit = float(number), "B"
    for name in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, name
    return f"{amount:.4g} {unit}"
