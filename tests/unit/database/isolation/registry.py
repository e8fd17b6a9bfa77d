"""Which behaviours there are, and on which variants and in which styles each holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.unit.database.isolation.worlds import STYLES, VARIANTS, Behaviour, Style, Variant


@dataclass(frozen=True)
class Case:
    """One behaviour by its name in the documentation."""

    name: str
    body: Behaviour
    variants: Sequence[Variant]
    styles: Sequence[Style]


CASES: dict[str, Case] = {}


def behaviour(
    *, variants: Sequence[Variant] = VARIANTS, styles: Sequence[Style] = STYLES
) -> Callable[[Behaviour], Behaviour]:
    """Register a behaviour under its function's name."""

    def register(body: Behaviour) -> Behaviour:
        name = body.__name__
        CASES[name] = Case(name, body, variants, styles)
        return body

    return register
