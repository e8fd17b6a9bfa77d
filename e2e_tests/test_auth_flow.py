"""Logging in, out, and being logged out: the only tests that log in by hand."""

from __future__ import annotations

import secrets

import pytest
from playwright.sync_api import Page, expect

from e2e_tests.manager import ManagerApi
from e2e_tests.pages import LoginPage, ViewPage
from pytest_proxmox.browser import Account, AuthFlow

pytestmark = pytest.mark.auth
LAYERS = (
    "token present",
    "modal gone",
    "dashboard visible",
    "user shown",
    "network quiet",
    "app initialised",
    "API healthy",
)


@pytest.fixture
def login(page: Page, base_url: str, apis: dict[str, ManagerApi]) -> LoginPage:
    """The login dialog, on a manager that has users."""
    found = LoginPage(page)
    found.open(base_url)
    return found


@pytest.mark.smoke
def test_login_by_the_dialog_leads_to_the_dashboard(
    login: LoginPage, accounts: dict[str, Account]
) -> None:
    account = accounts["user"]
    login.login(account.username, account.password)
    login.wait_until_inside()
    expect(login.page.get_by_test_id("user")).to_have_text(account.username)
    assert login.page.evaluate("window.Auth.isAuthenticated()")


def test_login_by_the_dialog_passes_all_layers(
    login: LoginPage, accounts: dict[str, Account], auth_flow: AuthFlow
) -> None:
    account = accounts["user"]
    login.login(account.username, account.password)
    auth_flow.timeline.clear()
    auth_flow.verify(login.page)
    assert {passed.step for passed in auth_flow.timeline} >= set(LAYERS) - {"network quiet"}
    assert {passed.outcome for passed in auth_flow.timeline} == {"ok"}


def test_wrong_password_is_refused_and_told(login: LoginPage, accounts: dict[str, Account]) -> None:
    login.login(accounts["user"].username, "not the password")
    expect(login.page.locator(login.ERROR)).to_be_visible()
    assert not login.page.evaluate("window.Auth.isAuthenticated()")
    login.login(accounts["user"].username, accounts["user"].password)
    login.wait_until_inside()


def test_registering_logs_in_as_a_user_and_no_admin(login: LoginPage) -> None:
    name = f"new-{secrets.token_hex(3)}"
    login.register(name, "long enough 1", f"{name}@example.com")
    login.wait_until_inside()
    expect(login.page.get_by_test_id("user")).to_have_text(name)
    expect(login.page.get_by_test_id("role")).to_be_hidden()


def test_name_that_is_taken_is_refused(login: LoginPage, accounts: dict[str, Account]) -> None:
    login.register(accounts["user"].username, "long enough 1")
    expect(login.page.locator("#registerError")).to_contain_text("taken")


def test_short_password_is_not_sent(login: LoginPage) -> None:
    login.register("somebody-new", "short")
    field = login.page.locator("#registerPassword")
    assert field.evaluate("field => field.validity.tooShort")
    expect(login.page.locator(login.ROOT)).to_be_visible()


def test_escape_does_not_let_in(login: LoginPage) -> None:
    login.page.keyboard.press("Escape")
    login.page.keyboard.press("Escape")
    expect(login.page.locator(login.ROOT)).to_be_visible()


def test_tabs_are_used_by_arrow_keys(login: LoginPage) -> None:
    login.page.focus("#loginTab")
    login.page.keyboard.press("ArrowRight")
    expect(login.page.locator("#registerTab")).to_be_focused()
    expect(login.page.locator("#registerForm")).to_be_visible()


def test_logout_forgets_the_token_and_asks_again(authenticated_page: Page) -> None:
    page = authenticated_page
    page.click('[data-action="logout"]')
    expect(page.locator(LoginPage.ROOT)).to_be_visible()
    assert page.evaluate("localStorage.getItem('token')") is None
    expect(page.locator(".user-info")).to_be_hidden()


def test_logout_in_another_tab_reaches_this_one(authenticated_page: Page, base_url: str) -> None:
    other = authenticated_page.context.new_page()
    other.goto(base_url)
    ViewPage(other).wait_for_view("dashboard")
    other.click('[data-action="logout"]')
    expect(authenticated_page.locator(LoginPage.NOTICE)).to_contain_text("another tab")


@pytest.mark.parametrize("view", ["apps", "backups", "monitoring"])
def test_expired_session_asks_again_and_goes_on_where_it_was(
    authenticated_page: Page, accounts: dict[str, Account], view: str
) -> None:
    page, login = authenticated_page, LoginPage(authenticated_page)
    login.navigate_to(view)
    page.evaluate("localStorage.setItem('token', 'old')")
    login.link(view).click()
    expect(page.locator(login.NOTICE)).to_contain_text("session has ended")
    login.login(accounts["user"].username, accounts["user"].password)
    login.wait_for_view(view)
    assert login.is_only_view(view)


def test_old_access_token_is_renewed_unseen(login: LoginPage, accounts: dict[str, Account]) -> None:
    login.login(accounts["user"].username, accounts["user"].password)
    login.wait_until_inside()
    login.page.evaluate("localStorage.setItem('token', 'old')")
    with login.page.expect_response("**/auth/refresh") as renewed:
        login.navigate_to("apps")
    assert renewed.value.ok
    assert login.page.evaluate("localStorage.getItem('token')") != "old"
    expect(login.page.locator(login.ROOT)).to_have_count(0)


def test_user_who_is_locked_out_is_asked_again(
    page: Page, base_url: str, admin_api: ManagerApi
) -> None:
    account = Account(f"short-{secrets.token_hex(3)}", "long enough 1")
    ManagerApi(base_url, account).enter(register=True)
    flow = AuthFlow(accounts=lambda role: account)
    flow.open(page, base_url)
    number = next(u["id"] for u in admin_api.get("/users") if u["username"] == account.username)
    admin_api.call("PATCH", f"/users/{number}", json={"is_active": False})
    page.reload()
    expect(page.locator(LoginPage.NOTICE)).to_contain_text("session has ended")


def test_password_is_changed_in_the_settings(
    page: Page, base_url: str, admin_api: ManagerApi
) -> None:
    account = Account(f"pass-{secrets.token_hex(3)}", "long enough 1")
    ManagerApi(base_url, account).enter(register=True)
    AuthFlow(accounts=lambda role: account).open(page, base_url)
    ViewPage(page).navigate_to("settings")
    page.fill("#oldPassword", account.password)
    page.fill("#newPassword", "even longer 22")
    page.click('[data-action="change-password"]')
    ViewPage(page).toast("password was changed")
    changed = ManagerApi(base_url, Account(account.username, "even longer 22")).enter()
    assert changed.get("/auth/me")["username"] == account.username


def test_address_is_kept_through_the_login(
    page: Page, base_url: str, accounts: dict[str, Account], apis: dict[str, ManagerApi]
) -> None:
    login = LoginPage(page)
    login.open(f"{base_url}/nodes")
    login.login(accounts["user"].username, accounts["user"].password)
    login.wait_for_view("nodes")
    assert login.is_only_view("nodes")


def test_each_page_gets_the_login_of_its_role(
    admin_authenticated_page: Page, accounts: dict[str, Account]
) -> None:
    page = admin_authenticated_page
    expect(page.get_by_test_id("user")).to_have_text(accounts["admin"].username)
    expect(page.get_by_test_id("role")).to_be_visible()
