"""The plan's test 3.1, as it stands; its twin is in test_lifecycle_data.py."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from e2e_tests.flows import generate_hostname
from e2e_tests.pages import AppCanvasPage, AppStorePage, DashboardPage, DeploymentModalPage

pytestmark = pytest.mark.usefixtures("tidy")


@pytest.mark.lifecycle
@pytest.mark.critical
@pytest.mark.timeout(600)
def test_full_app_deploy_manage_delete_workflow(authenticated_page: Page):
    """
    🎯 CRITICAL TEST: Full application lifecycle
    
    This test validates EVERY major app operation:
    - Deploy from catalog
    - Lifecycle management (start/stop/restart)
    - Canvas interaction
    - Deletion and cleanup
    """
    page = authenticated_page
    hostname = generate_hostname("lifecycle-test")
    
    # Phase 1: Deploy
    print("\n📦 PHASE 1: Deploy Application")
    dashboard = DashboardPage(page)
    app_store = AppStorePage(page)
    deployment = DeploymentModalPage(page)
    
    dashboard.navigate_to_app_store()
    app_store.click_app_card("Nginx")
    deployment.fill_hostname(hostname)
    deployment.submit_deployment()
    deployment.wait_for_deployment_success(timeout=180000)
    deployment.close_modal()
    
    # Phase 2: Verify Running
    print("\n✅ PHASE 2: Verify App Running")
    dashboard.navigate_to_my_apps()
    dashboard.wait_for_app_visible(hostname)
    status = dashboard.get_app_status(hostname)
    assert status == "running", f"Expected running, got {status}"
    
    # Phase 3: Stop App
    print("\n🛑 PHASE 3: Stop Application")
    dashboard.stop_app(hostname)
    page.wait_for_timeout(5000)
    status = dashboard.get_app_status(hostname)
    assert status == "stopped", f"Expected stopped, got {status}"
    
    # Phase 4: Start App
    print("\n▶️ PHASE 4: Start Application")
    dashboard.start_app(hostname)
    page.wait_for_timeout(5000)
    status = dashboard.get_app_status(hostname)
    assert status == "running", f"Expected running, got {status}"
    
    # Phase 5: Restart App
    print("\n🔄 PHASE 5: Restart Application")
    dashboard.restart_app(hostname)
    page.wait_for_timeout(8000)
    status = dashboard.get_app_status(hostname)
    assert status == "running", f"Expected running, got {status}"
    
    # Phase 6: Open in Canvas
    print("\n🎨 PHASE 6: Open in Canvas")
    canvas = AppCanvasPage(page)
    dashboard.open_app_canvas(hostname)
    canvas.wait_for_canvas_visible()
    canvas.wait_for_iframe_load()
    canvas.close_canvas()
    
    # Phase 7: Delete App
    print("\n🗑️ PHASE 7: Delete Application")
    dashboard.delete_app(hostname)
    page.wait_for_timeout(5000)
    
    # Verify app removed
    assert not dashboard.is_app_visible(hostname), \
        f"App {hostname} should be removed"
    
    print("\n" + "="*80)
    print("✅ LIFECYCLE TEST COMPLETE: ALL PHASES PASSED")
    print("="*80)
