"""The plan's test 3.2, as it stands; its twin is in test_lifecycle_data.py."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from e2e_tests.flows import deploy_test_app
from e2e_tests.pages import DashboardPage

pytestmark = pytest.mark.usefixtures("tidy")


@pytest.mark.backup
@pytest.mark.critical
def test_backup_and_restore_workflow(authenticated_page: Page):
    """Test complete backup/restore cycle"""
    
    # 1. Deploy test app
    hostname = deploy_test_app(authenticated_page, "nginx")
    
    # 2. Create backup
    dashboard = DashboardPage(authenticated_page)
    dashboard.navigate_to_my_apps()
    dashboard.create_backup(hostname)
    dashboard.wait_for_backup_complete(hostname, timeout=120000)
    
    # 3. Verify backup exists
    backups = dashboard.get_app_backups(hostname)
    assert len(backups) > 0, "No backups found"
    backup_id = backups[0]['id']
    
    # 4. Delete app
    dashboard.delete_app(hostname)
    assert not dashboard.is_app_visible(hostname)
    
    # 5. Restore from backup
    dashboard.navigate_to_backups()
    dashboard.restore_backup(backup_id)
    dashboard.wait_for_restore_complete(timeout=180000)
    
    # 6. Verify app restored
    dashboard.navigate_to_my_apps()
    assert dashboard.is_app_visible(hostname)
    assert dashboard.get_app_status(hostname) == "running"
