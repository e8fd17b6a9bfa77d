"""What the plan's tests call before they begin: names, and apps that are there."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from playwright.sync_api import Page

from e2e_tests.pages import AppStorePage, DashboardPage, DeploymentModalPage

NAMES = {"nginx": "Nginx", "update-drill": "Update Drill", "couchdb": "CouchDB"}


def generate_hostname(name: str) -> str:
    """Return a hostname that nothing else has."""
    return f"{name}-e2e-{datetime.now(UTC):%Y%m%d%H%M}-{secrets.token_hex(3)}"


def deploy_test_app(page: Page, catalog_id: str) -> str:
    """Deploy the newest version of an app by its dialog, and return its hostname."""
    return _deploy(page, catalog_id, None)


def deploy_app_version(page: Page, catalog_id: str, version: str) -> str:
    """Deploy one version of an app by its dialog, and return its hostname."""
    return _deploy(page, catalog_id, version)


def _deploy(page: Page, catalog_id: str, version: str | None) -> str:
    hostname = generate_hostname(catalog_id)
    DashboardPage(page).navigate_to_app_store()
    AppStorePage(page).click_app_card(NAMES[catalog_id])
    dialog = DeploymentModalPage(page)
    dialog.fill_hostname(hostname)
    if version is not None:
        dialog.choose_version(version)
    dialog.submit_deployment()
    dialog.wait_for_deployment_success()
    dialog.close_modal()
    return hostname
