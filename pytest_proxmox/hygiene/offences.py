"""What a test can do wrong, as data: the kinds in a table, an offence, the text of a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pytest_proxmox.hygiene.places import Place


class Level(StrEnum):
    """What happens when something is found."""

    OFF = "off"  # not looked at
    WARN = "warn"  # told at the end of the run
    ERROR = "error"  # the test fails


class Kind(NamedTuple):
    """One kind of thing that a test may leave behind."""

    name: str
    ini: str
    default: Level
    predicate: str  # what is wrong with the thing that the offence names
    advice: str


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "coroutine",
            "hygiene_coroutines",
            Level.ERROR,
            "was never awaited",
            "Await it, give it to a task, or close() it",
        ),
        Kind(
            "task",
            "hygiene_tasks",
            Level.ERROR,
            "was still pending",
            "Await it, or cancel it and await that",
        ),
        Kind(
            "thread",
            "hygiene_threads",
            Level.ERROR,
            "was still running",
            "Stop it and join it",
        ),
        Kind(
            "process",
            "hygiene_processes",
            Level.ERROR,
            "was still running",
            "Terminate it and wait for it",
        ),
        Kind("socket", "hygiene_sockets", Level.ERROR, "was still open", "Close it"),
        Kind(
            "environ",
            "hygiene_environ",
            Level.ERROR,
            "and not set back",
            "Use monkeypatch.setenv or monkeypatch.delenv",
        ),
        Kind(
            "cwd",
            "hygiene_cwd",
            Level.ERROR,
            "and not set back",
            "Use monkeypatch.chdir",
        ),
        Kind(
            "singleton",
            "hygiene_singletons",
            Level.OFF,  # it is set back in any case
            "was changed",
            "It was set back; make the test do so itself",
        ),
    )
}


class Offence(NamedTuple):
    """One thing that was left behind: ``what`` is the subject of a sentence.

    ``name`` is what allow patterns are compared with. ``during`` says in which part of the test
    it was made, where that is not the test itself.
    """

    kind: str
    name: str
    what: str
    place: Place | None = None
    during: str = ""

    def render(self, root: str) -> str:
        """Return the offence as lines of text: what, where it was made, by whom."""
        made = f" (made in {self.during})" if self.during else ""
        where = self.place.render(root) if self.place else "the place is not known"
        sentence = f"{self.what} {KINDS[self.kind].predicate}{made}"
        return f"{sentence}\n" + _indented(f"made at {where}" if self.place else where)


def verdict(offences: Sequence[Offence], *, root: str) -> str:
    """Return the text of a failure: each offence, and for each kind what to do."""
    lines = [offence.render(root) for offence in offences]
    for name in dict.fromkeys(offence.kind for offence in offences):
        kind = KINDS[name]
        example = next(offence.name for offence in offences if offence.kind == name)
        lines.append(
            f"{kind.advice}. On purpose? Mark the test "
            f'allow_leaks("{name}:{example}"), or see the ini keys hygiene_allow and {kind.ini}.'
        )
    return "\n".join(lines)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
