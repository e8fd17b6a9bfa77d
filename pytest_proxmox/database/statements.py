"""What a statement does to a transaction, told from its first words."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from functools import lru_cache


class Kind(enum.Enum):
    """The kinds of statement that matter for isolation."""

    READ = "read"
    WRITE = "write"
    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    SAVEPOINT = "savepoint"
    RELEASE = "release"
    ROLLBACK_TO = "rollback to"
    PRAGMA = "pragma"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement's kind, and the savepoint it names where it names one."""

    kind: Kind
    label: str = ""


_NOISE = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/|;)+", re.S)
_WORDS = re.compile(r"[A-Za-z]+")
_SAVEPOINT = re.compile(r"savepoint\s+(\S+?)\s*;?\s*$", re.I)
_RELEASE = re.compile(r"release\s+(?:savepoint\s+)?(\S+?)\s*;?\s*$", re.I)
_ROLLBACK_TO = re.compile(
    r"rollback\s+(?:work\s+|transaction\s+)?to\s+(?:savepoint\s+)?(\S+?)\s*;?\s*$", re.I
)
_WRITES = re.compile(r"\b(insert|update|delete|merge|into|setval|nextval)\b", re.I)
_SIMPLE = {
    "begin": Kind.BEGIN,
    "start": Kind.BEGIN,
    "commit": Kind.COMMIT,
    "end": Kind.COMMIT,
    "abort": Kind.ROLLBACK,
    "pragma": Kind.PRAGMA,
    "show": Kind.READ,
    "explain": Kind.READ,
    "values": Kind.READ,
    "set": Kind.READ,
    "fetch": Kind.READ,
}


@lru_cache(maxsize=4096)
def classify(sql: str) -> Statement:
    """Return what ``sql`` does; what is not known to be harmless counts as a write."""
    start = _NOISE.match(sql)
    text = sql[start.end() :] if start else sql
    word = _WORDS.match(text)
    verb = word.group().lower() if word else ""
    if verb in ("select", "with"):
        return Statement(Kind.WRITE if _WRITES.search(text) else Kind.READ)
    if verb in _SIMPLE:
        return Statement(_SIMPLE[verb])
    if verb == "rollback":
        back = _ROLLBACK_TO.match(text)
        return Statement(Kind.ROLLBACK_TO, back[1]) if back else Statement(Kind.ROLLBACK)
    for kind, pattern in ((Kind.SAVEPOINT, _SAVEPOINT), (Kind.RELEASE, _RELEASE)):
        named = pattern.match(text)
        if verb == kind.value and named:
            return Statement(kind, named[1])
    return Statement(Kind.WRITE)


def placeless(sql: object) -> str:
    """Return ``sql`` in one line of at most 300 characters, for a message."""
    line = " ".join(str(sql).split())
    return line if len(line) <= 300 else line[:297] + "..."
