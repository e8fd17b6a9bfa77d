"""The catalog, and deploying from it."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from e2e_tests.pages.dialogs import TaskDialog
from e2e_tests.pages.view import ViewPage


class AppStorePage(ViewPage):
    """The catalog of apps."""

    SEARCH = "#catalogSearchInput"
    CARDS = ".app-card.catalog-card"

    def card(self, name: str) -> Locator:
        """Return the card of an app by its name."""
        exact = self.page.get_by_role("button", name=name, exact=True)
        return self.page.locator(self.CARDS).filter(has=exact)

    def click_app_card(self, name: str) -> None:
        """Open the deployment dialog of an app."""
        self.card(name).locator(".app-name").click()
        expect(self.page.locator("#deployForm")).to_be_visible()

    def search(self, text: str) -> None:
        """Look for apps."""
        self.page.fill(self.SEARCH, text)

    def names(self) -> list[str]:
        """Return the names of the apps that are shown."""
        return self.page.locator(f"{self.CARDS} .app-name").all_inner_texts()


class DeploymentModalPage(TaskDialog):
    """The dialog that deploys an app."""

    HOSTNAME = "#deployModal #hostname"
    VERSION = "#deployModal #version"
    NODE = "#deployModal #targetNode"
    SUBMIT = "#deployModal [data-action=deploy]"

    def __init__(self, page: Page) -> None:
        super().__init__(page, "deployModal")

    def fill_hostname(self, hostname: str) -> None:
        """Name the app."""
        self.page.fill(self.HOSTNAME, hostname)

    def choose_version(self, version: str) -> None:
        """Choose another version than the newest."""
        self.page.select_option(self.VERSION, version)

    def submit_deployment(self) -> None:
        """Begin."""
        self.page.get_by_role("button", name="Deploy Application").click()

    def wait_for_deployment_success(self, timeout: float = 60_000) -> None:
        """Return once the app runs."""
        self.succeed(timeout)

    def close_modal(self) -> None:
        """Close the dialog."""
        self.close()
