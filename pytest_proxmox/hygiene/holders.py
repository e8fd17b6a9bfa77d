"""Whether something belongs to a fixture that lives on after the test."""

from __future__ import annotations

import gc
import sys
from types import FrameType, ModuleType
from typing import Any

import pytest

_STEPS = 8  # object, list, attribute, instance, closure, generator, finaliser, fixture
_WIDEST = 2000  # something held by more than this is held by everything
# What pytest knows of one test hangs on its wider fixtures' finalisers, and holds its values.
_OF_ONE_TEST = (pytest.Item, pytest.Collector, pytest.FixtureRequest)
_DEAD_KEYS = frozenset({"__builtins__", "_pyfuncitem", "_fixtureinfo"})  # of a module, of these


def held_by_wider_fixture(found: object) -> bool:
    """Return whether a fixture of more than function scope holds ``found``.

    It may be (in) the fixture's value, in a local variable of its generator or in a
    finaliser. Going up, modules and classes end the search: what is in a global belongs to
    nobody. Costs some 10 ms a step, so ask only about what is left after the test's end.
    """
    level: list[Any] = [found]
    seen: set[int] = {id(level)}
    for _ in range(_STEPS):
        holders = [
            holder
            for holder in gc.get_referrers(*level)
            if id(holder) not in seen and not _is_dead_end(holder)
        ]
        if any(_is_wider(holder) for holder in holders):
            return True
        seen.update(map(id, holders))
        seen.update((id(holders), id(level)))
        if not holders or len(holders) > _WIDEST:
            return False
        level = holders
    return False


def _is_wider(found: object) -> bool:
    return isinstance(found, pytest.FixtureDef) and found.scope != "function"


def _is_dead_end(found: object) -> bool:
    if isinstance(found, (ModuleType, type, FrameType, *_OF_ONE_TEST)):
        return True
    return isinstance(found, dict) and (found is sys.modules or not _DEAD_KEYS.isdisjoint(found))
