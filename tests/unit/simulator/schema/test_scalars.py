"""Values get the type their facts name, and keep to its limits."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_proxmox.simulator.schema import scalars


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("string", "x", "x"),
        ("string", 5, "5"),
        ("string", 2.0, "2"),
        ("string", 0.5, "0.5"),
        ("string", True, "1"),
        ("integer", "12", 12),
        ("integer", "-12", -12),
        ("integer", "+12", 12),
        ("integer", 12, 12),
        ("integer", 12.0, 12),
        ("number", "0.5", 0.5),
        ("number", "8", 8),
        ("number", "1e3", 1000),
        ("number", 0.25, 0.25),
        ("number", "9007199254740993", 9007199254740993),
        ("boolean", "1", 1),
        ("boolean", "0", 0),
        ("boolean", True, 1),
        ("boolean", False, 0),
        ("boolean", 1, 1),
    ],
    ids=repr,
)
def test_value_is_typed(kind: str, given: Any, value: Any) -> None:
    converted = scalars.CONVERTERS[kind](given)
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("string", ["a"]),
        ("string", {"a": 1}),
        ("integer", ""),
        ("integer", " 5"),
        ("integer", "5\n"),
        ("integer", "1.5"),
        ("integer", 1.5),
        ("integer", "0x10"),
        ("integer", "٣"),
        ("integer", "9" * 5000),
        ("integer", [1]),
        ("number", "abc"),
        ("number", "nan"),
        ("number", "1e999"),
        ("number", float("inf")),
        ("number", ""),
        ("number", "."),
        ("boolean", "yes"),
        ("boolean", "true"),
        ("boolean", ""),
        ("boolean", 2),
        ("boolean", 0.5),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_value_of_another_type_is_refused(kind: str, given: Any) -> None:
    assert scalars.CONVERTERS[kind](given) is None


@pytest.mark.parametrize("word", ["1", "on", "Yes", "TRUE"])
def test_switch_in_a_property_string_takes_words_for_yes(word: str) -> None:
    assert scalars.to_switch(word) == 1


@pytest.mark.parametrize("word", ["0", "off", "No", "FALSE"])
def test_switch_in_a_property_string_takes_words_for_no(word: str) -> None:
    assert scalars.to_switch(word) == 0


def test_switch_refuses_other_words() -> None:
    assert scalars.to_switch("maybe") is None


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("abc", "type check ('integer') failed - got 'abc'"),
        ({"a": 1}, "type check ('integer') failed - got HASH"),
        (["1", "2"], "type check ('integer') failed - got ARRAY"),
    ],
    ids=["text", "object", "list"],
)
def test_mismatch_names_what_was_given(given: Any, text: str) -> None:
    assert scalars.mismatch("integer", given) == text


@pytest.mark.parametrize(
    ("facts", "value", "text"),
    [
        ({"minimum": 16}, 15, "value must have a minimum value of 16"),
        ({"minimum": "0"}, -1, "value must have a minimum value of 0"),
        ({"minimum": 0.5}, 0.25, "value must have a minimum value of 0.5"),
        ({"maximum": 4094}, 4095, "value must have a maximum value of 4094"),
        ({"minLength": 5}, "abcd", "value must be at least 5 characters long"),
        ({"maxLength": 3}, "äöüß", "value may only be 3 characters long"),
        ({"pattern": "[a-z]+"}, "ab\n", "value does not match the regex pattern"),
        (
            {"enum": ["1", "2"]},
            3,
            "value '3' does not have a value in the enumeration '1, 2'",
        ),
    ],
    ids=lambda value: str(value)[:24],
)
def test_limit_refuses_with_its_text(facts: dict[str, Any], value: Any, text: str) -> None:
    assert [limit(value) for limit in scalars.limits(facts)] == [text]


@pytest.mark.parametrize(
    ("facts", "value"),
    [
        ({"minimum": 16}, 16),
        ({"maximum": 4094}, 4094),
        ({"minLength": 5}, "abcde"),
        ({"maxLength": 3}, "äöü"),
        ({"enum": ["1", "2"]}, 2),
        ({"enum": None}, "anything"),
        ({}, "anything"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_limit_lets_its_bound_pass(facts: dict[str, Any], value: Any) -> None:
    assert not any(limit(value) for limit in scalars.limits(facts))
