"""From each view to each other one: quickly, and to nothing but that one."""

from __future__ import annotations

from itertools import permutations
from time import perf_counter

import pytest
from playwright.sync_api import Page

from e2e_tests.matrix import LIMIT_MS, Cell, Matrix
from e2e_tests.pages import VIEWS, ViewPage

pytestmark = pytest.mark.navigation
PAIRS = list(permutations(VIEWS, 2))


@pytest.mark.parametrize(("origin", "target"), PAIRS, ids=[f"{a}-{b}" for a, b in PAIRS])
def test_navigation_from_view_to_view(
    authenticated_page: Page, matrix: Matrix, origin: str, target: str
) -> None:
    views = ViewPage(authenticated_page)
    views.navigate_to(target)  # seen once before, as by a person who goes to and fro
    views.navigate_to(origin)
    began = perf_counter()
    views.navigate_to(target)
    cell = Cell(origin, target, (perf_counter() - began) * 1000)
    matrix.add(cell)
    assert views.is_only_view(target)
    assert cell.took_ms < LIMIT_MS
