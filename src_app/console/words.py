"""From a line to a command's values: quoting, flags, choices, and what is wrong with them."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from src_app.console.errors import UsageError
from src_app.console.registry import Argument, Command, Flag


def split(line: str) -> list[str]:
    """Return the words of a line; quotes and backslashes work as in a shell.

    Raises:
        UsageError: a quote is not closed.
    """
    try:
        return shlex.split(line)
    except ValueError as exc:
        raise UsageError(f"A quote is not closed, or a backslash ends the line: {line}") from exc


def join(words: Sequence[str]) -> str:
    """Return the line whose words these are."""
    return shlex.join(words)


def parse(command: Command, words: Sequence[str]) -> dict[str, Any]:
    """Return the values of a command's arguments and flags by name.

    Raises:
        UsageError: names the word that is wrong, and says how the command is written.
    """
    values: dict[str, Any] = {flag.key: flag.default for flag in command.all_flags}
    values |= {flag.key: False for flag in command.all_flags if flag.is_switch}
    values |= {flag.key: [] for flag in command.all_flags if flag.repeatable}
    placed: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            placed += rest
        elif word.startswith("-") and len(word) > 1 and not _is_number(word):
            _take_flag(command, word, rest, values)
        else:
            placed.append(word)
    if not values["help"]:
        values |= _place(command, placed)
    return values


def _take_flag(command: Command, word: str, rest: Iterator[str], values: dict[str, Any]) -> None:
    name, separator, text = word.partition("=")
    flag = command.flag(name)
    if flag is None:
        known = [flag.name for flag in command.all_flags]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f' Did you mean "{near[0]}"?' if near else ""
        raise _wrong(command, f'there is no flag "{name}".{hint}')
    if flag.is_switch:
        if separator:
            raise _wrong(command, f"{flag.name} takes no value")
        values[flag.key] = True
        return
    if not separator:
        given = next(rest, None)
        if given is None or command.flag(given) is not None:
            raise _wrong(command, f"{flag.name} needs a value: {flag.name} {flag.value}")
        text = given
    value = _parsed(command, flag, flag.name, text)
    if flag.repeatable:
        values[flag.key].append(value)
    else:
        values[flag.key] = value


def _place(command: Command, words: list[str]) -> dict[str, Any]:
    """Return the arguments by name."""
    values: dict[str, Any] = {}
    left = list(words)
    for argument in command.arguments:
        if not left and argument.required:
            wanted = " or ".join(argument.choices) or argument.summary
            raise _wrong(command, f"{argument.name} is missing: {wanted}")
        if argument.rest:
            values[argument.name] = " ".join(left) if left else None
            left = []
        else:
            text = left.pop(0) if left else None
            told = text is not None
            values[argument.name] = (
                _parsed(command, argument, argument.name, str(text)) if told else None
            )
    if left:
        raise _wrong(command, f'"{left[0]}" is one word too many')
    return values


def _parsed(command: Command, what: Argument | Flag, name: str, text: str) -> Any:
    if what.choices and text not in what.choices:
        raise _wrong(command, f'{name} "{text}" must be one of {", ".join(what.choices)}')
    try:
        return what.parse(text)
    except ValueError as exc:
        raise _wrong(command, f'{name} "{text}" {exc}') from exc


def _wrong(command: Command, why: str) -> UsageError:
    return UsageError(f"{command.name}: {why}\nUsage: {command.usage}")


def _is_number(word: str) -> bool:
    return word[1:].replace(".", "", 1).isdigit()


def whole(low: int, high: int) -> Any:
    """Return the parser of a whole number from ``low`` to ``high``."""

    def parse_number(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() else low - 1
        if not low <= number <= high:
            raise ValueError(f"must be a whole number, {low} to {high}")
        return number

    return parse_number
