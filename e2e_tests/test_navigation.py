"""The plan's navigation tests; the matrix is in test_navigation_matrix.py."""

from __future__ import annotations

import pytest

from e2e_tests.pages import VIEWS, ViewPage

pytestmark = [pytest.mark.navigation, pytest.mark.smoke]


def test_navigate_all_views(authenticated_page):
    """Each view opens by its link, one is shown at a time, and its address is its own."""
    views = ViewPage(authenticated_page)
    for view in VIEWS:
        views.navigate_to(view)
        assert views.is_only_view(view)
        assert authenticated_page.url.endswith(f"/{view}")


def test_rapid_navigation(authenticated_page):
    """Test clicking nav items rapidly doesn't break app"""
    page = authenticated_page
    views = ['dashboard', 'apps', 'catalog', 'nodes']
    for _ in range(5):  # 5 cycles
        for view in views:
            page.click(f'[data-view="{view}"]')
            page.wait_for_timeout(100)  # Minimal wait
    assert ViewPage(page).is_only_view("nodes")
