"""The plan's test 3.3, as it stands; its twin is in test_lifecycle_data.py."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from e2e_tests.flows import deploy_app_version
from e2e_tests.pages import DashboardPage

pytestmark = pytest.mark.usefixtures("tidy")


@pytest.mark.update
@pytest.mark.critical
def test_app_update_workflow(authenticated_page: Page):
    """Test application update process"""
    
    # Setup: Deploy app with "old" version
    hostname = deploy_app_version(authenticated_page, "nginx", version="1.0")
    
    # Check for updates
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    
    has_update = dashboard.check_for_updates(hostname)
    assert has_update, "Should detect available update"
    
    # Execute update
    dashboard.update_app(hostname)
    dashboard.wait_for_update_complete(hostname, timeout=120000)
    
    # Verify update
    new_version = dashboard.get_app_version(hostname)
    assert new_version == "2.0", f"Expected v2.0, got {new_version}"
    
    status = dashboard.get_app_status(hostname)
    assert status == "running", "App should be running after update"
