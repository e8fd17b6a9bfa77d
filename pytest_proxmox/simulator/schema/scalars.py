"""The types of single values and their limits, with PVE's texts (golden 02).

A converter returns the typed value, or None where the type is wrong. A limit returns the text of
the error, or None where the value keeps it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pytest_proxmox.simulator.schema.patterns import compile_pattern

Converter = Callable[[Any], Any]
Limit = Callable[[Any], str | None]

_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}")  # longer ones Python refuses to convert
_NUMBER = re.compile(r"[+-]?([0-9]{1,300}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_WORDS = {"1": 1, "on": 1, "yes": 1, "true": 1, "0": 0, "off": 0, "no": 0, "false": 0}


def to_string(given: Any) -> str | None:
    """Return ``given`` as text; numbers and booleans come from a JSON body."""
    if isinstance(given, str):
        return given
    if isinstance(given, bool):
        return str(int(given))
    if isinstance(given, float) and given.is_integer():
        return str(int(given))
    return str(given) if isinstance(given, (int, float)) else None


def to_integer(given: Any) -> int | None:
    """Return a whole number: an optional sign and decimal digits, nothing around them."""
    if isinstance(given, str):
        return int(given) if _INTEGER.fullmatch(given) else None
    if isinstance(given, float):
        return int(given) if given.is_integer() else None
    return int(given) if isinstance(given, int) else None


def to_number(given: Any) -> int | float | None:
    """Return a number, as an ``int`` where it is whole."""
    if isinstance(given, str):
        if _INTEGER.fullmatch(given):
            return int(given)
        if not _NUMBER.fullmatch(given):
            return None
        given = float(given)
    if isinstance(given, float):
        if not math.isfinite(given):
            return None
        return int(given) if given.is_integer() else given
    return int(given) if isinstance(given, int) else None


def to_boolean(given: Any) -> int | None:
    """Return 1 or 0; as a parameter nothing else means yes or no (golden 02 seq 37, 38)."""
    if isinstance(given, str):
        return int(given) if given in ("0", "1") else None
    return int(given) if isinstance(given, (bool, int)) and given in (0, 1) else None


def to_switch(given: Any) -> int | None:
    """Return 1 or 0 for a boolean in a property string, where words are allowed (``ssd=on``)."""
    return _WORDS.get(given.lower()) if isinstance(given, str) else to_boolean(given)


def to_anything(given: Any) -> Any:
    """Return ``given``: the facts name no type."""
    return given


CONVERTERS: Mapping[str, Converter] = {
    "string": to_string,
    "integer": to_integer,
    "number": to_number,
    "boolean": to_boolean,
}


def mismatch(kind: str, given: Any) -> str:
    """Return the text for a value of the wrong type; ARRAY and HASH are Perl's list and dict."""
    if isinstance(given, list):
        return f"type check ('{kind}') failed - got ARRAY"
    if isinstance(given, dict):
        return f"type check ('{kind}') failed - got HASH"
    return f"type check ('{kind}') failed - got '{to_string(given)}'"


def limits(spec: Mapping[str, Any]) -> tuple[Limit, ...]:
    """Return the checks of a value after its type and format, in the order they are made."""
    made: list[Limit] = []
    if "pattern" in spec:
        made.append(partial(_pattern, compile_pattern(spec["pattern"])))
    if "minLength" in spec:
        made.append(partial(_shortest, int(spec["minLength"])))
    if "maxLength" in spec:
        made.append(partial(_longest, int(spec["maxLength"])))
    if "minimum" in spec:  # some bounds are written as text, e.g. "0"
        made.append(partial(_minimum, float(spec["minimum"]), spec["minimum"]))
    if "maximum" in spec:
        made.append(partial(_maximum, float(spec["maximum"]), spec["maximum"]))
    if spec.get("enum"):  # null where the choices are those of the node asked (openid realms)
        choices = tuple(map(str, spec["enum"]))
        made.append(partial(_choice, frozenset(choices), ", ".join(choices)))
    return tuple(made)


def _pattern(pattern: re.Pattern[str], value: Any) -> str | None:
    return None if pattern.fullmatch(str(value)) else "value does not match the regex pattern"


def _shortest(bound: int, value: Any) -> str | None:
    if len(str(value)) >= bound:
        return None
    return f"value must be at least {bound} characters long"


def _longest(bound: int, value: Any) -> str | None:
    return None if len(str(value)) <= bound else f"value may only be {bound} characters long"


def _minimum(bound: float, shown: object, value: Any) -> str | None:
    return None if value >= bound else f"value must have a minimum value of {shown}"


def _maximum(bound: float, shown: object, value: Any) -> str | None:
    return None if value <= bound else f"value must have a maximum value of {shown}"


def _choice(values: frozenset[str], shown: str, value: Any) -> str | None:
    if str(value) in values:
        return None
    return f"value '{value}' does not have a value in the enumeration '{shown}'"
