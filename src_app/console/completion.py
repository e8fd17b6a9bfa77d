"""What Tab offers: commands, flags and values from the registry, names from the workspace as it is.

Names are cached and sorted. Before they are used, the files of the database are looked at: a
change by this or any other process makes the cache stale, without the database being opened.
"""

from __future__ import annotations

import bisect
import functools
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from src_app.console.errors import UnknownCommand
from src_app.console.registry import Argument, Command, Flag
from src_app.console.session import ConsoleSession
from src_app.db import inventory
from src_app.proxmox.errors import ProxmoxError
from src_app.services.syncing import FIELDS
from src_app.workspace import ProjectWorkspace
from src_app.workspace.config import TEMPLATES
from src_app.workspace.parts import DATABASE

FIRST = ("/help", "/init", "/status", "help", "create", "list")
FILTERS = ("vms", "containers", "nodes", "storages", *(f"{name}=" for name in FIELDS))
PHRASES = (
    "create a web server with 2 cores", "describe the vm ", "list all running vms",
    "list all stopped containers", "show me the plan", "show me all containers",
    "shut down the vm ", "start all containers", "stop all containers", "sync with proxmox",
    "turn off all vms", "what vms are running", "what would change",
)  # fmt: skip
MEASURED = ("logs", "metrics", "traces", "all")  # what /debug clear takes
VALUES = {"template": TEMPLATES, "verify_ssl": ("true", "false")}  # of /config's settings
Stamp = tuple[object, ...]
MOST_KEPT = 100_000  # completions that are not made anew: some megabytes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text that can stand where the word began; ``meta`` says what it is."""

    text: str
    meta: str = ""


class Listed:
    """Sorted texts, each with its candidate, found by how they begin."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = sorted(texts)
        self._candidates = [Candidate(shlex.quote(text)) for text in self._texts]

    def beginning_with(self, word: str) -> list[Candidate]:
        """Return the candidates of the texts that begin so."""
        first = bisect.bisect_left(self._texts, word)
        last = bisect.bisect_right(self._texts, word + "\U0010ffff") if word else None
        return self._candidates[first:last]


class Names:
    """The names in one workspace's database, read again when the database changed."""

    def __init__(self) -> None:
        self._stamp: Stamp = ()
        self._names: dict[str, set[str]] = {}
        self._listed: dict[tuple[str, ...], Listed] = {}
        self.reads = 0

    def of(self, workspace: ProjectWorkspace, *kinds: str) -> Listed:
        """Return the names and ids of some types of resource."""
        stamp = _stamp(workspace)
        if stamp != self._stamp:
            found = workspace.store.read(inventory.names)
            self._names = {k: {str(part) for row in v for part in row} for k, v in found.items()}
            self._listed = {}
            self._stamp = stamp
            self.reads += 1
        if kinds not in self._listed:
            names = {name for kind in kinds for name in self._names[kind]}
            self._listed[kinds] = Listed(names)
        return self._listed[kinds]


def _stamp(workspace: ProjectWorkspace) -> Stamp:
    path = workspace.parts.path(DATABASE)
    found: list[object] = [path]
    for name in (path, path.with_name(path.name + "-wal")):
        try:
            facts = os.stat(name)
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((facts.st_ino, facts.st_mtime_ns, facts.st_size))
    return tuple(found)


