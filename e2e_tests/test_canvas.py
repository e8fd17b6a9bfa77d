"""The canvas: an app's own page inside the manager's, and apart from it."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from e2e_tests.pages import AppCanvasPage, DashboardPage

pytestmark = pytest.mark.canvas


@pytest.fixture
def canvas(authenticated_page: Page, site: dict[str, Any]) -> AppCanvasPage:
    """The canvas of an app that all may look at, loaded."""
    DashboardPage(authenticated_page).navigate_to_my_apps()
    DashboardPage(authenticated_page).open_app_canvas(site["hostname"])
    found = AppCanvasPage(authenticated_page)
    found.wait_for_iframe_load()
    return found


@pytest.mark.smoke
def test_canvas_shows_the_apps_own_page(canvas: AppCanvasPage, site: dict[str, Any]) -> None:
    expect(canvas.content.locator("h1")).to_have_text("Nginx")
    expect(canvas.content.locator("#hostname")).to_have_text(site["hostname"])
    expect(canvas.content.locator("#version")).to_have_text("1.0")
    expect(canvas.page.locator(canvas.NAME)).to_have_text(site["hostname"])


def test_canvas_comes_from_the_managers_own_address(
    canvas: AppCanvasPage, site: dict[str, Any]
) -> None:
    assert canvas.address.startswith(f"/apps/{site['id']}/view/~")


def test_dashboard_has_a_shortcut_to_the_canvas(
    authenticated_page: Page, site: dict[str, Any]
) -> None:
    page, canvas = authenticated_page, AppCanvasPage(authenticated_page)
    page.get_by_test_id("shortcuts").get_by_role("link", name=site["hostname"]).click()
    canvas.wait_for_iframe_load()
    expect(canvas.content.locator("#hostname")).to_have_text(site["hostname"])
    assert DashboardPage(page).is_only_view("apps")


def test_app_cannot_reach_the_managers_page(canvas: AppCanvasPage) -> None:
    handle = canvas.page.query_selector(canvas.FRAME)
    frame = handle.content_frame() if handle else None
    assert frame is not None
    reach = "try { window.parent.localStorage.getItem('token'); 'reached' } catch (e) { e.name }"
    assert frame.evaluate(reach) == "SecurityError"
    assert frame.evaluate("try { localStorage; 'reached' } catch (e) { e.name }") == "SecurityError"


def test_what_the_app_writes_is_there_after_a_reload(canvas: AppCanvasPage) -> None:
    content = secrets.token_bytes(500)
    canvas.write("note.bin", content)
    canvas.page.click(canvas.REFRESH)
    canvas.wait_for_iframe_load()
    assert canvas.read("note.bin") == content


@pytest.mark.parametrize("way", ["button", "escape", "outside"])
def test_canvas_is_closed_by(canvas: AppCanvasPage, way: str) -> None:
    if way == "button":
        canvas.page.click(canvas.CLOSE)
    elif way == "escape":
        canvas.page.focus(canvas.CLOSE)
        canvas.page.keyboard.press("Escape")
    else:
        canvas.page.mouse.click(4, 4)
    expect(canvas.page.locator(canvas.ROOT)).to_have_count(0)
    assert DashboardPage(canvas.page).is_only_view("apps")


def test_new_tab_has_the_app_alone(canvas: AppCanvasPage) -> None:
    with canvas.page.context.expect_page() as opened:
        canvas.page.click(canvas.NEW_TAB)
    expect(opened.value.locator("h1")).to_have_text("Nginx")
    assert opened.value.evaluate("window.opener") is None


def test_title_bar_can_be_put_away(canvas: AppCanvasPage) -> None:
    canvas.page.click(canvas.HEADER)
    expect(canvas.page.locator(canvas.NAME)).to_be_hidden()
    canvas.page.click(canvas.HEADER)
    expect(canvas.page.locator(canvas.NAME)).to_be_visible()


def test_app_that_does_not_answer_is_told_and_tried_again(
    authenticated_page: Page, site: dict[str, Any]
) -> None:
    page, canvas = authenticated_page, AppCanvasPage(authenticated_page)

    def away(route: Route) -> None:
        route.fulfill(status=502, json={"detail": "The app does not answer: ConnectError"})

    page.route("**/apps/*/view/**", away)
    DashboardPage(page).navigate_to_my_apps()
    DashboardPage(page).open_app_canvas(site["hostname"])
    expect(page.get_by_test_id("canvas-problem")).to_have_text(
        "The app does not answer: ConnectError"
    )
    page.unroute("**/apps/*/view/**")
    page.click('[data-action="canvas-retry"]')
    canvas.wait_for_iframe_load()
    expect(canvas.content.locator("h1")).to_have_text("Nginx")


def test_stopped_app_offers_no_canvas(
    authenticated_page: Page, deployed_app: dict[str, Any]
) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    dashboard.stop_app(deployed_app["hostname"])
    button = dashboard.card(deployed_app["hostname"]).locator('[data-action="canvas"]')
    expect(button).to_be_disabled()
    dashboard.page.goto(f"{dashboard.page.url}?canvas={deployed_app['id']}")
    expect(dashboard.page.get_by_test_id("canvas-problem")).to_contain_text("it is stopped")
