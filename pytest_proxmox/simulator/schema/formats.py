"""The named formats of the API facts: one check a name, and the suffixes that make new ones."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, partial

from pytest_proxmox.simulator.schema import addresses, identifiers
from pytest_proxmox.simulator.schema.addresses import Check

_SEPARATORS = r"[,;\s\0]+"  # what stands between the items of every "-list"

# Formats that take any text, and why.
UNCHECKED: Mapping[str, str] = {
    "string": "names no syntax; only its list form is in use",
    "pve-node-location": "documented nowhere, and no recording has one",
}


@cache
def check(name: str) -> Check | None:
    """Return the check of the format ``name``, or None where nothing here knows it.

    A check takes the value and returns the text of the error, or None where the value is right.
    ``X-list`` is any number of X, none included; ``X-opt`` is X or the empty text.
    """
    if name in UNCHECKED:
        return _anything
    if name == "pve-command-batch":
        return _command_batch
    found = addresses.check(name) or identifiers.check(name)
    if found is not None:
        return found
    stem, dash, suffix = name.rpartition("-")
    base = check(stem) if dash and suffix in ("list", "opt") else None
    if base is None:
        return None
    return partial(_each if suffix == "list" else _unless_empty, base)


def split_list(text: str) -> list[str]:
    """Return the items of a ``-list`` value: parted by commas, semicolons, blanks or nulls."""
    return [item for item in re.split(_SEPARATORS, text) if item]


def _anything(value: str) -> str | None:
    return None


def _each(base: Check, value: str) -> str | None:
    return next(filter(None, map(base, split_list(value))), None)


def _unless_empty(base: Check, value: str) -> str | None:
    return base(value) if value else None


def _command_batch(value: str) -> str | None:
    try:
        commands = json.loads(value)
    except (ValueError, RecursionError):
        commands = None
    if isinstance(commands, list) and all(isinstance(command, dict) for command in commands):
        return None
    return "value does not look like a valid list of commands"
