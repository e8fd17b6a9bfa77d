"""Updates that fail: what the dialog and the card say, and what is left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from e2e_tests.flows import generate_hostname
from e2e_tests.manager import ManagerApi
from e2e_tests.pages import DashboardPage

pytestmark = [pytest.mark.update, pytest.mark.usefixtures("tidy")]


@pytest.fixture
def drill(api: ManagerApi) -> dict[str, Any]:
    """An app whose next version never becomes healthy."""
    return api.deploy("update-drill", generate_hostname("drill"), version="1.0")


@pytest.fixture(scope="module")
def rolled_back(api: ManagerApi, admin_api: ManagerApi) -> Iterator[dict[str, Any]]:
    """An app whose update failed some time ago; all may look at it."""
    app = api.deploy("update-drill", generate_hostname("drill"), version="1.0")
    assert api.ended(api.post(f"/apps/{app['id']}/update")["operation"]["id"])["status"] == (
        "rolled_back"
    )
    yield app
    admin_api.remove_app(app["id"])
    for backup in admin_api.get("/backups", per_page=200)["backups"]:
        if backup["app_hostname"] == app["hostname"]:
            admin_api.remove_backup(backup["id"])


@pytest.mark.critical
def test_failed_update_names_its_step_and_what_was_rolled_back(
    authenticated_page: Page, drill: dict[str, Any], api: ManagerApi
) -> None:
    dashboard, hostname = DashboardPage(authenticated_page), drill["hostname"]
    dashboard.navigate_to_my_apps()
    dashboard.update_app(hostname)
    dialog = dashboard.page.locator("#updateModal")
    report = dialog.get_by_test_id("rollback-report")
    expect(report).to_contain_text(f"rolled back: {hostname} is at 1.0 again", timeout=60_000)
    expect(dialog.get_by_test_id("failure-reason")).to_contain_text("not healthy")
    expect(dialog.locator(".progress-step.failed")).to_contain_text("Checking that it is healthy")
    dialog.locator('[data-action="modal-done"]').click()
    expect(dashboard.card(hostname).get_by_test_id("app-note")).to_contain_text("was rolled back")
    assert dashboard.get_app_version(hostname) == "1.0"
    assert dashboard.get_app_status(hostname) == "running"
    assert api.apps()[drill["id"]]["vmid"] == drill["vmid"]


def test_card_explains_later_what_happened(
    authenticated_page: Page, rolled_back: dict[str, Any]
) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    dashboard.card(rolled_back["hostname"]).locator('[data-action="explain"]').click()
    dialog = dashboard.page.locator("#operationModal")
    expect(dialog).to_have_attribute("data-state", "rolled_back")
    expect(dialog.locator(".progress-step.failed")).to_contain_text("Checking that it is healthy")


def test_failed_update_keeps_its_backup(
    authenticated_page: Page, rolled_back: dict[str, Any]
) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    found = dashboard.get_app_backups(rolled_back["hostname"])
    assert [backup["status"] for backup in found] == ["available"]


@pytest.mark.parametrize(
    ("fault", "step"),
    [
        ({"task": "vzdump", "text": "job errors"}, "Making a backup"),
        ({"task": "vzcreate", "text": "no space left"}, "Creating the new container"),
        ({"task": "move_volume", "text": "rename failed", "times": 1}, "Moving the data"),
        ({"task": "vzstart", "text": "startup failed", "times": 1}, "Starting the new container"),
    ],
    ids=["backup", "create", "move", "start"],
)
def test_update_that_proxmox_breaks_is_undone_and_told(
    authenticated_page: Page,
    deployed_app: dict[str, Any],
    proxmox_faults: Any,
    fault: dict[str, Any],
    step: str,
) -> None:
    dashboard, hostname = DashboardPage(authenticated_page), deployed_app["hostname"]
    dashboard.navigate_to_my_apps()
    proxmox_faults.add(effect="task-error", **fault)
    dialog = dashboard.dialog(hostname, "update", "updateModal")
    dashboard.page.click('[data-action="start-update"]')
    assert dialog.wait_for_outcome() == "rolled_back"
    assert [title for title, state in dialog.steps().items() if state == "failed"] == [step]
    expect(dialog.root.get_by_test_id("failure-reason")).to_contain_text(fault["text"])
    operation = dialog.operation_id
    dialog.close()
    dashboard.wait_until_settled(hostname, operation)
    assert dashboard.get_app_version(hostname) == "1.0"
    assert dashboard.get_app_status(hostname) == "running"


def test_card_shows_installed_and_available_version(
    authenticated_page: Page, deployed_app: dict[str, Any]
) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    assert dashboard.get_app_version(deployed_app["hostname"]) == "1.0"
    assert dashboard.available_version(deployed_app["hostname"]) == "2.0"


def test_newest_version_offers_no_update(authenticated_page: Page, api: ManagerApi) -> None:
    hostname = api.deploy("nginx", generate_hostname("nginx"))["hostname"]
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    assert dashboard.available_version(hostname) is None
    assert not dashboard.check_for_updates(hostname)


def test_update_dialog_shows_each_step(
    authenticated_page: Page, deployed_app: dict[str, Any]
) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    dialog = dashboard.dialog(deployed_app["hostname"], "update", "updateModal")
    expect(dialog.root.get_by_test_id("installed-version")).to_have_text("1.0")
    expect(dialog.root.get_by_test_id("newest-version")).to_have_text("2.0")
    dashboard.page.click('[data-action="start-update"]')
    dialog.succeed()
    steps = dialog.steps()
    assert set(steps.values()) == {"complete"}
    assert list(steps)[1] == "Making a backup"
    assert list(steps)[-1] == "Removing the former container"


def test_updated_app_goes_back_when_asked(
    authenticated_page: Page, deployed_app: dict[str, Any]
) -> None:
    dashboard, hostname = DashboardPage(authenticated_page), deployed_app["hostname"]
    dashboard.navigate_to_my_apps()
    dashboard.update_app(hostname)
    dashboard.wait_for_update_complete(hostname)
    dialog = dashboard.dialog(hostname, "rollback", "rollbackModal")
    dashboard.page.click('[data-action="start-rollback"]')
    operation = dialog.succeed()
    dialog.close()
    dashboard.wait_until_settled(hostname, operation)
    assert dashboard.get_app_version(hostname) == "1.0"
