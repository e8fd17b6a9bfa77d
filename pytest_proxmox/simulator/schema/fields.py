"""Checks of one value, compiled from its facts, and of many values by name.

Every ``verify`` returns the typed value and no error, or the error's text as PVE words it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pytest_proxmox.simulator.schema import formats, scalars
from pytest_proxmox.simulator.schema.addresses import Check
from pytest_proxmox.simulator.schema.layout import Layout
from pytest_proxmox.simulator.schema.named_layouts import LAYOUTS

MISSING = "property is missing and it is not optional"
NOT_DEFINED = (
    "property is not defined in schema and the schema does not allow additional properties"
)

Facts = Mapping[str, Any]
Judged = tuple[Any, str | None]


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of a call's parameters: typed values, and an error for each refused name."""

    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


class Field(Protocol):
    """The check of one value."""

    def verify(self, name: str, given: Any) -> Judged:
        """Return the typed value, or None and the error; ``name`` is the parameter's."""
        ...


@dataclass(frozen=True, slots=True)
class ScalarField:
    """The check of a string, number or boolean: its type, then its format, then its limits."""

    kind: str
    convert: scalars.Converter
    format: Check | None
    layout: PropertyString | None
    limits: tuple[scalars.Limit, ...]

    def verify(self, name: str, given: Any) -> Judged:
        """Return the typed value, or None and the first error met."""
        value = self.convert(given)
        if value is None:
            return None, scalars.mismatch(self.kind, given)
        error = None
        if self.format is not None:  # a format sees the text: "0100" is an integer, and no VMID
            error = self.format(given if isinstance(given, str) else str(value))
        elif self.layout is not None:
            error = self.layout.check(name, value)
        if error is not None:
            return None, f"invalid format - {error}\n"
        for limit in self.limits:
            error = limit(value)
            if error is not None:
                return None, error
        return value, None


@dataclass(frozen=True, slots=True)
class ListField:
    """The check of a list; one value alone is a list of one, as form data cannot tell them."""

    item: Field

    def verify(self, name: str, given: Any) -> Judged:
        """Return the typed items; the first item's error stands for the list (not recorded)."""
        values = []
        for one in given if isinstance(given, list) else [given]:
            value, error = self.item.verify(name, one)
            if error is not None:
                return None, error
            values.append(value)
        return values, None


@dataclass(frozen=True, slots=True)
class AlternativeField:
    """The check of a value whose facts depend on another parameter (SDN fabrics).

    Any alternative will do: which of them applies is for the handler, which knows both.
    """

    alternatives: tuple[Field, ...]

    def verify(self, name: str, given: Any) -> Judged:
        """Return the value as the first alternative that takes it has it."""
        judged: Judged = (None, None)
        for alternative in self.alternatives:
            judged = alternative.verify(name, given)
            if judged[1] is None:
                break
        return judged


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The check of many values by name: each by its field, what is missing, what is too many."""

    fields: Mapping[str, Field]
    required: tuple[str, ...]
    requires: tuple[tuple[str, str], ...]
    additional: bool

    def verify(self, given: Mapping[str, Any], *, prefix: str = "") -> Verified:
        """Return the typed values and all errors; a value of None counts as not given."""
        verified = Verified()
        values, errors = verified.values, verified.errors
        fields = self.fields
        for name, one in given.items():
            known = fields.get(name)
            if known is None:
                if self.additional:
                    values[name] = one
                else:
                    errors[name] = NOT_DEFINED
            elif one is not None:
                value, error = known.verify(prefix + name, one)
                if error is None:
                    values[name] = value
                else:
                    errors[name] = error
        for name in self.required:
            if given.get(name) is None:
                errors[name] = MISSING
        for name, other in self.requires:
            if given.get(name) is not None and given.get(other) is None:
                # neither name nor text is recorded; the error goes to what is missing
                errors.setdefault(other, f"missing property - required by '{name}'")
        return verified


@dataclass(frozen=True, slots=True)
class PropertyString:
    """A property string: how it is written, and the check of its values."""

    layout: Layout
    rules: Ruleset

    def check(self, name: str, text: str) -> str | None:
        """Return what is wrong with ``text``, one line for each refused key."""
        try:
            values = self.layout.split(text)
        except ValueError as exc:
            return str(exc)
        errors = self.rules.verify(values, prefix=f"{name}.").errors
        if not errors:
            return None
        lines = (f"{name}.{key}: {errors[key]}" for key in sorted(errors))
        return "\n".join(("format error", *lines))


def compile_field(facts: Facts, *, inside: bool = False) -> Field:
    """Return the check of a value with these facts; ``inside`` a property string, or not."""
    if "oneOf" in facts:
        return AlternativeField(tuple(compile_field(one) for one in facts["oneOf"]))
    kind = facts.get("type", "any")
    if kind == "array":
        return ListField(compile_field(facts.get("items", {})))
    convert = scalars.CONVERTERS.get(kind, scalars.to_anything)
    if inside and kind == "boolean":
        convert = scalars.to_switch
    named = facts.get("format")
    layout = property_string(named) if named else None
    check = formats.check(named) if isinstance(named, str) and layout is None else None
    return ScalarField(kind, convert, check, layout, scalars.limits(facts))


def property_string(named: str | Mapping[str, Facts]) -> PropertyString | None:
    """Return the property string that a ``format`` fact names or writes out, None if neither."""
    spec = LAYOUTS.get(named) if isinstance(named, str) else named
    if spec is None:
        return None
    facts = {key: one for key, one in spec.items() if "alias" not in one}
    return PropertyString(Layout(spec), compile_rules(facts, inside=True, additional=False))


def compile_rules(specs: Mapping[str, Facts], *, inside: bool = False, additional: bool) -> Ruleset:
    """Return the check of values that have these facts by name."""
    return Ruleset(
        {name: compile_field(facts, inside=inside) for name, facts in specs.items()},
        tuple(name for name, facts in specs.items() if not _is_optional(facts)),
        tuple((n, facts["requires"]) for n, facts in specs.items() if "requires" in facts),
        additional,
    )


def _is_optional(facts: Facts) -> bool:
    return any(one.get("optional") for one in (facts, *facts.get("oneOf", ())))
