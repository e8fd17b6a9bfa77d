"""The text form of a property string (``virtio=BC:24:11:00:00:01,bridge=vmbr0``): split and join.

Only the text is looked at here; whether the values are right, ``fields`` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pytest_proxmox.simulator.schema.scalars import to_string

Spec = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Layout:
    """The keys of a property string, from the format's facts.

    Facts of a key: ``default_key`` marks the one whose value may stand alone; ``alias`` says
    that a key is another name of a key, and with ``keyAlias`` the name itself is the value of
    one more key: ``virtio=MAC`` is ``model=virtio,macaddr=MAC``.
    """

    spec: Spec

    @cached_property
    def default_key(self) -> str | None:
        """The key whose value may be written alone."""
        return next((key for key, facts in self.spec.items() if facts.get("default_key")), None)

    @cached_property
    def _order(self) -> tuple[str, ...]:
        # Default first, then required, then optional keys, each by name: every recorded config.
        keys = [key for key, facts in self.spec.items() if "alias" not in facts]
        return tuple(sorted(keys, key=self._rank))

    def _rank(self, key: str) -> tuple[bool, bool, str]:
        return key != self.default_key, bool(self.spec[key].get("optional")), key

    def split(self, text: str) -> dict[str, str]:
        """Return the values in ``text`` by key, aliases resolved.

        Keys that the format does not have are kept, for the check of the values to refuse.

        Raises:
            ValueError: a part without key or value, or a key given twice; the text is PVE's.
        """
        values: dict[str, str] = {}
        for part in text.split(","):
            if not part.strip():
                continue
            for key, value in self._pairs(part):
                if key in values:  # text as in public bug reports, not recorded
                    raise ValueError(f"duplicate key in comma-separated list property: {key}")
                values[key] = value
        return values

    def _pairs(self, part: str) -> Iterator[tuple[str, str]]:
        key, equals, value = part.partition("=")
        if not equals:
            if self.default_key is None:
                raise ValueError("value without key, but schema does not define a default key")
            yield self.default_key, part
            return
        if not key or not value:  # text as in public bug reports, not recorded
            raise ValueError("missing key in comma-separated list property")
        facts = self.spec.get(key, {})
        if "keyAlias" in facts:
            yield facts["keyAlias"], key
        yield facts.get("alias", key), value

    def join(self, values: Mapping[str, Any]) -> str:
        """Return ``values`` in PVE's order and form; None means the key is not set.

        Raises:
            ValueError: a key that the format does not have, or a value that cannot be written.
        """
        left = {key: _text(key, value) for key, value in values.items() if value is not None}
        parts = [*self._named_by_value(left)]
        for key in self._order:
            if key in left:
                parts.append(self._part(key, left.pop(key)))
        if left:
            raise ValueError(f"the format has no key {', '.join(sorted(left))}")
        return ",".join(parts)

    def _named_by_value(self, left: dict[str, str]) -> Iterator[str]:
        for name, facts in self.spec.items():
            naming, named = facts.get("keyAlias"), facts.get("alias")
            if naming in left and named in left and left[naming] == name:
                del left[naming]
                yield f"{name}={left.pop(named)}"

    def _part(self, key: str, text: str) -> str:
        alone = key == self.default_key and "=" not in text
        return text if alone else f"{key}={text}"


def _text(key: str, value: Any) -> str:
    text = to_string(value)
    if text is None or not re.fullmatch(r"[^,]+", text):
        raise ValueError(f"{key} cannot be written with the value {value!r}")
    return text
