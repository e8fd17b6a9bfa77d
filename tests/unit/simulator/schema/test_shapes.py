"""Neutral answers have the shape that the method declares."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_proxmox.simulator.schema import example, load
from pytest_proxmox.simulator.schema.catalog import Method

TYPES: dict[str, Any] = {
    "array": list,
    "object": dict,
    "string": str,
    "integer": int,
    "boolean": int,
    "null": type(None),
}


def method(returns: dict[str, Any]) -> Method:
    return Method(
        path="/a",
        verb="GET",
        name="a",
        parameters={},
        returns=returns,
        permissions=None,
        allowtoken=True,
        protected=False,
        proxyto=None,
        expose_credentials=False,
        download_allowed=False,
    )


@pytest.mark.parametrize(
    ("returns", "value"),
    [
        ({"type": "null"}, None),
        ({"type": "any"}, None),
        ({"type": "array", "items": {"type": "object"}}, []),
        ({"type": "string"}, ""),
        ({"type": "string", "enum": ["b", "a"]}, "b"),
        ({"type": "boolean"}, 0),
        ({"type": "number", "minimum": "1"}, 1),
        ({}, {}),
        (
            {
                "type": "object",
                "properties": {
                    "a": {"type": "integer"},
                    "b": {"type": "string", "optional": 1},
                    "c": {"properties": {"d": {"type": "array"}}},
                },
            },
            {"a": 0, "c": {"d": []}},
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_example_is_neutral(returns: dict[str, Any], value: Any) -> None:
    assert example(method(returns)) == value


def test_every_method_has_an_example_of_its_type() -> None:
    for one in load().methods():
        made = example(one)
        json.dumps(made)
        assert isinstance(made, TYPES.get(one.returns.get("type", "object"), object))


def test_example_is_made_anew() -> None:
    nodes = load().method("/nodes", "GET")
    assert nodes
    assert example(nodes) is not example(nodes)
