"""Backups: made, protected, deleted, restored beside or over what there is."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from e2e_tests.manager import ManagerApi
from e2e_tests.pages import ConfirmDialog, DashboardPage

pytestmark = [pytest.mark.backup, pytest.mark.usefixtures("tidy")]


@pytest.fixture
def backup(api: ManagerApi, deployed_app: dict[str, Any]) -> str:
    """A backup of the test's own app."""
    operation = api.done(api.post(f"/apps/{deployed_app['id']}/backups"))
    return str(operation["backup_id"])


@pytest.mark.critical
def test_restore_over_an_app_is_refused_unless_asked_for(
    authenticated_page: Page, deployed_app: dict[str, Any], backup: str, api: ManagerApi
) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_backups()
    dashboard.restore_backup(backup)
    dialog = dashboard.page.locator("#restoreModal")
    expect(dialog.get_by_test_id("form-error")).to_contain_text(deployed_app["hostname"])
    assert api.apps()[deployed_app["id"]]["vmid"] == deployed_app["vmid"]
    dialog.locator("#restoreOverwrite").check()
    dialog.locator('[data-action="start-restore"]').click()
    dashboard.wait_for_restore_complete()
    assert api.apps()[deployed_app["id"]]["status"] == "running"


def test_restore_under_another_name_makes_a_second_app(
    authenticated_page: Page, deployed_app: dict[str, Any], backup: str
) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_backups()
    dialog = dashboard.open_restore(backup)
    second = f"{deployed_app['hostname']}-2"
    dashboard.page.fill("#restoreHostname", second)
    dashboard.page.click('[data-action="start-restore"]')
    dialog.succeed()
    dialog.close()
    dashboard.navigate_to_my_apps()
    assert dashboard.get_app_status(deployed_app["hostname"]) == "running"
    assert dashboard.get_app_status(second) == "running"


def test_restore_to_a_hostname_that_cannot_be_is_refused(
    authenticated_page: Page, backup: str
) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_backups()
    dialog = dashboard.open_restore(backup)
    dashboard.page.fill("#restoreHostname", "under_score")
    dashboard.page.click('[data-action="start-restore"]')
    assert "under_score" in dialog.refusal()


def test_backups_of_a_deleted_app_stay(
    authenticated_page: Page, deployed_app: dict[str, Any], backup: str
) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    dashboard.delete_app(deployed_app["hostname"])
    dashboard.navigate_to_backups()
    item = dashboard.view("backups").locator(f'[data-backup-id="{backup}"]')
    expect(item).to_contain_text("app deleted")
    expect(item.locator(".backup-status")).to_have_text("available")


def test_protected_backup_cannot_be_deleted(authenticated_page: Page, backup: str) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_backups()
    item = dashboard.view("backups").locator(f'[data-backup-id="{backup}"]')
    item.locator('[data-action="protect"]').click()
    expect(item).to_contain_text("protected")
    expect(item.locator('[data-action="delete"]')).to_be_disabled()
    item.locator('[data-action="protect"]').click()
    expect(item.locator('[data-action="delete"]')).to_be_enabled()


def test_deleted_backup_is_gone(authenticated_page: Page, backup: str, api: ManagerApi) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_backups()
    item = dashboard.view("backups").locator(f'[data-backup-id="{backup}"]')
    item.locator('[data-action="delete"]').click()
    ConfirmDialog(dashboard.page).refuse()
    expect(item).to_be_visible()
    item.locator('[data-action="delete"]').click()
    ConfirmDialog(dashboard.page).accept()
    expect(item).to_have_count(0)
    assert int(backup) not in api.backup_ids()


def test_backup_that_fails_says_why(
    authenticated_page: Page, deployed_app: dict[str, Any], proxmox_faults: Any
) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    proxmox_faults.add(effect="task-error", task="vzdump", text="no space left on device")
    dashboard.create_backup(deployed_app["hostname"])
    item = dashboard.page.locator("#backupModal .backup-item")
    expect(item.locator(".backup-status")).to_have_text("failed", timeout=60_000)
    expect(item).to_contain_text("no space left on device")


def test_backups_are_found_by_their_app(authenticated_page: Page, backup: str) -> None:
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_backups()
    items = dashboard.view("backups").locator(".backup-item")
    dashboard.page.fill("#backupsSearchInput", "nobody has this")
    expect(items).to_have_count(0)
    dashboard.page.fill("#backupsSearchInput", "nginx")
    expect(items.first).to_be_visible()
