"""Every message of our own errors, read from the places in the code that make them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from pytest_proxmox import errors

PACKAGE: Final = Path(errors.__file__).parent
CLASSES: Final = tuple(
    name
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and kind.__module__ == errors.__name__
)
PYTEST: Final = {"pytest.UsageError", "pytest.skip", "pytest.fail", "pytest.fail.Exception"}
ANY: Final = "…"  # stands for a value
_SAYS_SOMETHING: Final = re.compile(r"[a-z]{2}")


class Message(NamedTuple):
    """A text that an error may have, with ``…`` for each value, and what to do about it.

    ``error`` is the name of its class; empty where it is one of pytest's own.
    """

    error: str
    text: str
    hint: str


def messages() -> list[Message]:
    """Return the messages of all errors, in the order of errors and texts."""
    found = set(_templates())
    for path in PACKAGE.rglob("*.py"):
        found.update(_made_in(ast.parse(path.read_text(encoding="utf-8"))))
    return sorted(found)


def _templates() -> Iterator[Message]:
    """Yield the texts that a class puts round the values it is given."""
    tree = ast.parse(Path(errors.__file__).read_text(encoding="utf-8"))
    for kind in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for node in ast.walk(kind):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("super().__init__", "cls"):
                yield from _message(kind.name, node)


def _made_in(tree: ast.Module) -> Iterator[Message]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in CLASSES:
            yield from _message(called, node)
        elif called in PYTEST:
            yield from _message("", node)


def _message(error: str, call: ast.Call) -> Iterator[Message]:
    """Yield the message that a call gives, if it is written out there."""
    texts = [_text(argument) for argument in call.args]
    said = [text for text in texts if _SAYS_SOMETHING.search(text)]
    if said:
        hint = "".join(_text(word.value) for word in call.keywords if word.arg == "hint")
        yield Message(error, said[-1], hint if _SAYS_SOMETHING.search(hint) else "")


def _text(node: ast.expr) -> str:
    """Return a string's literal parts with ``…`` between them; ``…`` alone for what is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        raw = node.value
    elif isinstance(node, ast.JoinedStr):
        raw = "".join(_text(part) for part in node.values)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        raw = _text(node.left) + _text(node.right)
    else:
        raw = ANY
    return re.sub(f"{ANY}+", ANY, re.sub(r"\s+", " ", raw))
