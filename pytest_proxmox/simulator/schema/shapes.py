"""Answers made from a return schema, for reads that the simulator keeps no state for."""

from __future__ import annotations

from typing import Any

from pytest_proxmox.simulator.schema.catalog import Method
from pytest_proxmox.simulator.schema.fields import Facts
from pytest_proxmox.simulator.schema.scalars import to_number


def example(method: Method) -> Any:
    """Return the emptiest JSON value of the shape that ``method`` declares to return.

    A list is empty; an object has its required keys with neutral values (0, "", an enumeration's
    first word); null is None.
    """
    return _neutral(method.returns)


def _neutral(facts: Facts) -> Any:
    kind = facts.get("type", "object")  # untyped are a few reads of one section, all objects
    if kind == "array":
        return []
    if kind == "object":
        known: Facts = facts.get("properties", {})
        return {name: _neutral(one) for name, one in known.items() if not one.get("optional")}
    if "enum" in facts:
        return facts["enum"][0]
    if kind in ("integer", "number"):
        return to_number(facts.get("minimum", 0))
    return {"string": "", "boolean": 0}.get(kind)
