"""From a path to its template in the schema, in time that does not depend on how many there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

REMEMBERED: Final = 2048  # paths whose match is kept: clients ask the same again
GREEDY: Final = ("volume", "cidr")  # names with slashes in them (golden 07 seq 38)


@dataclass(slots=True)
class _Branch:
    children: dict[str, _Branch] = field(default_factory=dict)
    parameter: tuple[str, _Branch] | None = None
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """A template and the values of its path parameters."""

    template: str
    params: dict[str, str]


class Router:
    """A tree of path segments."""

    def __init__(self, templates: Iterable[str]) -> None:
        self._root = _Branch()
        self._matched: dict[str, Match | None] = {}
        for template in templates:
            self._add(template)

    def _add(self, template: str) -> None:
        branch = self._root
        for part in filter(None, template.split("/")):
            if part.startswith("{"):
                if branch.parameter is None:
                    branch.parameter = (part[1:-1], _Branch())
                branch = branch.parameter[1]
            else:
                branch = branch.children.setdefault(part, _Branch())
        branch.template = template

    def match(self, path: str) -> Match | None:
        """Return the template of a path, or None; empty segments do not count (golden 02)."""
        if path in self._matched:
            return self._matched[path]
        if len(self._matched) >= REMEMBERED:
            self._matched.clear()
        self._matched[path] = found = self._match(path)
        return found

    def _match(self, path: str) -> Match | None:
        plain = unquote(path) if "%" in path else path
        parts = [part for part in plain.split("/") if part]
        branch, params = self._root, {}
        for position, part in enumerate(parts):
            child = branch.children.get(part)
            if child is None:
                if branch.parameter is None:
                    return None
                name, child = branch.parameter
                if name in GREEDY:
                    params[name] = "/".join(parts[position:])
                    branch = child
                    break
                params[name] = part
            branch = child
        if branch.template is None:
            return None
        return Match(branch.template, params)
