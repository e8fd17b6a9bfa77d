"""The app manager over HTTP, on the embedded Proxmox, with a database of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from starlette.testclient import TestClient

from src_app.configuration import Configuration, Span
from src_app.db.store import Store
from src_app.security.passwords import Passwords
from src_app.services.manager import Manager
from src_app.web.application import API, create_app

VMIDS = 20
PASSWORD = "correct horse"
CHEAP = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
KEY = "a key that is only used by these tests and by nothing else"

Build = Callable[..., Manager]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "app.db"
    store = Store(f"sqlite:///{path}")
    store.migrate()
    store.close()
    return path


def proxmox_environment(proxmox_config: dict[str, Any]) -> dict[str, str]:
    """Return the variables that lead the app to the Proxmox of the tests."""
    names = {
        "host": "PROXMOX_HOST",
        "port": "PROXMOX_PORT",
        "user": "PROXMOX_USER",
        "password": "PROXMOX_PASSWORD",
        "token_name": "PROXMOX_TOKEN_NAME",
        "token_value": "PROXMOX_TOKEN_VALUE",
        "verify_ssl": "PROXMOX_VERIFY_SSL",
    }
    told = {names[key]: value for key, value in proxmox_config.items() if key in names}
    return {key: str(value) for key, value in told.items() if value is not None}


@pytest.fixture
def environment(proxmox_config: dict[str, Any]) -> dict[str, str]:
    """The variables that lead the app to the Proxmox of the tests."""
    return proxmox_environment(proxmox_config)


@pytest.fixture
def configuration(tmp_path: Path, migrated: Path, vmid: int) -> Configuration:
    """The app's settings: a fresh database, and VMIDs that are this test's."""
    database = tmp_path / "app.db"
    shutil.copy(migrated, database)
    return Configuration(
        database_url=f"sqlite:///{database}",
        secret_key=KEY,
        vmids=Span(int(vmid), int(vmid) + VMIDS - 1),
        health_timeout_s=0.5,
        retry_pause_s=0.01,
        sync_s=3600.0,
    )


@pytest.fixture
def manager(configuration: Configuration, environment: dict[str, str]) -> Manager:
    """The app's services; they begin to work with ``client``."""
    return Manager.build(configuration, environment, hasher=CHEAP)


@dataclass
class Caller:
    """A user of the API."""

    client: TestClient
    token: str = ""
    user: dict[str, Any] = field(default_factory=dict)

    def call(self, method: str, path: str, expect: int | None = None, **given: Any) -> Any:
        """Return the answer's JSON; the status must be ``expect``, or a success."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = self.client.request(method, f"{API}{path}", headers=headers, **given)
        wanted = expect or (200, 201, 202, 204)
        allowed = wanted if isinstance(wanted, tuple) else (wanted,)
        assert answer.status_code in allowed, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else None

    def get(self, path: str, expect: int | None = None, **params: Any) -> Any:
        """GET."""
        return self.call("GET", path, expect, params=params)

    def post(self, path: str, **body: Any) -> Any:
        """POST with a JSON body."""
        return self.call("POST", path, json=body)

    def expect(self, status: int, path: str, **body: Any) -> Any:
        """POST, which must be answered with this status."""
        return self.call("POST", path, status, json=body)

    def ended(self, accepted: dict[str, Any]) -> dict[str, Any]:
        """Return the operation that was begun, once it has ended: the stream ends then."""
        number = accepted["operation"]["id"]
        headers = {"Authorization": f"Bearer {self.token}"}
        stream = self.client.get(f"{API}/operations/{number}/events", headers=headers)
        assert "event: end" in stream.text
        found: dict[str, Any] = self.get(f"/operations/{number}")
        return found

    def done(self, accepted: dict[str, Any], status: str = "succeeded") -> dict[str, Any]:
        """Return the operation that was begun, once it has ended with this status."""
        operation = self.ended(accepted)
        assert operation["status"] == status, (operation["error"], operation["log"])
        return operation

    def deploy(self, catalog_id: str = "nginx", hostname: str = "site", **more: Any) -> Any:
        """Return an app that was deployed and runs."""
        accepted = self.post("/apps/deploy", catalog_id=catalog_id, hostname=hostname, **more)
        self.done(accepted)
        return self.get(f"/apps/{accepted['app']['id']}")


@pytest.fixture
def client(manager: Manager) -> Iterator[TestClient]:
    """The running app."""
    with TestClient(create_app(manager)) as client:
        yield client


@pytest.fixture
def register(client: TestClient) -> Callable[[str], Caller]:
    """Registers a user and logs him in; the first one is the admin."""

    def registered(name: str) -> Caller:
        caller = Caller(client)
        login = caller.post("/auth/register", username=name, password=PASSWORD)
        return Caller(client, login["access_token"], login["user"])

    return registered


@pytest.fixture
def admin(register: Callable[[str], Caller]) -> Caller:
    """The first user: an admin."""
    return register("root-user")


@pytest.fixture
def owner(admin: Caller, register: Callable[[str], Caller]) -> Caller:
    """A user who is no admin."""
    return register("owner")
