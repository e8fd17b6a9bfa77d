"""A Proxmox client that has no Proxmox: each call is checked against the schema of PVE 9."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_proxmox.errors import MockDrift
from pytest_proxmox.simulator import schema

_VERBS = {
    "get": "GET",
    "post": "POST",
    "create": "POST",
    "put": "PUT",
    "set": "PUT",
    "delete": "DELETE",
}


@dataclass(frozen=True)
class DoubleCall:
    """One call: the verb, the path as it was spelled, its parameters."""

    verb: str
    path: str
    parameters: Mapping[str, Any]


class ProxmoxDouble:
    """Looks like ``proxmoxer.ProxmoxAPI``: ``double.nodes("pve").lxc(100).status.current.get()``.

    ``calls`` has every call in order, refused ones too.
    """

    def __init__(self) -> None:
        self.calls: list[DoubleCall] = []
        self._stubs: dict[tuple[str, str], Any] = {}
        self._schema = schema.load()
        self._templates = [(_pattern(one), one) for one in self._schema.templates()]

    def stub(self, verb: str, template: str, answer: Any) -> None:
        """Let the method answer so: ``stub("GET", "/nodes/{node}/lxc", [...])``.

        Raises:
            MockDrift: PVE has no such method, or it does not answer in this shape.
        """
        method = self._schema.method(template, verb)
        if method is None:
            raise MockDrift(
                f"PVE has no {verb} {template}",
                hint="Write verb and path as the API viewer does, e.g. GET /nodes/{node}/lxc",
            )
        _check_shape(answer, method.returns, f"the answer to {verb} {template}")
        self._stubs[verb, template] = answer

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Resource(self, (name,))

    def __call__(self, path: str) -> _Resource:
        return _Resource(self, tuple(path.strip("/").split("/")))

    def answer(self, verb: str, segments: tuple[str, ...], parameters: Mapping[str, Any]) -> Any:
        """Return the stubbed answer to a call, or the emptiest one of the declared shape.

        Raises:
            MockDrift: PVE would refuse the path, the verb or a parameter.
        """
        path = "/" + "/".join(segments)
        self.calls.append(DoubleCall(verb, path, dict(parameters)))
        method, in_path = self._method(verb, path)
        errors = schema.verify(method, {**in_path, **parameters}).errors
        if errors:
            told = "; ".join(f"{name}: {text}" for name, text in sorted(errors.items()))
            raise MockDrift(
                f"PVE refuses {verb} {path}: {told}",
                hint="Mend these parameters where the code under test makes the call",
            )
        if (verb, method.path) in self._stubs:
            return self._stubs[verb, method.path]
        return _upid(in_path) if _starts_task(method) else schema.example(method)

    def _method(self, verb: str, path: str) -> tuple[schema.Method, dict[str, str]]:
        known = [
            (found, one) for pattern, one in self._templates if (found := pattern.fullmatch(path))
        ]
        for found, template in sorted(known, key=lambda pair: pair[1].count("{")):
            method = self._schema.method(template, verb)
            if method is not None:
                names = re.findall(r"{(\w[\w-]*)}", template)
                return method, dict(zip(names, found.groups(), strict=True))
        raise MockDrift(
            f"PVE has no {verb} {path}",
            hint="Mend the path or the verb where the code under test makes the call",
        )


class _Resource:
    """A path in the making, as proxmoxer spells it."""

    def __init__(self, double: ProxmoxDouble, segments: tuple[str, ...]) -> None:
        self._double = double
        self._segments = segments

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if (verb := _VERBS.get(name)) is not None:
            return lambda *more, **given: self._further(*more)._call(verb, given)
        return self._further(name)

    def __call__(self, *segments: Any) -> _Resource:
        return self._further(*segments)

    def _further(self, *segments: Any) -> _Resource:
        parts = [part for one in segments for part in str(one).strip("/").split("/") if part]
        return _Resource(self._double, (*self._segments, *parts))

    def _call(self, verb: str, parameters: Mapping[str, Any]) -> Any:
        return self._double.answer(verb, self._segments, parameters)


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{[^}]+\\}", "([^/]+)", re.escape(template)))


def _starts_task(method: schema.Method) -> bool:
    """Whether a write answers with a UPID: what else writes give is null or an object."""
    return method.verb != "GET" and method.returns.get("type") == "string"


def _upid(in_path: Mapping[str, str]) -> str:
    node, vmid = in_path.get("node", "pve"), in_path.get("vmid", "")
    return f"UPID:{node}:00000001:00000001:00000001:double:{vmid}:root@pam:"


_KINDS: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "object": (dict,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool, int),
    "null": (type(None),),
}


def _check_shape(answer: Any, facts: Mapping[str, Any], where: str) -> None:
    kind = facts.get("type", "object")
    if kind in _KINDS and not isinstance(answer, _KINDS[kind]):
        raise MockDrift(
            f"{where} is {type(answer).__name__}, PVE gives {kind}",
            hint="Stub an answer of that kind",
        )
    if kind == "array":
        for number, item in enumerate(answer):
            _check_shape(item, facts.get("items", {}), f"{where}[{number}]")
    known = facts.get("properties", {})
    if kind == "object" and known:
        needed = {name for name, one in known.items() if not one.get("optional")}
        if missing := sorted(needed - answer.keys()):
            raise MockDrift(
                f"{where} lacks {', '.join(missing)}, which PVE always gives",
                hint="Add them to the answer that is stubbed",
            )
        for name in answer.keys() & known.keys():
            _check_shape(answer[name], known[name], f"{where}[{name!r}]")
