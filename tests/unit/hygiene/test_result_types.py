"""Whether a value is of an annotated type, as far as a value shows it."""

from __future__ import annotations

from typing import Any, Literal, NewType, Protocol, TypedDict

import pytest

from pytest_proxmox.hygiene.result_types import UNKNOWN, mismatch, result_type

Vmid = NewType("Vmid", int)


class Task(TypedDict):
    upid: str


class Closeable(Protocol):
    def close(self) -> None: ...


FITTING = {
    "unknown": (1, UNKNOWN),
    "any": (object(), Any),
    "none": (None, None),
    "int for float": (1, float),
    "optional": (None, int | None),
    "list": ([1, 2], list[int]),
    "nested": ({"a": [1]}, dict[str, list[int]]),
    "pair": ((1, "a"), tuple[int, str]),
    "many": ((1, 2, 3), tuple[int, ...]),
    "literal": ("up", Literal["up", "down"]),
    "new type": (100, Vmid),
    "typed dict": ({"upid": "UPID:"}, Task),
    "protocol": (object(), Closeable),
    "forward reference": (1, "Later"),
}
WRONG = {
    "none": (1, None, "the result is int, not None"),
    "bool for int": (True, int, "the result is bool, not int"),
    "union": ("a", int | None, "the result is str, not int | None"),
    "item": ([1, "b"], list[int], "the result[1] is str, not int"),
    "nested": ({"a": ["b"]}, dict[str, list[int]], "the result['a'][0] is str, not int"),
    "key": ({1: 1}, dict[str, int], "a key of the result is int, not str"),
    "length": ((1,), tuple[int, str], "the result has 1 items, not 2"),
    "literal": ("on", Literal["up"], "the result is str, not typing.Literal['up']"),
    "missing key": ({}, Task, "the result lacks upid of Task"),
    "extra key": ({"upid": "", "x": 1}, Task, "the result has x, which Task does not know"),
}


@pytest.mark.parametrize(("value", "expected"), FITTING.values(), ids=FITTING)
def test_fitting_value_has_no_mismatch(value: object, expected: Any) -> None:
    assert mismatch(value, expected) is None


@pytest.mark.parametrize(("value", "expected", "text"), WRONG.values(), ids=WRONG)
def test_mismatch_names_the_place(value: object, expected: Any, text: str) -> None:
    assert mismatch(value, expected) == text


def test_unresolvable_annotation_is_unknown() -> None:
    def function() -> Nowhere:  # type: ignore[name-defined] # noqa: F821
        """Never called."""

    assert result_type(function) is UNKNOWN
