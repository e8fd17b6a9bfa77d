"""A page that goes in the middle of something: told by its cause, and nothing else is lost."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Error, Page, expect

from e2e_tests.flows import generate_hostname
from e2e_tests.manager import ManagerApi
from e2e_tests.pages import DashboardPage
from e2e_tests.utils.page_guard import PageClosedError, ensure_page_alive, safe_navigate

pytestmark = pytest.mark.navigation


def test_page_that_is_closed_says_by_whom(authenticated_page: Page) -> None:
    ensure_page_alive(authenticated_page)
    authenticated_page.close()
    with pytest.raises(PageClosedError, match=r"page\.close\(\) at .*test_page_loss\.py"):
        DashboardPage(authenticated_page).navigate_to_my_apps()
    with pytest.raises(PageClosedError, match="Page was closed"):
        ensure_page_alive(authenticated_page)


def test_expectation_of_a_closed_page_is_no_failed_assertion(authenticated_page: Page) -> None:
    dashboard = DashboardPage(authenticated_page)
    authenticated_page.close()
    with pytest.raises(PageClosedError):
        expect(dashboard.link("apps")).to_be_visible()


def test_closed_page_is_not_navigated(authenticated_page: Page, base_url: str) -> None:
    authenticated_page.close()
    with pytest.raises(RuntimeError, match="Cannot navigate: page is closed"):
        safe_navigate(authenticated_page, base_url)


@pytest.mark.usefixtures("tidy")
def test_deployment_goes_on_when_its_page_is_killed(
    authenticated_page: Page, page_of: Any, api: ManagerApi
) -> None:
    hostname = generate_hostname("nginx")
    accepted = api.post("/apps/deploy", catalog_id="nginx", hostname=hostname)
    DashboardPage(authenticated_page).navigate_to_my_apps()
    with authenticated_page.expect_event("crash"), pytest.raises(Error):
        authenticated_page.goto("chrome://crash")
    with pytest.raises(PageClosedError, match="renderer crashed"):
        authenticated_page.evaluate("1")
    api.done(accepted)
    after = DashboardPage(page_of("user"))
    after.navigate_to_my_apps()
    assert after.get_app_status(hostname) == "running"


def test_next_page_after_that_is_a_good_one(authenticated_page: Page) -> None:
    DashboardPage(authenticated_page).navigate_to_my_apps()
    assert DashboardPage(authenticated_page).is_only_view("apps")
