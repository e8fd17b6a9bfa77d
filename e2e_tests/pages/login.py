"""Logging in and registering."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from e2e_tests.pages.view import ViewPage


class LoginPage(ViewPage):
    """The dialog in front of everything."""

    ROOT = "#authModal"
    USERNAME = "#loginUsername"
    PASSWORD = "#loginPassword"
    ERROR = "#loginError"
    NOTICE = "#authNotice"

    def __init__(self, page: Page) -> None:
        super().__init__(page)

    def open(self, url: str) -> None:
        """Go to the manager without being logged in."""
        self.page.goto(url)
        self.page.wait_for_selector(self.ROOT)

    def login(self, username: str, password: str) -> None:
        """Log in, whatever comes of it."""
        self.page.click("#loginTab")
        self.page.fill(self.USERNAME, username)
        self.page.fill(self.PASSWORD, password)
        self.page.click("#loginForm button[type=submit]")

    def register(self, username: str, password: str, email: str = "") -> None:
        """Register, whatever comes of it."""
        self.page.click("#registerTab")
        self.page.fill("#registerUsername", username)
        self.page.fill("#registerEmail", email)
        self.page.fill("#registerPassword", password)
        self.page.click("#registerForm button[type=submit]")

    def wait_until_inside(self) -> None:
        """Return once the dialog is gone and the dashboard has loaded."""
        expect(self.page.locator(self.ROOT)).to_have_count(0)
        self.wait_for_view("dashboard")
