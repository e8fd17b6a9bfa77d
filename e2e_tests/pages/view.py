"""The views, and how one gets from one to another."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

VIEWS = ("dashboard", "apps", "catalog", "nodes", "monitoring", "settings", "backups")


class ViewPage:
    """One page of the manager; what it shows is a view."""

    ACCOUNT = "#account"
    MAIN = "main"

    def __init__(self, page: Page) -> None:
        self.page = page

    def view(self, name: str) -> Locator:
        """Return a view's section."""
        return self.page.locator(f"#{name}View")

    def link(self, name: str) -> Locator:
        """Return the link that leads to a view."""
        return self.page.locator(f'[data-view="{name}"]')

    def navigate_to(self, name: str) -> None:
        """Go to a view by its link, and wait until it has loaded."""
        self.link(name).click()
        self.wait_for_view(name)

    def wait_for_view(self, name: str) -> None:
        """Return once a view is shown and has loaded; a view that failed to load fails at once."""
        state = self.page.wait_for_function(
            """name => {
              const view = document.getElementById(`${name}View`);
              const state = view.checkVisibility() ? view.dataset.loaded : "false";
              return state !== "false" && state;
            }""",
            arg=name,
        ).json_value()
        assert state == "true", f"the view {name} failed to load: {self.view(name).inner_text()}"

    def is_only_view(self, name: str) -> bool:
        """Tell whether this view is shown, its link is marked, and no other."""
        shown = [other for other in VIEWS if self.view(other).is_visible()]
        marked = self.page.locator("[data-view].active").evaluate_all(
            "links => links.map(link => link.dataset.view)"
        )
        return shown == [name] and marked == [name]

    def toast(self, text: str) -> None:
        """Return once a short message with this text is shown."""
        expect(self.page.get_by_test_id("toast").filter(has_text=text).first).to_be_visible()
