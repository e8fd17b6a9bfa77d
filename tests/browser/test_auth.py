"""Logins: once per role, proven for each page, and a failure that names its layer."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from pytest_proxmox.browser import (
    Account,
    AuthFailed,
    AuthFlow,
    BearerLogin,
    CookieLogin,
    Layer,
    PveTicketLogin,
    ambiguous_selectors,
    seven_layers,
)
from pytest_proxmox.errors import UserMistake
from pytest_proxmox.fixtures.embedded import EmbeddedProxmox

ADMIN = Account("admin", "admin-secret-1")


def _admin(role: str) -> Account:
    return ADMIN


@pytest.fixture
def flow() -> AuthFlow:
    """A flow that nobody has used."""
    return AuthFlow(accounts=_admin)


def test_authenticated_page_is_ready(authenticated_page: Page, page: Page) -> None:
    assert authenticated_page is page
    assert page.locator(".user-info").inner_text().startswith("e2e-")
    assert page.evaluate("window.AppManager.isInitialized && window.Auth.isAuthenticated()")


def test_second_test_uses_the_same_login(authenticated_page: Page, auth_flow: AuthFlow) -> None:
    steps = [passed.step for passed in auth_flow.timeline]
    login = "login still good" if "log in" not in steps else "log in"  # alone, it is the first
    assert steps.index(login) < steps.index("token present")
    name = authenticated_page.locator(".user-info").inner_text()
    assert name == auth_flow.logins["user"].account.username


def test_login_is_made_once_and_again_only_when_it_expired(
    flow: AuthFlow, page: Page, base_url: str
) -> None:
    flow.open(page, base_url)
    first = flow.logins["user"]
    flow.open(page, base_url)
    assert flow.logins["user"] is first
    page.request.post(f"{base_url}/api/v1/auth/expire")
    flow.open(page, base_url)
    assert flow.logins["user"] is not first
    steps = [(passed.step, passed.outcome) for passed in flow.timeline][:4]
    assert steps == [
        ("open", "ok"),  # with the old login: whether it holds is asked while the page loads
        ("login still good", "missing"),
        ("log in", "ok"),
        ("open", "ok"),
    ]
    assert page.locator(".user-info").inner_text() == "admin"


def test_roles_have_logins_of_their_own(page: Page, base_url: str) -> None:
    ann = Account("ann", "ann-secret-1", is_new=True)
    flow = AuthFlow(accounts=lambda role: ADMIN if role == "admin" else ann)
    flow.open(page, base_url, role="user")
    assert page.locator(".user-info").inner_text() == "ann"
    flow.open(page, base_url, role="admin")
    assert page.locator(".user-info").inner_text() == "admin"


def test_wrong_password_fails_at_the_login_with_the_apps_answer(page: Page, base_url: str) -> None:
    flow = AuthFlow(accounts=lambda role: Account("admin", "wrong-pass"))
    with pytest.raises(AuthFailed, match="wrong user or password") as caught:
        flow.open(page, base_url)
    assert caught.value.layer == "login"
    assert "wrong-pass" not in str(caught.value)


def test_taken_name_fails_at_the_registration(page: Page, base_url: str) -> None:
    flow = AuthFlow(accounts=lambda role: Account("admin", "other-pass", is_new=True))
    with pytest.raises(AuthFailed, match="username is taken") as caught:
        flow.open(page, base_url)
    assert caught.value.layer == "register"


def test_missing_layer_fails_by_name_with_evidence_and_time_line(page: Page, base_url: str) -> None:
    never = Layer("stars visible", "false", "'only ' + document.title", timeout_s=0.2)
    flow = AuthFlow(accounts=_admin, layers=[*seven_layers(), never])
    with pytest.raises(AuthFailed, match="stars visible") as caught:
        flow.open(page, base_url)
    assert caught.value.layer == "stars visible"
    assert caught.value.evidence.startswith("only Demo")
    assert "ok      API healthy" in str(caught.value)
    assert flow.logins["user"].secrets[0] not in str(caught.value)


def test_optional_layer_costs_its_time_and_no_more(page: Page, base_url: str) -> None:
    maybe = Layer("stars visible", "false", required=False, timeout_s=0.2)
    flow = AuthFlow(accounts=_admin, layers=[*seven_layers(), maybe])
    flow.open(page, base_url)
    assert [p.outcome for p in flow.timeline if p.step == "stars visible"] == ["missing"]


def test_cookie_login_is_logged_in_with_its_csrf_token(page: Page, base_url: str) -> None:
    flow = AuthFlow(adapter=CookieLogin(), layers=(), accounts=_admin)
    flow.open(page, base_url)
    login = flow.logins["user"]
    assert login.headers["X-CSRFToken"].startswith("csrf-")
    assert page.evaluate("fetch('/api/v1/auth/me').then(answer => answer.ok)")
    assert "tok-" not in repr(login)


def test_pve_ticket_login_holds_on_the_embedded_proxmox(
    proxmox_simulator: EmbeddedProxmox, playwright: object
) -> None:
    endpoint = proxmox_simulator.endpoint
    adapter = PveTicketLogin()
    api = playwright.request.new_context(ignore_https_errors=True)  # type: ignore[attr-defined]
    account = Account(endpoint.user, endpoint.password or "")
    login = adapter.log_in(api, endpoint.url, account)
    assert adapter.holds(api, endpoint.url, login)
    with pytest.raises(AuthFailed, match="401"):
        adapter.log_in(api, endpoint.url, Account(endpoint.user, "wrong-pass"))
    api.dispose()


def test_admin_without_variables_is_a_users_mistake() -> None:
    with pytest.raises(UserMistake, match="E2E_ADMIN_USERNAME"):
        AuthFlow(environ={}).account("admin")
    flow = AuthFlow(environ={"E2E_ADMIN_USERNAME": "ann", "E2E_ADMIN_PASSWORD": "pw-of-ann"})
    assert flow.account("admin").username == "ann"
    assert "pw-of-ann" not in repr(flow.account("admin"))


def test_answer_without_a_token_is_told(page: Page, base_url: str) -> None:
    flow = AuthFlow(adapter=BearerLogin(token_field="jwt"), accounts=_admin)
    with pytest.raises(AuthFailed, match="has no 'jwt'"):
        flow.open(page, base_url)


def test_selectors_that_mean_two_elements_are_found(page: Page, base_url: str) -> None:
    class Navigation:
        DASHBOARD = "[data-view=dashboard]"
        VIEW = "[data-view]"
        ITEMS = "nav a"

    page.goto(base_url)
    assert [str(one) for one in ambiguous_selectors(page, Navigation)] == [
        "Navigation.VIEW = '[data-view]' means 2 elements"
    ]
