"""HCL as a value: attributes and blocks, rendered as ``terraform fmt`` would leave them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

Scalar = str | int | float | bool
INDENT = "  "
_BARE = re.compile(r"[a-z_][a-z0-9_]*")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Expression:
    """Text that stands as it is: a reference, a type, a call."""

    text: str


Value = Scalar | Expression | list["Value"] | dict[str, "Value"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """``name = value``."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Comment:
    """A line that only people read."""

    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """``type "label" { … }``."""

    type: str
    labels: tuple[str, ...] = ()
    body: tuple[Attribute | Block | Comment, ...] = ()


Item = Attribute | Block | Comment


def attributes(values: Mapping[str, Value | None]) -> tuple[Attribute, ...]:
    """Return an attribute for each value that is not None."""
    return tuple(Attribute(name, value) for name, value in values.items() if value is not None)


def quote(text: str) -> str:
    """Return ``text`` as a literal: nothing in it is an expression, whatever it holds."""
    out = []
    for place, letter in enumerate(text):
        if letter in _ESCAPES:
            out.append(_ESCAPES[letter])
        elif letter in "$%" and text[place + 1 : place + 2] == "{":
            out.append(letter * 2)
        elif not letter.isprintable():
            out.append(
                f"\\u{ord(letter):04X}" if ord(letter) <= 0xFFFF else f"\\U{ord(letter):08X}"
            )
        else:
            out.append(letter)
    return f'"{"".join(out)}"'


def render_value(value: Value, depth: int = 0) -> str:
    """Return a value as HCL."""
    if isinstance(value, Expression):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, list):
        return f"[{', '.join(render_value(item, depth) for item in value)}]"
    if isinstance(value, dict):
        return _render_map(value, depth)
    return str(value)


def _render_map(value: Mapping[str, Value], depth: int) -> str:
    if not value:
        return "{}"
    inner = INDENT * (depth + 1)
    keys = {key: key if _BARE.fullmatch(key) else quote(key) for key in value}
    width = max(map(len, keys.values()))
    rows = [
        f"{inner}{keys[key]:<{width}} = {render_value(item, depth + 1)}"
        for key, item in value.items()
    ]
    return "\n".join(["{", *rows, f"{INDENT * depth}}}"])


def render(*items: Item) -> str:
    """Return a file of top-level items."""
    return "\n".join(_lines(items, 0)) + "\n" if items else ""


def _lines(items: tuple[Item, ...], depth: int) -> list[str]:
    """Return the lines of a body: equals signs of neighbours in one column, air round blocks."""
    lines: list[str] = []
    before: Item | None = None
    run: list[Attribute] = []
    for item in items:
        if isinstance(item, Attribute) and not _is_tall(item):
            if isinstance(before, Block) or (isinstance(before, Attribute) and _is_tall(before)):
                lines.append("")
            run.append(item)
        else:
            lines += _aligned(run, depth)
            run = []
            if before is not None and not isinstance(before, Comment):
                lines.append("")
            lines += _one(item, depth)
        before = item
    return lines + _aligned(run, depth)


def _is_tall(item: Attribute) -> bool:
    return isinstance(item.value, dict) and bool(item.value)


def _aligned(run: list[Attribute], depth: int) -> list[str]:
    width = max((len(item.name) for item in run), default=0)
    pad = INDENT * depth
    return [f"{pad}{item.name:<{width}} = {render_value(item.value, depth)}" for item in run]


def _one(item: Item, depth: int) -> list[str]:
    pad = INDENT * depth
    if isinstance(item, Comment):
        return [f"{pad}# {line}" for line in item.text.splitlines()]
    if isinstance(item, Attribute):
        return [f"{pad}{item.name} = {render_value(item.value, depth)}"]
    head = " ".join([item.type, *map(quote, item.labels)])
    if not item.body:
        return [f"{pad}{head} {{}}"]
    return [f"{pad}{head} {{", *_lines(item.body, depth + 1), f"{pad}}}"]
