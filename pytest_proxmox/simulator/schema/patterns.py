"""Perl's regular expressions, as the API facts write them, in Python's syntax."""

from __future__ import annotations

import re

_GROUP = re.compile(r"\(\?\^([a-z]*):")  # (?^i:...): flags of its own, whatever surrounds it
_FLAGS_OF_BOTH = "ims"  # Perl's others (u, a, l) choose a character set; ours is always Unicode
_POSIX = {
    "[:alpha:]": "a-zA-Z",
    "[:digit:]": "0-9",
    "[:alnum:]": "a-zA-Z0-9",
    "[:upper:]": "A-Z",
    "[:lower:]": "a-z",
    "[:xdigit:]": "0-9A-Fa-f",
    "[:space:]": r"\s",
    "[:word:]": r"\w",
}
# A separator that may be empty, inside a repeated group, makes Python try every way to cut a
# long name. The group before it takes such characters anyway, so one or more says the same.
_EMPTY_SEPARATOR = ("|[-]*)[a-z", "|[-]+)[a-z")


def translate(perl: str) -> str:
    """Return ``perl`` in Python's syntax; both match the same texts."""
    text = _GROUP.sub(_group, perl)
    for posix, python in _POSIX.items():
        text = text.replace(posix, python)
    return text.replace(*_EMPTY_SEPARATOR)


def compile_pattern(perl: str) -> re.Pattern[str]:
    """Return the compiled form of ``perl``, to be used with ``fullmatch``."""
    return re.compile(translate(perl))


def _group(match: re.Match[str]) -> str:
    flags = "".join(flag for flag in match[1] if flag in _FLAGS_OF_BOTH)
    return f"(?{flags}:"
