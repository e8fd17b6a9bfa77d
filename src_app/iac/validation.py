"""Whether generated Terraform can be right: parsed, and held against the provider's arguments.

``terraform validate`` needs the provider's binary; this needs none. The table of arguments is made
from the provider's public docs by ``scripts/provider_table.py``.
"""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import hcl2
from lark.exceptions import LarkError

META = frozenset({"lifecycle", "provider", "depends_on", "count", "for_each"})
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_REFERENCE = re.compile(r"\bvar\.([A-Za-z_][\w-]*)")
_IS_BLOCK = "__is_block__"
_MARKS = frozenset({_IS_BLOCK, "__comments__", "__inline_comments__"})


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong, and where."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A project's parts, from all of its files."""

    resources: tuple[tuple[str, str, Mapping[str, Any]], ...] = ()
    imports: tuple[tuple[str, str], ...] = ()
    variables: tuple[str, ...] = ()
    references: frozenset[str] = frozenset()
    provider: Mapping[str, Any] = field(default_factory=dict)
    locals: tuple[Mapping[str, Any], ...] = ()


@functools.cache
def provider_table() -> Mapping[str, Any]:
    """Return the provider's arguments by resource, and what they were read from."""
    text = resources.files("src_app.iac").joinpath("provider.json").read_text(encoding="utf-8")
    table: Mapping[str, Any] = json.loads(text)
    return table


def parse(files: Mapping[str, str]) -> Parsed:
    """Return what the ``.tf`` files of a project hold.

    Raises:
        ValueError: a file is no HCL; the error names it.
    """
    found: dict[str, list[Any]] = {}
    for name, text in files.items():
        if name.endswith(".tf"):
            for kind, blocks in _load(name, text).items():
                found.setdefault(kind, []).extend(blocks)
    return Parsed(
        tuple(_labelled(found.get("resource", []))),
        tuple((reference(block["to"]), plain(block["id"])) for block in found.get("import", [])),
        tuple(unquoted(name) for block in found.get("variable", []) for name in _names(block)),
        frozenset(name for text in _expressions(found) for name in _REFERENCE.findall(text)),
        next((body for block in found.get("provider", []) for body in block.values()), {}),
        tuple(found.get("locals", [])),
    )


def _load(name: str, text: str) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = hcl2.loads(text)
    except LarkError as exc:
        first = str(exc).strip().splitlines()[:1]
        raise ValueError(f'"{name}" is no HCL: {" ".join(first)}') from exc
    return {kind: blocks for kind, blocks in loaded.items() if kind not in _MARKS}


def _expressions(value: Any) -> Iterator[str]:
    """Yield what is an expression, not a literal that looks like one."""
    if isinstance(value, str) and value.startswith("${"):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _expressions(item)


def _names(block: Mapping[str, Any]) -> list[str]:
    return [name for name in block if name not in _MARKS]


def _labelled(blocks: list[Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for block in blocks:
        for kind in _names(block):
            for name in _names(block[kind]):
                yield unquoted(kind), unquoted(name), block[kind][name]


def unquoted(text: str) -> str:
    """Return a label without its quotes."""
    return text[1:-1] if text[:1] == text[-1:] == '"' else text


def reference(text: str) -> str:
    """Return an expression without the braces that the parser puts round it."""
    return text[2:-1] if text.startswith("${") and text.endswith("}") else text


def plain(text: str) -> str:
    """Return the text that a literal stands for."""
    inner = unquoted(text).replace("$${", "${").replace("%%{", "%{")
    return str(json.loads(f'"{_json_escapes(inner)}"'))


def _json_escapes(text: str) -> str:
    """Return HCL's escapes as JSON's, which has none of eight digits."""

    def pair(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        return json.dumps(chr(int(match[1], 16)))[1:-1]

    return re.sub(r"\\U([0-9A-Fa-f]{8})|\\.", pair, text)


def problems(files: Mapping[str, str]) -> list[Problem]:
    """Return everything that is wrong with a project; an empty list is what one wants."""
    try:
        project = parse(files)
    except ValueError as exc:
        return [Problem("syntax", str(exc))]
    return check(project)


def check(project: Parsed) -> list[Problem]:
    """Return everything that is wrong with a project that is parsed."""
    found = [*_duplicates(project), *_references(project)]
    for kind, name, body in project.resources:
        found += _resource(kind, name, body)
    found += _body("provider", project.provider, provider_table()["provider"], needs=False)
    return found


def _duplicates(project: Parsed) -> Iterator[Problem]:
    addresses = [f"{kind}.{name}" for kind, name, _ in project.resources]
    for counted in (addresses, project.variables, [to for to, _ in project.imports]):
        for name, times in Counter(counted).items():
            if times > 1:
                yield Problem(name, f"is there {times} times")


def _references(project: Parsed) -> Iterator[Problem]:
    for name in sorted(project.references - set(project.variables)):
        yield Problem(f"var.{name}", "is used and not declared")
    for name in sorted(set(project.variables) - project.references):
        yield Problem(f"var.{name}", "is declared and not used")
    addresses = {f"{kind}.{name}" for kind, name, _ in project.resources}
    for to, _ in project.imports:
        if to not in addresses:
            yield Problem(to, "is imported and not there")


def _resource(kind: str, name: str, body: Mapping[str, Any]) -> Iterator[Problem]:
    if not IDENTIFIER.fullmatch(name):
        yield Problem(f"{kind}.{name}", "is no name that Terraform accepts")
    table = provider_table()["resources"].get(kind)
    if table is None:
        yield Problem(f"{kind}.{name}", "is a type that the provider's table does not have")
    else:
        yield from _body(f"{kind}.{name}", body, table)


def _body(
    where: str, body: Mapping[str, Any], table: Mapping[str, Any], *, needs: bool = True
) -> Iterator[Problem]:
    told = {key: value for key, value in body.items() if key not in _MARKS | META}
    for key, value in told.items():
        fact = table.get(key)
        if fact is None:
            yield Problem(f"{where}.{key}", "is no argument of the provider")
            continue
        if fact.get("secret") and not str(value).startswith("${var."):
            yield Problem(f"{where}.{key}", "is a secret and must come from a variable")
        is_block = (
            isinstance(value, list)
            and all(isinstance(item, dict) and _IS_BLOCK in item for item in value)
            and bool(value)
        )
        if is_block != ("block" in fact):
            yield Problem(f"{where}.{key}", "must be a block" if not is_block else "is no block")
        elif is_block:
            for item in value:
                yield from _body(f"{where}.{key}", item, fact["block"])
    missing = [key for key, fact in table.items() if fact.get("required") and key not in told]
    if needs:
        yield from (Problem(f"{where}.{key}", "is missing") for key in missing)
