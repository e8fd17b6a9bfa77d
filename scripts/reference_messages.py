"""Every message of our own errors, read from the places in the code that make them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
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

    ``error`` is the name of its class; empty where it is one of pytest's own. ``hint`` is the
    class's own where the place that makes the error gives none.
    """

    error: str
    text: str
    hint: str


def messages() -> list[Message]:
    """Return the messages of all errors, in the order of errors and texts."""
    own = {one.error: one.hint for one in _templates("super().__init__")}
    found = {*_templates("super().__init__"), *_templates("cls")}
    for path in PACKAGE.rglob("*.py"):
        made = _made_in(ast.parse(path.read_text(encoding="utf-8")))
        found.update(one._replace(hint=one.hint or own.get(one.error, "")) for one in made)
    return sorted(found)


def _templates(called: str) -> Iterator[Message]:
    """Yield the texts that a class puts round the values it is given, and gives to ``called``."""
    tree = ast.parse(Path(errors.__file__).read_text(encoding="utf-8"))
    for kind in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        names = _defaults(kind)
        for node in ast.walk(kind):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == called:
                yield from _message(kind.name, node, names)


def _defaults(kind: ast.ClassDef) -> dict[str, str]:
    """Return the texts that parameters of a class's methods have where nothing is given."""
    found = [node.args for node in kind.body if isinstance(node, ast.FunctionDef)]
    pairs = [pair for one in found for pair in zip(one.kwonlyargs, one.kw_defaults, strict=True)]
    return {name.arg: _text(value) for name, value in pairs if value is not None}


def _made_in(tree: ast.Module) -> Iterator[Message]:
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    names = {ast.unparse(node.targets[0]): _text(node.value) for node in assigned}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in CLASSES:
            yield from _message(called, node, names)
        elif called in PYTEST:
            yield from _message("", node, names)


def _message(error: str, call: ast.Call, names: Mapping[str, str]) -> Iterator[Message]:
    """Yield the message that a call gives, if it is written out there; ``names`` are texts."""
    texts = [_text(argument) for argument in call.args]
    said = [text for text in texts if _SAYS_SOMETHING.search(text)]
    if said:
        hints = [word.value for word in call.keywords if word.arg == "hint"]
        hint = "".join(names.get(ast.unparse(one), _text(one)) for one in hints)
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
