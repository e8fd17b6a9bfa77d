"""The commands of the console: what each is called, what it takes, and what it does.

Help, completion, parsing and observation are all made from these objects, so that a command
cannot forget one of them. ``Registry(commands, wrap=…)`` is the one place that wraps handlers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from src_app.console.errors import UnknownCommand

if TYPE_CHECKING:
    from src_app.console.session import ConsoleSession

OK, FAILED, USAGE, DECLINED, CANCELLED = 0, 1, 2, 3, 130  # exit codes; 130 as shells have it
Parse = Callable[[str], Any]  # raises ValueError with what the value must be


@dataclass(frozen=True, slots=True)
class Argument:
    """A value by position; ``completer`` names a list that the workspace completes it from."""

    name: str
    summary: str
    required: bool = True
    choices: tuple[str, ...] = ()
    completer: str = ""
    parse: Parse = str
    rest: bool = False  # takes all words that follow, as one text


@dataclass(frozen=True, slots=True)
class Flag:
    """A value by name (``--node pve``), or a switch where ``value`` is empty."""

    name: str
    summary: str
    value: str = ""
    short: str = ""
    choices: tuple[str, ...] = ()
    completer: str = ""
    parse: Parse = str
    default: Any = None
    repeatable: bool = False

    @property
    def key(self) -> str:
        """The name under which handlers find the value: ``dry_run`` for ``--dry-run``."""
        return self.name.removeprefix("--").replace("-", "_")

    @property
    def is_switch(self) -> bool:
        """Whether the flag takes no value."""
        return not self.value


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command has to say: ``shown`` for people, by rich, and ``data`` for programs."""

    shown: tuple[Any, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    exit_code: int = OK


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler is called with: the parsed values by name, and the session."""

    command: Command
    values: Mapping[str, Any]
    session: ConsoleSession

    def __getitem__(self, name: str) -> Any:
        """Return the value of an argument, or of a flag by its key."""
        return self.values[name]

    def confirm(self, question: str) -> None:
        """Return once the user agreed, here or by ``--yes``.

        Raises:
            Declined: the user did not, or could not be asked.
        """
        if not self.values.get("yes"):
            self.session.ui.confirm(question)


Handler = Callable[[Context], Outcome]


@dataclass(frozen=True, slots=True)
class Command:
    """One command; ``asks`` is set where it asks before it destroys or changes something."""

    name: str
    summary: str
    handler: Handler
    arguments: tuple[Argument, ...] = ()
    flags: tuple[Flag, ...] = ()
    aliases: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    asks: bool = False
    section: str = "Session"

    def flag(self, word: str) -> Flag | None:
        """Return the flag that is written ``word``, long or short."""
        return next((flag for flag in self.all_flags if word in (flag.name, flag.short)), None)

    @property
    def all_flags(self) -> tuple[Flag, ...]:
        """The command's own flags, and those that every command has."""
        own = (*self.flags, YES) if self.asks else self.flags
        return (*own, JSON, HELP)

    @property
    def usage(self) -> str:
        """One line of how it is written."""
        words = [self.name]
        for argument in self.arguments:
            name = "|".join(argument.choices) or argument.name.upper()
            name += " …" if argument.rest else ""
            words.append(name if argument.required else f"[{name}]")
        words += [f"[{flag.name}{f' {flag.value}' if flag.value else ''}]" for flag in self.flags]
        return " ".join(words)


JSON = Flag("--json", "print the result as JSON", short="-j")
HELP = Flag("--help", "show how the command is written", short="-h")
YES = Flag("--yes", "do not ask before it runs", short="-y")

Wrap = Callable[[Command, Handler], Handler]


def unwrapped(_: Command, handler: Handler) -> Handler:
    """Return the handler as it is."""
    return handler


class Registry:
    """All commands, found by name or alias; every handler went through ``wrap`` once."""

    def __init__(self, commands: Iterable[Command], *, wrap: Wrap = unwrapped) -> None:
        self._commands = {command.name: command for command in commands}
        self._handlers = {
            name: wrap(command, command.handler) for name, command in self._commands.items()
        }
        self._names = dict.fromkeys(self._commands, "")
        for command in self._commands.values():
            self._names |= dict.fromkeys(command.aliases, command.name)

    def __iter__(self) -> Iterator[Command]:
        """Yield the commands in the order they were given."""
        return iter(self._commands.values())

    def __len__(self) -> int:
        return len(self._commands)

    @property
    def words(self) -> tuple[str, ...]:
        """Every name and alias."""
        return tuple(self._names)

    def find(self, word: str) -> Command:
        """Return the command that is called ``word``.

        Raises:
            UnknownCommand: there is none; the error names the nearest.
        """
        if word not in self._names:
            raise UnknownCommand(word, self.words)
        return self._commands[self._names[word] or word]

    def run(self, context: Context) -> Outcome:
        """Return what the command's wrapped handler has to say."""
        return self._handlers[context.command.name](context)
