"""Keyboard and screen reader: axe-core finds nothing, and everything is reached by keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from e2e_tests.manager import ManagerApi
from e2e_tests.pages import VIEWS, DashboardPage, LoginPage, TaskDialog, ViewPage

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"],
    "resultTypes": ["violations"],  # all of these; of what passed, which nobody reads, one each
}


def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong in either theme, an element a line."""
    return [line for theme in THEMES for line in _violations_in(page, theme)]


def _violations_in(page: Page, theme: Literal["light", "dark"]) -> list[str]:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    shown = "theme => document.documentElement.dataset.theme === theme"
    page.wait_for_function(shown, arg=theme)
    page.evaluate("Promise.all(document.getAnimations().map(a => a.finished.catch(() => null)))")
    found = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{theme}: {rule['id']}: {node['html'][:120]} {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("view", VIEWS)
def test_view_has_no_barriers(
    admin_authenticated_page: Page, site: dict[str, Any], view: str
) -> None:
    ViewPage(admin_authenticated_page).navigate_to(view)
    assert violations(admin_authenticated_page) == []


def test_login_has_no_barriers(page: Page, base_url: str, apis: dict[str, ManagerApi]) -> None:
    LoginPage(page).open(base_url)
    assert violations(page) == []
    page.click("#registerTab")
    assert violations(page) == []


@pytest.mark.parametrize("view", ["dashboard", "apps", "backups"])
def test_view_that_is_empty_has_no_barriers(page_of: Callable[[str], Page], view: str) -> None:
    page = page_of("other")
    ViewPage(page).navigate_to(view)
    expect(ViewPage(page).view(view).get_by_test_id("empty")).to_be_visible()
    assert violations(page) == []


def test_page_that_is_missing_has_no_barriers(authenticated_page: Page, base_url: str) -> None:
    authenticated_page.goto(f"{base_url}/attic")
    expect(authenticated_page.locator("#missingView h2")).to_be_visible()
    assert violations(authenticated_page) == []


def test_view_that_failed_has_no_barriers(authenticated_page: Page) -> None:
    page, views = authenticated_page, ViewPage(authenticated_page)
    page.route("**/api/v1/system/nodes", lambda route: route.fulfill(status=503, json={}))
    views.link("nodes").click()
    expect(views.view("nodes").get_by_test_id("view-error")).to_be_visible()
    assert violations(page) == []


def test_failed_update_has_no_barriers(
    authenticated_page: Page, deployed_app: dict[str, Any], proxmox_faults: Any
) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    proxmox_faults.add(effect="task-error", task="vzdump", text="job errors")
    dashboard.update_app(deployed_app["hostname"])
    dialog = TaskDialog(authenticated_page, "updateModal")
    assert dialog.wait_for_outcome() == "rolled_back"
    assert violations(authenticated_page) == []
    dialog.close()
    expect(dashboard.card(deployed_app["hostname"]).get_by_test_id("app-note")).to_be_visible()
    assert violations(authenticated_page) == []


@pytest.mark.parametrize(
    ("action", "dialog"),
    [
        ("update", "updateModal"),
        ("backups", "backupModal"),
        ("clone", "cloneModal"),
        ("edit-config", "editConfigModal"),
        ("console", "consoleModal"),
        ("view-logs", "logsModal"),
        ("volumes", "volumesModal"),
        ("delete", "confirmModal"),
        ("canvas", "canvasModal"),
    ],
)
def test_dialog_has_no_barriers(
    authenticated_page: Page, site: dict[str, Any], action: str, dialog: str
) -> None:
    page, dashboard = authenticated_page, DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    dashboard.dialog(site["hostname"], action, dialog)
    page.wait_for_load_state("load")
    if action == "canvas":
        expect(page.locator("#canvasModal")).to_have_attribute("data-state", "loaded")
        page.evaluate("document.getElementById('canvasIframe').remove()")  # the app's own page
    assert violations(page) == []


@pytest.mark.parametrize("view", VIEWS)
def test_view_fits_narrow_and_wide(
    admin_authenticated_page: Page, site: dict[str, Any], view: str
) -> None:
    page = admin_authenticated_page
    ViewPage(page).navigate_to(view)
    for width in (360, 768, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_first_key_offers_to_skip_the_navigation(authenticated_page: Page) -> None:
    page = authenticated_page
    page.keyboard.press("Tab")
    expect(page.locator(".skip-link")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_views_are_reached_by_keys(authenticated_page: Page) -> None:
    views = ViewPage(authenticated_page)
    views.link("catalog").focus()
    authenticated_page.keyboard.press("Enter")
    views.wait_for_view("catalog")
    assert views.is_only_view("catalog")


def test_menu_is_used_by_keys_and_gives_the_focus_back(
    authenticated_page: Page, site: dict[str, Any]
) -> None:
    page, dashboard = authenticated_page, DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    opener = dashboard.card(site["hostname"]).locator("summary")
    opener.focus()
    page.keyboard.press("Enter")
    expect(dashboard.card(site["hostname"]).locator(".menu-list")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#backupModal")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#backupModal")).to_have_count(0)
    expect(opener).to_be_focused()


def test_escape_closes_the_menu(authenticated_page: Page, site: dict[str, Any]) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    dashboard.card(site["hostname"]).locator("summary").click()
    authenticated_page.keyboard.press("Escape")
    expect(dashboard.card(site["hostname"]).locator(".menu-list")).to_be_hidden()


def test_dialog_keeps_the_focus_inside(authenticated_page: Page, site: dict[str, Any]) -> None:
    page, dashboard = authenticated_page, DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    dashboard.dialog(site["hostname"], "clone", "cloneModal")
    for _ in range(12):
        page.keyboard.press("Tab")
        inside = "!document.activeElement || document.activeElement === document.body || "
        assert page.evaluate(f"{inside}!!document.activeElement.closest('#cloneModal')")
