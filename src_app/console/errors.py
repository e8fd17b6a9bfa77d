"""What the console refuses, each with the exit code that scripts see."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from src_app.domain.errors import AppManagerError

HELP_HINT = 'Type "help" or "/help" for available commands'


class UsageError(AppManagerError):
    """A command was written wrongly; nothing ran."""

    code = "usage"


class UnknownCommand(UsageError):
    """No command has that name."""

    def __init__(self, word: str, known: Sequence[str]) -> None:
        self.word = word
        near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
        kind = "❌ Unknown slash command" if word[:1] == "/" else "Unknown command"
        hint = f'Did you mean "{near[0]}"? ' if near else ""
        super().__init__(f"{kind}: {word}\n{hint}{HELP_HINT}")


class CommandFailed(AppManagerError):
    """A command ran and did not reach what it was asked for."""

    code = "failed"


class Declined(AppManagerError):
    """The user said no, or could not be asked."""

    code = "declined"
