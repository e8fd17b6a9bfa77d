"""Which offences count in this run: a level for each kind, and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.hygiene.offences import Offence
from pytest_proxmox.hygiene.settings import KINDS, Level

ALLOW_MARK = "allow_leaks"
STRICT_ASYNC_KINDS = ("coroutine", "task")  # what --no-strict-async turns off


class Pattern(NamedTuple):
    """``kind`` or ``kind:glob``: the glob is compared with the offence's name and its file."""

    kind: str
    glob: str

    @classmethod
    def parse(cls, text: str, origin: str) -> Pattern:
        """Return the pattern that ``text`` spells.

        Raises:
            InvalidValue: the part before the colon is no kind.
        """
        kind, _, glob = (part.strip() for part in text.partition(":"))
        if kind != "*" and kind not in KINDS:
            raise InvalidValue(
                f'"{text}" allows an unknown kind of leak, "{kind}"',
                origin=origin,
                hint=f"Write kind or kind:glob; the kinds are {', '.join(KINDS)}, or *",
            )
        return cls(kind, glob or "*")

    def covers(self, offence: Offence) -> bool:
        """Return whether the pattern allows this offence."""
        if self.kind not in ("*", offence.kind):
            return False
        names = [offence.name]
        if offence.place is not None:
            names += [file for file, _, _ in offence.place.frames]
        return any(fnmatchcase(name, self.glob) for name in names)


class Policy(NamedTuple):
    """The levels by kind, and the patterns that the whole run allows."""

    levels: Mapping[str, Level]
    allowed: tuple[Pattern, ...] = ()

    def watches(self, kind: str) -> bool:
        """Return whether this kind is looked at."""
        return self.levels[kind] is not Level.OFF

    def level(self, offence: Offence, allowed: Iterable[Pattern] = ()) -> Level:
        """Return what has to happen to an offence; ``allowed`` are the test's own patterns."""
        if any(pattern.covers(offence) for pattern in (*self.allowed, *allowed)):
            return Level.OFF
        return self.levels[offence.kind]


def resolve(
    levels: Mapping[str, str], allow: Sequence[str], *, strict_async: bool, origin: str
) -> Policy:
    """Return the policy that the ini keys spell; ``levels`` has the text for each kind.

    Raises:
        InvalidValue: a level or a pattern that does not exist.
    """
    parsed = {name: _level(name, text, origin) for name, text in levels.items()}
    if not strict_async:
        parsed |= dict.fromkeys(STRICT_ASYNC_KINDS, Level.OFF)
    patterns = tuple(Pattern.parse(text, f"ini key hygiene_allow, {origin}") for text in allow)
    return Policy(parsed, patterns)


def _level(kind: str, text: str, origin: str) -> Level:
    try:
        return Level(text)
    except ValueError as exc:
        raise InvalidValue(
            f'"{text}" is no level',
            origin=f"ini key {KINDS[kind].ini}, {origin}",
            hint=f"Write one of {', '.join(Level)}",
        ) from exc
