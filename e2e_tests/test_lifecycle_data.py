"""The whole life of an app, with data that is there at each turn."""

from __future__ import annotations

import secrets

import pytest
from playwright.sync_api import Page

from e2e_tests.flows import deploy_app_version, deploy_test_app
from e2e_tests.pages import AppCanvasPage, DashboardPage

pytestmark = [pytest.mark.lifecycle, pytest.mark.critical, pytest.mark.usefixtures("tidy")]


def put(page: Page, hostname: str, content: bytes) -> None:
    """Have the app store ``content``, in its canvas."""
    canvas = AppCanvasPage(page)
    DashboardPage(page).open_app_canvas(hostname)
    canvas.wait_for_iframe_load()
    canvas.write("kept.bin", content)
    canvas.close_canvas()


def kept(page: Page, hostname: str) -> bytes:
    """Return what the app has stored, as its canvas gives it."""
    canvas = AppCanvasPage(page)
    DashboardPage(page).open_app_canvas(hostname)
    canvas.wait_for_iframe_load()
    content = canvas.read("kept.bin")
    canvas.close_canvas()
    return content


def test_data_outlives_stop_start_and_restart(authenticated_page: Page) -> None:
    page, dashboard = authenticated_page, DashboardPage(authenticated_page)
    hostname, content = deploy_test_app(page, "nginx"), secrets.token_bytes(3000)
    dashboard.navigate_to_my_apps()
    put(page, hostname, content)
    dashboard.stop_app(hostname)
    assert dashboard.get_app_status(hostname) == "stopped"
    dashboard.start_app(hostname)
    assert dashboard.get_app_status(hostname) == "running"
    assert kept(page, hostname) == content
    dashboard.restart_app(hostname)
    assert kept(page, hostname) == content


@pytest.mark.backup
def test_restored_app_has_the_bytes_of_its_backup(authenticated_page: Page) -> None:
    page, dashboard = authenticated_page, DashboardPage(authenticated_page)
    hostname, content = deploy_test_app(page, "nginx"), secrets.token_bytes(3000)
    dashboard.navigate_to_my_apps()
    put(page, hostname, content)
    dashboard.create_backup(hostname)
    dashboard.wait_for_backup_complete(hostname)
    backup_id = dashboard.get_app_backups(hostname)[0]["id"]
    put(page, hostname, b"written after the backup")
    dashboard.delete_app(hostname)
    dashboard.navigate_to_backups()
    dashboard.restore_backup(backup_id)
    dashboard.wait_for_restore_complete()
    dashboard.navigate_to_my_apps()
    assert kept(page, hostname) == content


@pytest.mark.update
def test_updated_app_has_the_bytes_from_before(authenticated_page: Page) -> None:
    page, dashboard = authenticated_page, DashboardPage(authenticated_page)
    hostname, content = deploy_app_version(page, "nginx", "1.0"), secrets.token_bytes(3000)
    dashboard.navigate_to_my_apps()
    put(page, hostname, content)
    dashboard.update_app(hostname)
    dashboard.wait_for_update_complete(hostname)
    assert dashboard.get_app_version(hostname) == "2.0"
    assert kept(page, hostname) == content


@pytest.mark.update
def test_rolled_back_update_leaves_the_bytes_alone(authenticated_page: Page) -> None:
    page, dashboard = authenticated_page, DashboardPage(authenticated_page)
    hostname, content = deploy_app_version(page, "update-drill", "1.0"), secrets.token_bytes(3000)
    dashboard.navigate_to_my_apps()
    put(page, hostname, content)
    dialog = dashboard.dialog(hostname, "update", "updateModal")
    page.click('[data-action="start-update"]')
    assert dialog.wait_for_outcome() == "rolled_back"
    dialog.close()
    assert kept(page, hostname) == content


@pytest.mark.clone
def test_clone_has_the_bytes_of_its_source(authenticated_page: Page) -> None:
    page, dashboard = authenticated_page, DashboardPage(authenticated_page)
    hostname, content = deploy_test_app(page, "nginx"), secrets.token_bytes(3000)
    dashboard.navigate_to_my_apps()
    put(page, hostname, content)
    dialog = dashboard.dialog(hostname, "clone", "cloneModal")
    page.fill("#cloneHostname", f"{hostname}-2")
    page.click('[data-action="start-clone"]')
    dialog.succeed()
    dialog.close()
    dashboard.navigate_to_my_apps()
    assert kept(page, f"{hostname}-2") == content
    put(page, f"{hostname}-2", b"the copy's own")
    assert kept(page, hostname) == content