class Completions:
    """Completes lines for one session."""

    def __init__(self, session: ConsoleSession) -> None:
        self._session = session
        self.names = Names()

    def complete(self, line: str, cursor: int | None = None) -> tuple[list[Candidate], str]:
        """Return what can stand at the cursor, and the part of the word that is there."""
        before = line if cursor is None else line[:cursor]
        words, word = _cut(before)
        if not words:
            return list(self._commands(word, line)) or _phrases(before), word
        try:
            command, given = self._session.find(words)
        except UnknownCommand:
            return _rests(before, word), word
        found = list(self._values(command, given, word))
        return found or _rests(before, word), word

    def _commands(self, word: str, line: str) -> Iterator[Candidate]:
        names = FIRST if not line.strip() else self._session.registry.words
        for name in names:
            if name.startswith(word):
                yield Candidate(name, self._session.registry.find(name).summary)

    def _values(self, command: Command, given: Sequence[str], word: str) -> Iterator[Candidate]:
        last = command.flag(given[-1]) if given else None
        if last is not None and not last.is_switch:
            yield from self._listed(last, given, word)
            return
        if word.startswith("-"):
            yield from self._flags(command, given, word)
            return
        places = _positional(command, given)
        found: list[Candidate] = []
        if len(places) < len(command.arguments):
            found = list(self._listed(command.arguments[len(places)], places, word))
        yield from found or ([] if word else self._flags(command, given, word))

    def _flags(self, command: Command, given: Sequence[str], word: str) -> Iterator[Candidate]:
        name, separator, value = word.partition("=")
        flag = command.flag(name)
        if separator and flag is not None:
            for candidate in self._listed(flag, given, value):
                yield Candidate(f"{name}={candidate.text}", candidate.meta)
            return
        for flag in command.all_flags:
            if flag.name.startswith(word) and (flag.repeatable or flag.name not in given):
                yield Candidate(flag.name, flag.summary)

    def _listed(
        self, what: Argument | Flag, given: Sequence[str], word: str
    ) -> Iterator[Candidate]:
        if what.choices:
            yield from (Candidate(text) for text in what.choices if text.startswith(word))
            return
        yield from self._source(what.completer, given).beginning_with(word)

    def _source(self, completer: str, given: Sequence[str]) -> Listed:
        """Return the texts that a completer stands for."""
        if completer == "commands":
            return Listed(self._session.registry.words)
        if completer == "filters":
            return Listed(FILTERS)
        if completer == "measured":
            return Listed(MEASURED if "clear" in given else ())
        if completer == "values":
            setting = given[0] if given else ""
            if setting != "node":
                return Listed(VALUES.get(setting, ()))
            completer = "nodes"
        workspace = self._session.workspace
        if workspace is None or not completer:
            return Listed(())
        if completer == "backups":
            return Listed(backup.name for backup in workspace.backups())
        if completer == "guests":
            kinds = [kind for kind in ("vm", "container") if kind in given] or ["vm", "container"]
            return self.names.of(workspace, *kinds)
        return self.names.of(workspace, {"nodes": "node", "storages": "storage"}.get(
            completer, completer))  # fmt: skip


def _cut(before: str) -> tuple[list[str], str]:
    """Return the whole words before the cursor, and the one that it is in."""
    head, word = before, ""
    if before and not before[-1].isspace():
        head, _, word = before.rpartition(" ")
    try:
        return shlex.split(head), word.lstrip("'\"")
    except ValueError:  # the cursor is inside of a quote
        head, _, word = head.rpartition(" ")
        return head.split(), before[len(head) :].lstrip(" '\"")


def _positional(command: Command, given: Sequence[str]) -> list[str]:
    """Return the words that are no flags and no values of flags."""
    found, skip = [], False
    for word in given:
        flag = command.flag(word)
        if skip:
            skip = False
        elif flag is not None:
            skip = not flag.is_switch
        elif not word.startswith("-"):
            found.append(word)
    return found


def _phrases(before: str) -> list[Candidate]:
    text = before.lstrip().lower()
    return [Candidate(p, "in plain English") for p in PHRASES if text and p.startswith(text)]


def _rests(before: str, word: str) -> list[Candidate]:
    """Return how phrases go on behind what is there, from the word at the cursor."""
    text = before.lstrip().lower()
    start = len(text) - len(word)
    return [Candidate(p[start:], "in plain English") for p in PHRASES if p.startswith(text)]


class TabCompleter(Completer):
    """The same for prompt_toolkit."""

    def __init__(self, completions: Completions) -> None:
        self._completions = completions
        # Parsing a text into its styles is most of the work of a Tab that offers thousands.
        self._made = functools.lru_cache(MOST_KEPT)(_completion)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """Yield what can stand at the cursor."""
        try:
            found, word = self._completions.complete(document.text_before_cursor)
        except ProxmoxError:
            return  # nothing on a Tab may raise over what the user types
        if len(found) == 1 and not found[0].text.endswith(("=", " ")):
            yield _completion(found[0], -len(word), " ")
            return
        for candidate in found:
            yield self._made(candidate, -len(word))


def _completion(candidate: Candidate, start: int, behind: str = "") -> Completion:
    text, meta = candidate.text, candidate.meta
    return Completion(f"{text}{behind}", start, display=text, display_meta=meta)
