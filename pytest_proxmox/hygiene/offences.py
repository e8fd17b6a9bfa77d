"""What a test did wrong, as data: an offence, and the text of a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pytest_proxmox.hygiene.settings import KINDS

if TYPE_CHECKING:
    from pytest_proxmox.hygiene.places import Place


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
