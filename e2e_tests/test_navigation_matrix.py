"""From each view to each other one: quickly, and to nothing but that one."""

from __future__ import annotations

from time import perf_counter

import pytest
from playwright.sync_api import Page

from e2e_tests.matrix import LIMIT_MS, Cell, Matrix
from e2e_tests.pages import VIEWS, ViewPage

pytestmark = [pytest.mark.navigation, pytest.mark.critical]


@pytest.mark.parametrize("origin", VIEWS)
def test_navigation_from_view_to_view(
    authenticated_page: Page, matrix: Matrix, origin: str
) -> None:
    views = ViewPage(authenticated_page)
    strays: list[str] = []
    late: list[str] = []
    for target in VIEWS:
        if target == origin:
            continue  # test_link_of_the_present_view_loads_it_anew
        views.navigate_to(target)  # seen once before, as by a person who goes to and fro
        views.navigate_to(origin)
        began = perf_counter()
        views.navigate_to(target)
        cell = Cell(origin, target, (perf_counter() - began) * 1000)
        matrix.add(cell)
        strays += [] if views.is_only_view(target) else [target]
        late += [f"{target}: {cell.took_ms:.0f} ms"] if cell.took_ms >= LIMIT_MS else []
    assert (strays, late) == ([], [])
