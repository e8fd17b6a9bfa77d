"""Addresses: deep links, back and forward, reloads, and navigation while things go on."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from e2e_tests.flows import generate_hostname
from e2e_tests.manager import ManagerApi
from e2e_tests.pages import VIEWS, AppCanvasPage, AppStorePage, DashboardPage, ViewPage

pytestmark = pytest.mark.navigation


@pytest.mark.parametrize("view", VIEWS)
def test_deep_link_opens_its_view(authenticated_page: Page, base_url: str, view: str) -> None:
    authenticated_page.goto(f"{base_url}/{view}")
    views = ViewPage(authenticated_page)
    views.wait_for_view(view)
    assert views.is_only_view(view)


def test_back_and_forward_follow_the_views(authenticated_page: Page) -> None:
    views = ViewPage(authenticated_page)
    way = ["apps", "catalog", "nodes"]
    for view in way:
        views.navigate_to(view)
    for view in ("catalog", "apps"):
        authenticated_page.go_back()
        views.wait_for_view(view)
        assert views.is_only_view(view)
    for view in ("catalog", "nodes"):
        authenticated_page.go_forward()
        views.wait_for_view(view)
        assert views.is_only_view(view)


def test_reload_stays_on_the_view(authenticated_page: Page) -> None:
    views = ViewPage(authenticated_page)
    views.navigate_to("monitoring")
    authenticated_page.reload()
    views.wait_for_view("monitoring")
    assert views.is_only_view("monitoring")


def test_link_of_the_present_view_loads_it_anew(authenticated_page: Page) -> None:
    views = ViewPage(authenticated_page)
    views.navigate_to("nodes")
    with authenticated_page.expect_response("**/api/v1/system/nodes"):
        views.link("nodes").click()
    views.wait_for_view("nodes")
    assert views.is_only_view("nodes")


def test_search_is_part_of_the_address(authenticated_page: Page, base_url: str) -> None:
    store = AppStorePage(authenticated_page)
    store.navigate_to("catalog")
    store.search("budget")
    expect(authenticated_page).to_have_url(f"{base_url}/catalog?q=budget")
    authenticated_page.reload()
    store.wait_for_view("catalog")
    assert store.names() == ["Actual Budget"]


def test_canvas_has_an_address(
    authenticated_page: Page, base_url: str, site: dict[str, Any]
) -> None:
    authenticated_page.goto(f"{base_url}/apps?canvas={site['id']}")
    canvas = AppCanvasPage(authenticated_page)
    canvas.wait_for_iframe_load()
    expect(canvas.content.locator("h1")).to_have_text("Nginx")
    canvas.close_canvas()
    expect(authenticated_page).to_have_url(f"{base_url}/apps")


def test_back_closes_the_canvas(authenticated_page: Page, site: dict[str, Any]) -> None:
    dashboard, canvas = DashboardPage(authenticated_page), AppCanvasPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    dashboard.open_app_canvas(site["hostname"])
    canvas.wait_for_iframe_load()
    authenticated_page.go_back()
    expect(authenticated_page.locator(canvas.ROOT)).to_have_count(0)
    assert dashboard.is_only_view("apps")


def test_canvas_of_an_unknown_app_is_told(authenticated_page: Page, base_url: str) -> None:
    authenticated_page.goto(f"{base_url}/apps?canvas=nobody")
    ViewPage(authenticated_page).toast('There is no app "nobody"')
    expect(authenticated_page).to_have_url(f"{base_url}/apps")


def test_unknown_address_says_so(authenticated_page: Page, base_url: str) -> None:
    answer = authenticated_page.goto(f"{base_url}/attic")
    assert answer is not None
    assert answer.status == 404
    expect(authenticated_page.locator("#missingView h2")).to_have_text("There is no such page")


def test_view_that_cannot_load_says_why_and_tries_again(authenticated_page: Page) -> None:
    page, views = authenticated_page, ViewPage(authenticated_page)

    def refuse(route: Route) -> None:
        route.fulfill(status=503, json={"detail": "Proxmox is having a rest"})

    page.route("**/api/v1/system/nodes", refuse)
    views.link("nodes").click()
    expect(views.view("nodes")).to_have_attribute("data-loaded", "error")
    expect(views.view("nodes").get_by_test_id("view-error")).to_contain_text("having a rest")
    page.unroute("**/api/v1/system/nodes")
    page.click('#nodesView [data-action="retry"]')
    views.wait_for_view("nodes")


@pytest.mark.usefixtures("tidy")
def test_navigation_while_an_app_is_deployed(authenticated_page: Page, api: ManagerApi) -> None:
    dashboard = DashboardPage(authenticated_page)
    hostname = generate_hostname("nginx")
    accepted = api.post("/apps/deploy", catalog_id="nginx", hostname=hostname)
    for view in VIEWS:
        dashboard.navigate_to(view)
        assert dashboard.is_only_view(view)
    api.done(accepted)
    dashboard.navigate_to_my_apps()
    assert dashboard.get_app_status(hostname) == "running"


def test_navigation_while_an_app_is_updated(
    authenticated_page: Page, api: ManagerApi, deployed_app: dict[str, Any]
) -> None:
    dashboard = DashboardPage(authenticated_page)
    accepted = api.post(f"/apps/{deployed_app['id']}/update")
    for view in VIEWS:
        dashboard.navigate_to(view)
        assert dashboard.is_only_view(view)
    api.done(accepted)
    dashboard.navigate_to_my_apps()
    assert dashboard.get_app_version(deployed_app["hostname"]) == "2.0"


def test_slow_answer_of_a_view_that_was_left_changes_nothing(authenticated_page: Page) -> None:
    page, views = authenticated_page, ViewPage(authenticated_page)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/v1/backups?**", hold)
    with page.expect_request("**/api/v1/backups?**"):
        views.link("backups").click()
    views.navigate_to("settings")
    for route in held:
        route.fulfill(json={"backups": [], "total": 0})  # to a page that gave it up
    assert views.is_only_view("settings")
    assert views.view("backups").get_attribute("data-loaded") == "false"
