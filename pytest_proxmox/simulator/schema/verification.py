"""The check of a call's parameters, compiled from a method's facts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_proxmox.simulator.schema.fields import (
    Facts,
    PropertyString,
    Ruleset,
    ScalarField,
    Verified,
    compile_rules,
)

_INDEXED = re.compile(r"(\w+)\[n\]")

# How many ``name[n]`` there are, from the Proxmox VE reference documentation (pct.conf, qm.conf,
# pvecm, node configuration); mp0 to mp255 also stand in golden 08 seq 91.
INDICES: Mapping[str, int] = {
    "acmedomain": 6,
    "dev": 256,
    "hostpci": 16,
    "ide": 4,
    "ipconfig": 32,
    "link": 8,
    "mp": 256,
    "net": 32,
    "numa": 8,
    "parallel": 3,
    "sata": 6,
    "scsi": 31,
    "serial": 4,
    "unused": 256,
    "usb": 14,
    "virtio": 16,
    "virtiofs": 10,
}


class Verifier:
    """The check of one method's parameters; made once for each method, at its first call."""

    def __init__(self, parameters: Facts) -> None:
        self._default = _ruleset(_merged(parameters))
        self._selector, self._variants = _variants(parameters)

    def verify(self, params: Mapping[str, Any]) -> Verified:
        """Return the typed values of ``params`` and all errors."""
        if self._selector:
            chosen = self._variants.get(str(params.get(self._selector)))
            return (chosen or self._default).verify(params)
        return self._default.verify(params)

    def property_string(self, name: str) -> PropertyString | None:
        """Return the property string that the parameter ``name`` is, None if it is none."""
        known = self._default.fields.get(name)
        return known.layout if isinstance(known, ScalarField) else None


def specs(parameters: Facts) -> dict[str, Facts]:
    """Return the facts of each parameter by its name, ``net[n]`` written out as net0 to net31."""
    return dict(_expanded(_resolved(_merged(parameters).properties)))


@dataclass(frozen=True, slots=True)
class _Shape:
    properties: Mapping[str, Facts]
    additional: bool


def _ruleset(shape: _Shape) -> Ruleset:
    # One compiled field serves all indices of a name: 550 parameters, 60 fields.
    rules = compile_rules(_resolved(shape.properties), additional=shape.additional)
    return Ruleset(dict(_expanded(rules.fields)), rules.required, rules.requires, rules.additional)


def _expanded(named: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, one in named.items():
        match = _INDEXED.fullmatch(name)
        if match is None:
            yield name, one
            continue
        for index in range(INDICES[match[1]]):
            yield f"{match[1]}{index}", one


def _resolved(properties: Mapping[str, Facts]) -> dict[str, Facts]:
    """Return the facts with ``cdrom`` as what it is documented to be: another name of ide2."""
    found = dict(properties)
    for name, facts in properties.items():
        if facts.get("format") == "pve-qm-ide":
            found[name] = properties["ide[n]"]
    return found


def _merged(parameters: Facts, *, variant: str | None = None) -> _Shape:
    """Return one shape for facts that may be in parts (``allOf``) and kinds (``oneOf``).

    Without a ``variant`` every kind's parameters are known and none of them is required: what a
    call that names no kind, or one that does not exist, is judged by.
    """
    if "allOf" not in parameters:
        additional = bool(parameters.get("additionalProperties", 1))
        return _Shape(parameters.get("properties", {}), additional)
    properties: dict[str, Facts] = {}
    for part in parameters["allOf"]:
        properties.update(part.get("properties", {}))
        if "type-property" in part:
            properties[part["type-property"]] = part["type-property-schema"]
        for kind in part.get("oneOf", ()):
            if kind["instance-type"] == variant:
                properties.update(kind["properties"])
            elif variant is None:
                properties.update(
                    {name: {**facts, "optional": 1} for name, facts in kind["properties"].items()}
                )
    return _Shape(properties, additional=False)


def _variants(parameters: Facts) -> tuple[str | None, Mapping[str, Ruleset]]:
    for part in parameters.get("allOf", ()):
        if "oneOf" in part:
            kinds = [kind["instance-type"] for kind in part["oneOf"]]
            rules = {kind: _ruleset(_merged(parameters, variant=kind)) for kind in kinds}
            return part["type-property"], rules
    return None, {}
