"""Which methods of the API work, which only answer in the right shape, and which do not.

A method is *stateful* when a handler keeps or reads state for it and a contract test of this
project was answered by it; ``proven.txt`` is made from those tests' calls. *checked* means that
permission and parameters are judged and a read is shaped from the schema. Everything else is
*unsupported*: it answers 501 and pretends nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_proxmox.simulator.routes import families
from pytest_proxmox.simulator.schema import load

STATEFUL: Final = "stateful"
CHECKED: Final = "checked"
UNSUPPORTED: Final = "unsupported"
CLASSES: Final = (STATEFUL, CHECKED, UNSUPPORTED)
PROVEN: Final = Path(__file__).with_name("proven.txt")  # made by scripts/prove_coverage.py
Key = tuple[str, str]  # verb, path template


@dataclass(frozen=True, slots=True)
class Coverage:
    """One method: its verb and path, its family, its class, how often a run used it."""

    verb: str
    path: str
    family: str
    kind: str
    used: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run asked for: answers below 400, and refusals, by method."""

    answered: Mapping[Key, int]
    refused: Mapping[Key, int]

    @classmethod
    def of(cls, counted: Mapping[tuple[str, str, bool], int]) -> Usage:
        """Return the usage that a simulator counted."""
        answered = {(verb, path): n for (verb, path, good), n in counted.items() if good}
        refused = {(verb, path): n for (verb, path, good), n in counted.items() if not good}
        return cls(answered, refused)

    @classmethod
    def read(cls, files: Iterable[Path]) -> Usage:
        """Return the usage in files that ``save`` wrote, added up."""
        answered: Counter[Key] = Counter()
        refused: Counter[Key] = Counter()
        for file in files:
            for verb, path, good, bad in json.loads(file.read_text(encoding="utf-8")):
                answered[verb, path] += good
                refused[verb, path] += bad
        return cls(answered, refused)

    def save(self, file: Path) -> None:
        """Write the usage as JSON: verb, path, answers, refusals."""
        keys = sorted({*self.answered, *self.refused})
        rows = [[*key, self.answered.get(key, 0), self.refused.get(key, 0)] for key in keys]
        file.write_text(json.dumps(rows), encoding="utf-8")


NOTHING: Final = Usage({}, {})


def handled() -> frozenset[Key]:
    """Return the methods for which a handler keeps or reads state."""
    found = {key for family in families() for key in family.handlers}
    return frozenset(found - {key for family in families() for key in family.checked})


def proven() -> frozenset[Key]:
    """Return the methods that a contract test was answered by."""
    lines = PROVEN.read_text(encoding="utf-8").splitlines()
    pairs = (line.split(" ", 1) for line in lines if line and not line.startswith("#"))
    return frozenset((verb, path) for verb, path in pairs)


def table(usage: Usage = NOTHING) -> Iterator[Coverage]:
    """Yield every method of the API with its class, by family and path."""
    stateful = handled() & proven()
    for method in load().methods():
        key = (method.verb, method.path)
        fallback = CHECKED if method.verb == "GET" else UNSUPPORTED
        kind = STATEFUL if key in stateful else fallback
        yield Coverage(
            *key,
            family_of(method.path),
            kind,
            usage.answered.get(key, 0),
            usage.refused.get(key, 0),
        )


def family_of(path: str) -> str:
    """Return the family that a path belongs to: ``access``, ``nodes/lxc``, ``cluster/ha``, …"""
    parts = [part for part in path.split("/") if part and not part.startswith("{")]
    return "/".join(parts[:2]) if parts[:1] in (["nodes"], ["cluster"]) else parts[0]
