"""Every behaviour that the documentation lists, on every variant and in every style."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.database.isolation import commits, concurrency, escapes  # noqa: F401 - register
from tests.unit.database.isolation.registry import CASES, Case
from tests.unit.database.isolation.worlds import VARIANTS, Style, Variant, World, drive, world

DOCS = Path(__file__).parents[4] / "docs/explanation/database-isolation.md"


def _styles(case: Case, variant: Variant) -> list[Style]:
    """The case's styles, and another asynchronous driver where there is one."""
    other: list[Style] = ["asyncpg"] if variant == "postgresql" and "async" in case.styles else []
    return [*case.styles, *other]


RUNS = [
    pytest.param(variant, style, case, id=f"{case.name}-{variant}-{style}")
    for variant in VARIANTS
    for case in CASES.values()
    for style in _styles(case, variant)
    if variant in case.variants
]


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, World]]:
    """The variants that were needed so far, each made once."""
    from contextlib import ExitStack

    class Worlds(dict[str, World]):
        def __missing__(self, variant: Variant) -> World:
            made = stack.enter_context(world(variant, tmp_path_factory.mktemp(variant)))
            self[variant] = made
            return made

    with ExitStack() as stack:
        yield Worlds()


@pytest.mark.parametrize(("variant", "style", "case"), RUNS)
def test_isolation(  # lint: no-assertion - each case's body has its own
    variant: Variant, style: Style, case: Case, worlds: dict[str, World]
) -> None:
    w = worlds[variant]
    w.style, w.code = style, case.body.__code__
    drive(style, case.body(w))


def test_every_behaviour_that_the_documentation_lists_is_tested() -> None:
    listed = set(re.findall(r"^- `(\w+)`", DOCS.read_text(encoding="utf-8"), re.M))
    assert listed == set(CASES)
    assert len(listed) >= 40
