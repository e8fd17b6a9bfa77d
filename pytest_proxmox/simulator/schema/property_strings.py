"""Property strings for handlers: text to typed values and back, by method or by format."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.simulator.schema.catalog import Method
from pytest_proxmox.simulator.schema.fields import Facts, PropertyString, property_string

Format = str | Mapping[str, Facts]


def parse_property_string(named: Format, text: str, *, name: str = "value") -> dict[str, Any]:
    """Return the typed values in ``text``, aliases resolved; defaults are not filled in.

    ``named`` is the name of a format or the format's facts. ``rootfs``'s ``local:0.1,size=8G``
    is ``{"volume": "local:0.1", "size": "8G"}``.

    Raises:
        InvalidValue: the text is not right for the format, or there is no such format.
    """
    return _parse(_found(named), text, name)


def print_property_string(named: Format, values: Mapping[str, Any]) -> str:
    """Return ``values`` as PVE writes them: the default key first, alone, then by name.

    Raises:
        InvalidValue: a key that the format does not have, or a value with a comma.
    """
    return _print(_found(named), values, "value")


def properties(method: Method, field: str, text: str) -> dict[str, Any]:
    """Return the typed values of the parameter ``field`` (``net0``) of ``method``.

    Raises:
        InvalidValue: as ``parse_property_string``, or the field is no property string.
    """
    return _parse(_of_field(method, field), text, field)


def render(method: Method, field: str, values: Mapping[str, Any]) -> str:
    """Return ``values`` as PVE writes the parameter ``field`` (``net0``) of ``method``.

    Raises:
        InvalidValue: as ``print_property_string``, or the field is no property string.
    """
    return _print(_of_field(method, field), values, field)


def _parse(compiled: PropertyString, text: str, name: str) -> dict[str, Any]:
    error = compiled.check(name, text)
    if error is not None:
        raise InvalidValue(
            f'"{text}" is not a valid {name}: {error}',
            origin="property string",
            hint="Write key=value,key=value with the keys that PVE's API viewer names",
        )
    return compiled.rules.verify(compiled.layout.split(text)).values


def _print(compiled: PropertyString, values: Mapping[str, Any], name: str) -> str:
    try:
        return compiled.layout.join(values)
    except ValueError as exc:
        raise InvalidValue(
            f"{name} cannot be written: {exc}",
            origin="property string",
            hint="Give the keys that PVE's API viewer names, and values without commas",
        ) from exc


def _found(named: Format) -> PropertyString:
    compiled = _by_name(named) if isinstance(named, str) else property_string(named)
    if compiled is None:
        raise InvalidValue(
            f'there is no property string format "{named}"',
            hint="Name one of PVE's own, e.g. prune-backups, or give its facts",
        )
    return compiled


@cache
def _by_name(named: str) -> PropertyString | None:
    return property_string(named)


def _of_field(method: Method, field: str) -> PropertyString:
    compiled = method.verifier.property_string(field)
    if compiled is None:
        raise InvalidValue(
            f"{field} of {method.verb} {method.path} is no property string",
            hint="Take its value as it is",
        )
    return compiled
