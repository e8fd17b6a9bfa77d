"""Every path template and method of the PVE 9 API, read when first asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from pytest_proxmox.simulator.schema.fields import Facts, Verified
from pytest_proxmox.simulator.schema.scalars import to_string
from pytest_proxmox.simulator.schema.verification import Verifier, specs

DATA = Path(__file__).with_name("methods.tsv")  # made by scripts/refresh_schema.py


@dataclass(frozen=True, eq=False)
class Method:
    """What is known of one method: ``POST /nodes/{node}/lxc``.

    ``permissions`` is the declared check, None where nothing is declared; ``protected`` says
    that the real daemon hands the call to its root part, ``proxyto`` the parameter that names
    the node it runs on.
    """

    path: str
    verb: str
    name: str
    parameters: Facts = field(repr=False)
    returns: Facts = field(repr=False)
    permissions: Facts | None = field(repr=False)
    allowtoken: bool
    protected: bool
    proxyto: str | None
    expose_credentials: bool
    download_allowed: bool

    @cached_property
    def verifier(self) -> Verifier:
        """The compiled check of the parameters."""
        return Verifier(self.parameters)

    @cached_property
    def fields(self) -> Mapping[str, Facts]:
        """The facts of each parameter by name, ``net[n]`` written out."""
        return specs(self.parameters)

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """The documented defaults; verification does not fill them in, as PVE does not."""
        return {name: facts["default"] for name, facts in self.fields.items() if "default" in facts}


class Schema:
    """All path templates with their methods; a template's facts are parsed at its first use."""

    def __init__(self, lines: Mapping[str, str]) -> None:
        self._lines = lines
        self._parsed: dict[str, Mapping[str, Method]] = {}

    @classmethod
    def read(cls, path: Path = DATA) -> Schema:
        """Return the schema in a data file: one template, TAB and JSON a line."""
        lines = path.read_text(encoding="utf-8").splitlines()
        return cls(dict(line.split("\t", 1) for line in lines))

    def templates(self) -> tuple[str, ...]:
        """Return every path template, sorted, as ``/nodes/{node}/lxc``."""
        return tuple(self._lines)

    def verbs(self, template: str) -> tuple[str, ...]:
        """Return the verbs of ``template``, none if there is no such template."""
        return tuple(self._methods(template))

    def method(self, template: str, verb: str) -> Method | None:
        """Return the method, or None where PVE answers 501."""
        return self._methods(template).get(verb)

    def methods(self) -> Iterator[Method]:
        """Yield every method, by template and verb."""
        for template in self._lines:
            yield from self._methods(template).values()

    def _methods(self, template: str) -> Mapping[str, Method]:
        found = self._parsed.get(template)
        if found is None:
            if template not in self._lines:
                return {}
            verbs = json.loads(self._lines[template])
            found = {verb: _method(template, verb, facts) for verb, facts in verbs.items()}
            self._parsed[template] = found
        return found


@cache
def load() -> Schema:
    """Return the schema that comes with the package; it never changes, so all share one."""
    return Schema.read()


def verify(method: Method, params: Mapping[str, Any]) -> Verified:
    """Return the typed values of a call's parameters, and an error for each refused one.

    ``params`` has those of the path, the query and the body: texts, lists of texts (a parameter
    given twice), or JSON values. Property strings stay texts; see ``properties``.
    """
    return method.verifier.verify(params)


def conflicts(path: Mapping[str, str], params: Mapping[str, Any]) -> dict[str, str]:
    """Return an error for each parameter that contradicts the same one in the URL's path.

    To be asked before ``verify``, with the two not yet merged (golden 08 seq 23).
    """
    return {
        name: "duplicate parameter (already defined in URI) with conflicting values!"
        for name, value in path.items()
        if name in params and to_string(params[name]) != value
    }


def _method(path: str, verb: str, facts: Facts) -> Method:
    return Method(
        path=path,
        verb=verb,
        name=facts["name"],
        parameters=facts["parameters"],
        returns=facts["returns"],
        permissions=facts.get("permissions"),
        allowtoken=bool(facts["allowtoken"]),
        protected=bool(facts.get("protected")),
        proxyto=facts.get("proxyto"),
        expose_credentials=bool(facts.get("expose_credentials")),
        download_allowed=bool(facts.get("download_allowed")),
    )
