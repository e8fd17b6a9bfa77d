"""Nodes, monitoring, settings, adoption, two users, and the page contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from e2e_tests.manager import ManagerApi
from e2e_tests.pages import (
    VIEWS,
    AppCanvasPage,
    AppStorePage,
    ConfirmDialog,
    DashboardPage,
    DeploymentModalPage,
    LoginPage,
    TaskDialog,
    ViewPage,
)
from pytest_proxmox.browser import Account, ambiguous_selectors

REFRESH_MS = 5000  # how often a page asks for the apps

# --- the page contract --------------------------------------------------------------------------


@pytest.mark.smoke
def test_each_view_has_one_link_and_one_section(authenticated_page: Page) -> None:
    views = ViewPage(authenticated_page)
    for view in VIEWS:
        assert views.link(view).count() == 1
        assert views.view(view).count() == 1
        assert views.link(view).evaluate("link => link.matches('a.nav-rack-item')")


@pytest.mark.parametrize("view", ["apps", "catalog"])
def test_selectors_of_page_objects_mean_one_element(
    authenticated_page: Page, site: dict[str, Any], view: str
) -> None:
    ViewPage(authenticated_page).navigate_to(view)
    objects = (ViewPage, DashboardPage, AppStorePage, DeploymentModalPage, AppCanvasPage)
    found = ambiguous_selectors(authenticated_page, *objects, ConfirmDialog, TaskDialog, LoginPage)
    assert found == []


def test_page_tells_that_it_is_ready(authenticated_page: Page) -> None:
    assert authenticated_page.evaluate("window.AppManager.isInitialized")
    assert authenticated_page.evaluate("window.Auth.isAuthenticated()")


def test_page_asks_no_other_server(page: Page, base_url: str, apis: dict[str, Any]) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    LoginPage(page).open(base_url)
    assert asked
    assert {url.startswith(base_url) for url in asked} == {True}


def test_theme_is_chosen_and_kept(authenticated_page: Page) -> None:
    page = authenticated_page
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_test_id("theme").click()
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert after != before
    page.reload()
    ViewPage(page).wait_for_view("dashboard")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after


# --- nodes and monitoring -----------------------------------------------------------------------


@pytest.mark.monitoring
def test_nodes_show_how_they_are(authenticated_page: Page, site: dict[str, Any]) -> None:
    views = ViewPage(authenticated_page)
    views.navigate_to("nodes")
    node = authenticated_page.locator(f'[data-node="{site["node"]}"]')
    expect(node.get_by_test_id("node-status")).to_have_text("online")
    expect(node.get_by_role("meter", name="RAM")).to_be_visible()


@pytest.mark.monitoring
def test_monitoring_draws_what_proxmox_measured(authenticated_page: Page) -> None:
    ViewPage(authenticated_page).navigate_to("monitoring")
    charts = authenticated_page.get_by_test_id("chart")
    expect(charts).to_have_count(6)
    assert int(charts.first.get_attribute("data-points") or 0) > 5


@pytest.mark.monitoring
@pytest.mark.parametrize("timeframe", ["hour", "day", "week", "month", "year"])
def test_monitoring_goes_back_in_time(authenticated_page: Page, timeframe: str) -> None:
    views = ViewPage(authenticated_page)
    views.navigate_to("monitoring")
    authenticated_page.click(f'[data-timeframe="{timeframe}"]')
    views.wait_for_view("monitoring")
    expect(authenticated_page.locator(f'[data-timeframe="{timeframe}"]')).to_have_attribute(
        "aria-pressed", "true"
    )
    assert f"timeframe={timeframe}" in authenticated_page.url


@pytest.mark.monitoring
def test_card_leads_to_the_monitoring_of_its_app(
    authenticated_page: Page, site: dict[str, Any]
) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    dashboard.choose(site["hostname"], "monitoring")
    dashboard.wait_for_view("monitoring")
    charts = authenticated_page.get_by_test_id("charts")
    expect(charts).to_have_attribute("data-subject", f"app:{site['id']}")


@pytest.mark.monitoring
def test_card_shows_what_a_running_app_uses(authenticated_page: Page, site: dict[str, Any]) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    meters = dashboard.card(site["hostname"]).get_by_role("meter")
    expect(meters).to_have_count(2)


# --- settings -----------------------------------------------------------------------------------


@pytest.fixture
def settings(admin_authenticated_page: Page, admin_api: ManagerApi) -> Iterator[Page]:
    """The settings as an admin sees them; what is changed is changed back."""
    before = {k: v for group in admin_api.get("/settings").values() for k, v in group.items()}
    ViewPage(admin_authenticated_page).navigate_to("settings")
    yield admin_authenticated_page
    admin_api.call("PUT", "/settings", json={"values": before})


@pytest.mark.settings
@pytest.mark.parametrize("form", ["proxmoxForm", "networkForm", "resourcesForm", "autoForm"])
def test_admin_sees_each_form_of_the_settings(settings: Page, form: str) -> None:
    expect(settings.locator(f"#{form}")).to_be_visible()


@pytest.mark.settings
def test_user_sees_his_account_only(authenticated_page: Page) -> None:
    ViewPage(authenticated_page).navigate_to("settings")
    expect(authenticated_page.locator("#passwordForm")).to_be_visible()
    expect(authenticated_page.locator("#proxmoxForm")).to_have_count(0)
    expect(authenticated_page.locator("#modeToggleInput")).to_have_count(0)


@pytest.mark.settings
def test_mode_hides_what_auto_does_without(
    settings: Page, admin_api: ManagerApi, site: dict[str, Any]
) -> None:
    settings.locator("#modeToggleInput").check()
    ViewPage(settings).toast("AUTO mode")
    assert admin_api.get("/system/info")["mode"] == "auto"
    dashboard = DashboardPage(settings)
    dashboard.navigate_to_my_apps()
    dashboard.card(site["hostname"]).locator("summary").click()
    expect(dashboard.card(site["hostname"]).locator('[data-action="clone"]')).to_be_hidden()
    expect(dashboard.card(site["hostname"]).locator('[data-action="backups"]')).to_be_visible()


@pytest.mark.settings
def test_settings_are_kept(settings: Page, admin_api: ManagerApi) -> None:
    settings.fill("#setting-keep_last", "5")
    settings.fill("#setting-backup_rule", "daily 04:30")
    settings.click('[data-action="save-auto"]')
    ViewPage(settings).toast("settings were saved")
    found = admin_api.get("/settings")["auto"]
    assert (found["keep_last"], found["backup_rule"]) == ("5", "daily 04:30")


@pytest.mark.settings
def test_setting_that_cannot_be_is_told_at_its_field(settings: Page) -> None:
    settings.fill("#setting-backup_rule", "whenever")
    settings.click('[data-action="save-auto"]')
    expect(settings.locator("#autoForm .field-error")).to_be_visible()


@pytest.mark.settings
def test_network_setting_decides_where_new_containers_are_plugged_in(
    settings: Page, api: ManagerApi, tidy: None, proxmox_simulator: Any
) -> None:
    settings.fill("#setting-bridge", "vmbr7")
    settings.click('[data-action="save-network"]')
    ViewPage(settings).toast("settings were saved")
    accepted = api.post("/apps/deploy", catalog_id="nginx", hostname="on-another-bridge")
    assert api.ended(accepted["operation"]["id"])["status"] == "rolled_back"  # there is no vmbr7
    made = [call for call in proxmox_simulator.calls if call.path.endswith("/lxc") and call.params]
    assert "bridge=vmbr7" in made[-1].params["net0"]


@pytest.mark.settings
def test_connection_is_tested(settings: Page) -> None:
    settings.click('[data-action="test-connection"]')
    expect(settings.get_by_test_id("connection")).to_contain_text("Proxmox answers")


@pytest.mark.settings
def test_left_over_containers_are_looked_for(settings: Page) -> None:
    settings.click('[data-action="find-ghosts"]')
    expect(settings.get_by_test_id("ghosts")).to_contain_text("Nothing is left over")


@pytest.mark.settings
def test_role_is_changed_in_the_list_of_users(
    settings: Page, admin_api: ManagerApi, accounts: dict[str, Account]
) -> None:
    name = accounts["other"].username
    settings.select_option(f'tr[data-username="{name}"] select', "admin")
    ViewPage(settings).toast("user was changed")
    roles = {user["username"]: user["role"] for user in admin_api.get("/users")}
    assert roles[name] == "admin"
    settings.select_option(f'tr[data-username="{name}"] select', "user")
    ViewPage(settings).toast("user was changed")


@pytest.mark.settings
def test_last_admin_stays_one(settings: Page, accounts: dict[str, Account]) -> None:
    name = accounts["admin"].username
    settings.select_option(f'tr[data-username="{name}"] select', "user")
    expect(settings.locator(".toast.bad")).to_be_visible()
    expect(settings.locator(f'tr[data-username="{name}"] select')).to_have_value("admin")


@pytest.mark.settings
def test_schedule_is_run_by_hand(settings: Page) -> None:
    settings.locator('[data-schedule="update-check"] [data-action="run-schedule"]').click()
    expect(settings.get_by_test_id("toast").first).to_be_visible()
    expect(settings.locator('[data-schedule="update-check"]')).to_contain_text("last")


@pytest.mark.settings
def test_who_did_what_is_written_down(
    settings: Page, admin_api: ManagerApi, accounts: dict[str, Account]
) -> None:
    admin_api.call("PUT", "/settings", json={"values": {"keep_last": "4"}})
    ViewPage(settings).navigate_to("settings")
    latest = settings.get_by_test_id("audit").locator("li").first
    expect(latest).to_contain_text("settings")
    expect(latest).to_contain_text(accounts["admin"].username)


# --- adoption -----------------------------------------------------------------------------------


def test_container_of_others_is_adopted_and_left_as_it_is(
    admin_authenticated_page: Page, lxc: Any, proxmox_simulator: Any, tidy: None
) -> None:
    dashboard, before = DashboardPage(admin_authenticated_page), lxc.config()
    proxmox_simulator.clock.advance(60)  # the cluster's list of guests is some seconds old
    dashboard.navigate_to_my_apps()
    dashboard.page.click('[data-action="adopt"]')
    dialog = TaskDialog(dashboard.page, "adoptModal")
    dashboard.page.locator(f'[data-testid="candidate"][data-vmid="{lxc.vmid}"]').click()
    dashboard.page.fill("#adoptPort", "8080")
    dashboard.page.click('[data-action="start-adopt"]')
    dialog.succeed()
    dialog.close()
    dashboard.navigate_to_my_apps()
    expect(dashboard.card(lxc.name).get_by_test_id("adopted")).to_be_visible()
    assert dashboard.get_app_status(lxc.name) == "running"
    assert lxc.config() == before
    dashboard.delete_app(lxc.name)
    assert lxc.status() == "running"


def test_nothing_to_adopt_is_told(admin_authenticated_page: Page, proxmox_simulator: Any) -> None:
    DashboardPage(admin_authenticated_page).navigate_to_my_apps()
    admin_authenticated_page.click('[data-action="adopt"]')
    expect(admin_authenticated_page.locator("#adoptModal")).to_contain_text("Nothing to adopt")


def test_user_is_not_offered_to_adopt(authenticated_page: Page) -> None:
    DashboardPage(authenticated_page).navigate_to_my_apps()
    expect(authenticated_page.locator('[data-action="adopt"]')).to_have_count(0)


# --- two users ----------------------------------------------------------------------------------


def test_apps_of_one_user_are_not_shown_to_another(
    authenticated_page: Page, page_of: Callable[[str], Page], site: dict[str, Any]
) -> None:
    mine, others = DashboardPage(authenticated_page), DashboardPage(page_of("other"))
    mine.navigate_to_my_apps()
    others.navigate_to_my_apps()
    assert mine.is_app_visible(site["hostname"])
    assert not others.is_app_visible(site["hostname"])


def test_canvas_of_somebody_elses_app_is_refused(
    page_of: Callable[[str], Page], base_url: str, site: dict[str, Any]
) -> None:
    page = page_of("other")
    page.goto(f"{base_url}/apps?canvas={site['id']}")
    ViewPage(page).toast("There is no app")
    assert page.locator(AppCanvasPage.ROOT).count() == 0


def test_admin_sees_the_apps_of_all(admin_authenticated_page: Page, site: dict[str, Any]) -> None:
    dashboard = DashboardPage(admin_authenticated_page)
    dashboard.navigate_to_my_apps()
    assert dashboard.is_app_visible(site["hostname"])


def test_what_one_page_does_is_seen_on_another(
    authenticated_page: Page, page_of: Callable[[str], Page], deployed_app: dict[str, Any]
) -> None:
    mine, admins = DashboardPage(authenticated_page), DashboardPage(page_of("admin"))
    mine.navigate_to_my_apps()
    admins.page.clock.install()
    admins.page.reload()  # its timers are those of the clock now
    admins.navigate_to_my_apps()
    mine.stop_app(deployed_app["hostname"])
    admins.page.clock.fast_forward(REFRESH_MS)
    expect(admins.card(deployed_app["hostname"])).to_have_attribute("data-status", "stopped")
