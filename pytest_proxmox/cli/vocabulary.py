"""The vocabulary of the command line: what may be typed where, as the parsers declare it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FILE: Final = re.compile(r"\b(?:FILE|DIR|FOLDER|PYTEST_ARGS)\b")


@dataclass(frozen=True, slots=True)
class Flag:
    """An option: its names, what it does, and what may follow it."""

    names: tuple[str, ...]
    text: str
    takes_value: bool = False
    values: tuple[str, ...] = ()
    takes_file: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A command: its flags, and the words that may stand there without one."""

    name: str
    text: str
    flags: tuple[Flag, ...]
    words: tuple[str, ...] = ()
    takes_file: bool = False


def entries(parser: argparse.ArgumentParser) -> Iterator[Entry]:
    """Yield the commands of a parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {one.dest: one.help or "" for one in action._choices_actions}
            for name, command in action.choices.items():
                yield _entry(name, told[name], command._actions)


def flags_of(parser: argparse.ArgumentParser) -> tuple[Flag, ...]:
    """Return the options of a parser itself."""
    return tuple(_flag(one) for one in parser._actions if one.option_strings)


def _entry(name: str, text: str, actions: Sequence[argparse.Action]) -> Entry:
    bare = [one for one in actions if not one.option_strings]
    return Entry(
        name,
        text,
        tuple(_flag(one) for one in actions if one.option_strings),
        words=tuple(word for one in bare for word in _values(one)),
        takes_file=any(_takes_file(one) for one in bare),
    )


def _flag(action: argparse.Action) -> Flag:
    return Flag(
        tuple(action.option_strings),
        (action.help or "").replace("%(default)s", str(action.default)),
        takes_value=action.nargs != 0,
        values=_values(action),
        takes_file=_takes_file(action),
    )


def _values(action: argparse.Action) -> tuple[str, ...]:
    """The values that are known; a metavar such as ``single|cluster|FILE`` names them, too."""
    if action.choices is not None:
        return tuple(map(str, action.choices))
    parts = str(action.metavar or "").split("|")
    return tuple(part for part in parts if part.islower()) if len(parts) > 1 else ()


def _takes_file(action: argparse.Action) -> bool:
    shown = str(action.metavar or action.dest.upper())
    return action.nargs != 0 and (action.type is Path or _FILE.search(shown) is not None)
