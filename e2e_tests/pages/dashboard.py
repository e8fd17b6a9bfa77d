"""The manager as its owner uses it: apps, their cards, and what is done with them."""

from __future__ import annotations

from playwright.sync_api import Locator, Response, expect

from e2e_tests.pages.dialogs import PATIENCE_MS, ConfirmDialog, TaskDialog
from e2e_tests.pages.view import ViewPage

CHANGES = ("POST", "PUT", "DELETE")


class DashboardPage(ViewPage):
    """Everything that the plan's tests do with apps.

    What begins an operation returns when its outcome is on the page.
    """

    def navigate_to_app_store(self) -> None:
        """Go to the catalog."""
        self.navigate_to("catalog")

    def navigate_to_my_apps(self) -> None:
        """Go to the apps."""
        self.navigate_to("apps")

    def navigate_to_backups(self) -> None:
        """Go to all backups."""
        self.navigate_to("backups")

    # --- cards ------------------------------------------------------------------------------

    def card(self, hostname: str) -> Locator:
        """Return the card of an app."""
        return self.page.locator(f'.app-card.deployed[data-hostname="{hostname}"]')

    def wait_for_app_visible(self, hostname: str) -> None:
        """Return once the app has a card."""
        expect(self.card(hostname)).to_be_visible()

    def is_app_visible(self, hostname: str) -> bool:
        """Tell whether the app has a card now."""
        return self.card(hostname).is_visible()

    def get_app_status(self, hostname: str) -> str:
        """Return the status on the card."""
        return self.card(hostname).get_by_test_id("app-status").inner_text()

    def get_app_version(self, hostname: str) -> str:
        """Return the installed version on the card."""
        return self.card(hostname).get_by_test_id("app-version").inner_text()

    def available_version(self, hostname: str) -> str | None:
        """Return the version that the card offers, if it offers one."""
        offered = self.card(hostname).get_by_test_id("available-version")
        return offered.inner_text() if offered.count() else None

    def note(self, hostname: str) -> str:
        """Return what the card says about the app, once it says something."""
        return self.card(hostname).get_by_test_id("app-note").locator(".clamp").inner_text()

    def choose(self, hostname: str, action: str) -> None:
        """Do something with an app; what is in its menu is found there."""
        button = self.card(hostname).locator(f'[data-action="{action}"]')
        if button.evaluate("button => button.closest('details') !== null"):
            self.card(hostname).locator("summary").click()
        button.click()

    def dialog(self, hostname: str, action: str, id: str) -> TaskDialog:
        """Return the dialog that an action of a card opens."""
        self.choose(hostname, action)
        self.page.wait_for_selector(f"#{id}[open]")
        return TaskDialog(self.page, id)

    def wait_until_settled(
        self, hostname: str, operation: str, timeout: float = PATIENCE_MS
    ) -> None:
        """Return once the card shows how an operation ended."""
        card = self.card(hostname)
        expect(card).to_have_attribute("data-settled", operation, timeout=timeout)
        expect(card).to_have_attribute("aria-busy", "false")

    # --- power ------------------------------------------------------------------------------

    def stop_app(self, hostname: str) -> None:
        """Stop the app."""
        self._act(hostname, "toggle-status")

    def start_app(self, hostname: str) -> None:
        """Start the app."""
        self._act(hostname, "toggle-status")

    def restart_app(self, hostname: str) -> None:
        """Restart the app."""
        self._act(hostname, "restart")

    def _act(self, hostname: str, action: str) -> None:
        with self.page.expect_response(_begins) as answer:
            self.choose(hostname, action)
        assert answer.value.ok, answer.value.text()
        self.wait_until_settled(hostname, answer.value.json()["operation"]["id"])

    def delete_app(self, hostname: str) -> None:
        """Delete the app, sure of it."""
        self.choose(hostname, "delete")
        ConfirmDialog(self.page).accept()
        expect(self.card(hostname)).to_have_count(0, timeout=PATIENCE_MS)

    def open_app_canvas(self, hostname: str) -> None:
        """Open the app inside the manager."""
        self.choose(hostname, "canvas")

    # --- backups ----------------------------------------------------------------------------

    def create_backup(self, hostname: str) -> None:
        """Begin to back the app up, in its dialog."""
        self.choose(hostname, "backups")
        self.page.wait_for_selector('#backupModal[data-loaded="true"]')
        self.page.click('#backupModal [data-action="create-backup"]')
        self.page.wait_for_selector("#backupModal .backup-item")

    def wait_for_backup_complete(self, hostname: str, timeout: float = PATIENCE_MS) -> None:
        """Return once the newest backup is available, and its dialog is closed."""
        dialog = self.page.locator("#backupModal")
        expect(dialog).to_have_attribute("data-busy", "false", timeout=timeout)
        newest = dialog.locator("#backup-list .backup-item").first
        expect(newest.locator(".backup-status")).to_have_text("available")
        dialog.locator(".modal-close").click()
        expect(dialog).to_have_count(0)

    def get_app_backups(self, hostname: str) -> list[dict[str, str]]:
        """Return the app's backups, newest first."""
        self.choose(hostname, "backups")
        self.page.wait_for_selector('#backupModal[data-loaded="true"]')
        items = self.page.locator("#backupModal .backup-item")
        found: list[dict[str, str]] = items.evaluate_all(
            "items => items.map(item => ({id: item.dataset.backupId, status: item.dataset.status}))"
        )
        self.page.click("#backupModal .modal-close")
        expect(self.page.locator("#backupModal")).to_have_count(0)
        return found

    def open_restore(self, backup_id: str) -> TaskDialog:
        """Return the dialog that restores a backup, from the list of all backups."""
        item = self.view("backups").locator(f'.backup-item[data-backup-id="{backup_id}"]')
        item.locator('[data-action="restore"]').click()
        self.page.wait_for_selector("#restoreForm")
        return TaskDialog(self.page, "restoreModal")

    def restore_backup(self, backup_id: str) -> None:
        """Begin to restore a backup as it was."""
        self.open_restore(backup_id)
        self.page.click('[data-action="start-restore"]')

    def wait_for_restore_complete(self, timeout: float = PATIENCE_MS) -> None:
        """Return once the app is back, and the dialog is closed."""
        dialog = TaskDialog(self.page, "restoreModal")
        dialog.succeed(timeout)
        dialog.close()

    # --- updates ----------------------------------------------------------------------------

    def check_for_updates(self, hostname: str) -> bool:
        """Tell whether the catalog has a newer version."""
        dialog = self.dialog(hostname, "update", "updateModal")
        expect(dialog.root).not_to_have_attribute("data-available", "unknown")
        available = dialog.root.get_attribute("data-available") == "true"
        dialog.root.locator(".modal-close").click()
        dialog.root.wait_for(state="detached")
        return available

    def update_app(self, hostname: str) -> None:
        """Begin to update the app to the newest version."""
        self.dialog(hostname, "update", "updateModal")
        self.page.click('[data-action="start-update"]')

    def wait_for_update_complete(self, hostname: str, timeout: float = PATIENCE_MS) -> None:
        """Return once the new version runs, and the card says so."""
        dialog = TaskDialog(self.page, "updateModal")
        operation = dialog.succeed(timeout)
        dialog.close()
        self.wait_until_settled(hostname, operation)


def _begins(response: Response) -> bool:
    """Whether an answer is that to an action on an app."""
    return response.request.method in CHANGES and "/api/v1/apps/" in response.url
