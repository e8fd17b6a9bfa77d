"""What the menu of an app has: clone, resources, volumes, log, console; and deploying badly."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from e2e_tests.flows import generate_hostname
from e2e_tests.manager import ManagerApi
from e2e_tests.pages import AppStorePage, ConfirmDialog, DashboardPage, DeploymentModalPage


@pytest.fixture
def dashboard(authenticated_page: Page, site: dict[str, Any]) -> DashboardPage:
    """The apps, one of which all may look at."""
    found = DashboardPage(authenticated_page)
    found.navigate_to_my_apps()
    return found


@pytest.fixture
def deployment(authenticated_page: Page, tidy: None) -> DeploymentModalPage:
    """The dialog that deploys Nginx."""
    DashboardPage(authenticated_page).navigate_to_app_store()
    AppStorePage(authenticated_page).click_app_card("Nginx")
    return DeploymentModalPage(authenticated_page)


# --- deploying ----------------------------------------------------------------------------------


@pytest.mark.smoke
def test_deployment_shows_its_steps_and_opens_the_app(deployment: DeploymentModalPage) -> None:
    hostname = generate_hostname("nginx")
    deployment.fill_hostname(hostname)
    deployment.submit_deployment()
    deployment.wait_for_deployment_success()
    assert set(deployment.steps().values()) == {"complete"}
    deployment.page.click('[data-action="show-deployed"]')
    expect(deployment.page.locator("#canvasModal")).to_have_attribute("data-state", "loaded")


@pytest.mark.parametrize("hostname", ["under_score", "-dash", "two words", "ünïcode"])
def test_hostname_that_cannot_be_is_refused(deployment: DeploymentModalPage, hostname: str) -> None:
    deployment.fill_hostname(hostname)
    deployment.submit_deployment()
    assert deployment.refusal()
    expect(deployment.root).to_have_attribute("data-state", "form")


def test_hostname_that_is_taken_is_refused(
    deployment: DeploymentModalPage, deployed_app: dict[str, Any]
) -> None:
    deployment.fill_hostname(deployed_app["hostname"])
    deployment.submit_deployment()
    assert deployed_app["hostname"] in deployment.refusal()


def test_deployment_that_proxmox_breaks_leaves_nothing(
    deployment: DeploymentModalPage, proxmox_faults: Any, api: ManagerApi
) -> None:
    proxmox_faults.add(effect="task-error", task="vzstart", text="startup for container failed")
    hostname = generate_hostname("nginx")
    deployment.fill_hostname(hostname)
    deployment.submit_deployment()
    assert deployment.wait_for_outcome() == "rolled_back"
    expect(deployment.root.get_by_test_id("failure-reason")).to_contain_text("startup")
    deployment.close()
    assert hostname not in [app["hostname"] for app in api.apps().values()]


def test_chosen_resources_are_those_of_the_app(
    deployment: DeploymentModalPage, api: ManagerApi
) -> None:
    hostname = generate_hostname("nginx")
    deployment.fill_hostname(hostname)
    deployment.page.click("#deployModal summary >> text=Resources")
    deployment.page.fill("#deployCpu", "3")
    deployment.page.fill("#deployMemory", "768")
    deployment.submit_deployment()
    deployment.wait_for_deployment_success()
    app = next(app for app in api.apps().values() if app["hostname"] == hostname)
    assert (app["cores"], app["memory_mib"]) == (3, 768)


def test_dialog_can_be_left_while_the_app_is_deployed(deployment: DeploymentModalPage) -> None:
    hostname = generate_hostname("nginx")
    deployment.fill_hostname(hostname)
    deployment.submit_deployment()
    deployment.page.wait_for_selector("#progressSteps")
    deployment.close_modal()
    dashboard = DashboardPage(deployment.page)
    dashboard.navigate_to_my_apps()
    dashboard.wait_for_app_visible(hostname)
    expect(dashboard.card(hostname)).to_have_attribute("data-status", "running", timeout=60_000)


def test_catalog_is_searched_and_filtered(authenticated_page: Page) -> None:
    store = AppStorePage(authenticated_page)
    store.navigate_to("catalog")
    everything = store.names()
    store.search("git server")
    expect(store.page.locator(store.CARDS)).to_have_count(1)
    assert store.names() == ["Gitea"]
    store.search("")
    store.page.click('[data-category="monitoring"]')
    expect(store.card("Grafana")).to_be_visible()
    assert 0 < len(store.names()) < len(everything)


# --- the menu -----------------------------------------------------------------------------------


@pytest.mark.clone
@pytest.mark.usefixtures("tidy")
def test_clone_of_a_running_app_runs_beside_it(
    authenticated_page: Page, deployed_app: dict[str, Any]
) -> None:
    dashboard, hostname = DashboardPage(authenticated_page), deployed_app["hostname"]
    dashboard.navigate_to_my_apps()
    dialog = dashboard.dialog(hostname, "clone", "cloneModal")
    expect(dashboard.page.locator("#cloneHostname")).to_have_value(f"{hostname}-copy")
    dashboard.page.click('[data-action="start-clone"]')
    dialog.succeed()
    dialog.close()
    dashboard.navigate_to_my_apps()
    assert dashboard.get_app_status(hostname) == "running"
    assert dashboard.get_app_status(f"{hostname}-copy") == "running"


@pytest.mark.clone
def test_clone_under_its_own_name_is_refused(dashboard: DashboardPage, site: Any) -> None:
    dialog = dashboard.dialog(site["hostname"], "clone", "cloneModal")
    dashboard.page.fill("#cloneHostname", site["hostname"])
    dashboard.page.click('[data-action="start-clone"]')
    assert site["hostname"] in dialog.refusal()


@pytest.mark.config
def test_resources_are_changed(
    authenticated_page: Page, deployed_app: dict[str, Any], api: ManagerApi
) -> None:
    dashboard, hostname = DashboardPage(authenticated_page), deployed_app["hostname"]
    dashboard.navigate_to_my_apps()
    dialog = dashboard.dialog(hostname, "edit-config", "editConfigModal")
    dashboard.page.fill("#editCpu", "2")
    dashboard.page.fill("#editMemory", "1024")
    dashboard.page.fill("#editDisk", "6")
    dashboard.page.click('[data-action="save-config"]')
    dialog.succeed()
    app = api.apps()[deployed_app["id"]]
    assert (app["cores"], app["memory_mib"], app["disk_gib"]) == (2, 1024, 6)
    assert app["status"] == "running"


@pytest.mark.config
def test_disk_cannot_shrink(dashboard: DashboardPage, site: dict[str, Any]) -> None:
    dashboard.dialog(site["hostname"], "edit-config", "editConfigModal")
    least = dashboard.page.locator("#editDisk").get_attribute("min")
    assert least == str(site["disk_gib"])


@pytest.mark.config
def test_nothing_to_change_is_told(dashboard: DashboardPage, site: dict[str, Any]) -> None:
    dialog = dashboard.dialog(site["hostname"], "edit-config", "editConfigModal")
    dashboard.page.click('[data-action="save-config"]')
    assert "parameter" in dialog.refusal()


def test_volumes_show_system_and_data(dashboard: DashboardPage, site: dict[str, Any]) -> None:
    dialog = dashboard.dialog(site["hostname"], "volumes", "volumesModal")
    expect(dialog.root.locator('[data-volume="rootfs"]')).to_contain_text("local-lvm")
    expect(dialog.root.locator('[data-volume="mp0"]')).to_contain_text("/usr/share/nginx/html")


def test_log_tells_what_was_done(dashboard: DashboardPage, site: dict[str, Any]) -> None:
    dialog = dashboard.dialog(site["hostname"], "view-logs", "logsModal")
    expect(dialog.root.locator("#logOutput")).to_contain_text("Starting")


@pytest.mark.parametrize(
    ("command", "told"),
    [("status", "running"), ("config", "rootfs"), ("network", "address"), ("tasks", "vzstart")],
)
def test_console_asks_the_container(
    dashboard: DashboardPage, site: dict[str, Any], command: str, told: str
) -> None:
    dialog = dashboard.dialog(site["hostname"], "console", "consoleModal")
    dialog.root.locator(f'[data-command="{command}"].chip').click()
    output = dialog.root.locator(f'#consoleOutput[data-command="{command}"]')
    expect(output).to_contain_text(told)


def test_deletion_that_is_not_confirmed_does_nothing(
    dashboard: DashboardPage, site: dict[str, Any], api: ManagerApi
) -> None:
    dashboard.choose(site["hostname"], "delete")
    ConfirmDialog(dashboard.page).refuse()
    assert dashboard.is_app_visible(site["hostname"])
    assert site["id"] in api.apps()


def test_deletion_that_fails_keeps_the_app(
    authenticated_page: Page, deployed_app: dict[str, Any], proxmox_faults: Any, api: ManagerApi
) -> None:
    dashboard, hostname = DashboardPage(authenticated_page), deployed_app["hostname"]
    dashboard.navigate_to_my_apps()
    proxmox_faults.add(effect="task-error", task="vzdestroy", text="dataset is busy")
    dashboard.choose(hostname, "delete")
    ConfirmDialog(dashboard.page).accept()
    dashboard.toast("dataset is busy")
    assert deployed_app["id"] in api.apps()


def test_apps_are_searched_and_filtered(dashboard: DashboardPage, site: dict[str, Any]) -> None:
    card = dashboard.card(site["hostname"])
    dashboard.page.fill("#appsSearchInput", "nobody")
    expect(card).to_have_count(0)
    dashboard.page.fill("#appsSearchInput", "nginx show")
    expect(card).to_be_visible()
    dashboard.page.click('[data-filter="stopped"]')
    expect(card).to_have_count(0)
    dashboard.page.click('[data-filter="running"]')
    expect(card).to_be_visible()
