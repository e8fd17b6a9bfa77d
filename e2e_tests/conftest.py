"""The manager for these tests: who uses it, an app to look at, and nothing left afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from e2e_tests.flows import generate_hostname
from e2e_tests.manager import ManagerApi
from e2e_tests.matrix import Matrix
from pytest_proxmox.browser import Account, AuthFlow

expect.set_options(timeout=15_000)


@pytest.fixture(scope="session")
def accounts() -> dict[str, Account]:
    """Who logs in as what."""
    return {
        role: Account(f"{role}-{secrets.token_hex(3)}", secrets.token_urlsafe(12))
        for role in ("admin", "user", "other")
    }


@pytest.fixture(scope="session")
def apis(base_url: str, accounts: dict[str, Account]) -> dict[str, ManagerApi]:
    """The API as each of them; the first who registers is the admin."""
    return {
        role: ManagerApi(base_url, account).enter(register=True)
        for role, account in accounts.items()
    }


@pytest.fixture(scope="session")
def api(apis: dict[str, ManagerApi]) -> ManagerApi:
    """The API as the user of ``authenticated_page``."""
    return apis["user"]


@pytest.fixture(scope="session")
def admin_api(apis: dict[str, ManagerApi]) -> ManagerApi:
    """The API as the admin, who sees all."""
    return apis["admin"]


@pytest.fixture(scope="session")
def auth_flow(apis: dict[str, ManagerApi], accounts: dict[str, Account]) -> AuthFlow:
    """Logs in with accounts that are registered."""
    return AuthFlow(accounts=accounts.__getitem__)


@pytest.fixture(scope="package")
def site(api: ManagerApi, admin_api: ManagerApi) -> Iterator[dict[str, Any]]:
    """An Nginx 1.0 that all tests may look at, and none changes.

    Other suites run in the same process, on the same Proxmox: it does not wait for its end.
    """
    made = api.deploy("nginx", "show-case", version="1.0")
    yield made
    admin_api.remove_app(made["id"])


@pytest.fixture
def tidy(admin_api: ManagerApi) -> Iterator[None]:
    """Remove the apps and backups that a test made, by whichever way."""
    apps, backups = admin_api.apps().keys(), admin_api.backup_ids()
    yield
    for app_id in admin_api.apps().keys() - apps:
        admin_api.remove_app(app_id)
    for backup_id in admin_api.backup_ids() - backups:
        admin_api.remove_backup(backup_id)


@pytest.fixture
def deployed_app(api: ManagerApi, tidy: None) -> dict[str, Any]:
    """An Nginx 1.0 of the test's own."""
    return api.deploy("nginx", generate_hostname("nginx"), version="1.0")


@pytest.fixture
def page_of(new_context: Any, auth_flow: AuthFlow, base_url: str) -> Callable[[str], Page]:
    """Opens another page, logged in as a role, in a browser context of its own."""
    return lambda role: auth_flow.open(new_context().new_page(), base_url.rstrip("/"), role=role)


@pytest.fixture(scope="session")
def matrix(request: pytest.FixtureRequest) -> Matrix:
    """The table of view switches, which grows with each of them."""
    return Matrix.of(request.config)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how long view switches took, and where the table is."""
    if line := Matrix.of(config).summary():
        terminalreporter.write_line(line)
