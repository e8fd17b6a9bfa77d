"""Registration, login, sessions and roles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx2
import jwt
import pytest
from starlette.testclient import TestClient

from src_app.configuration import Configuration
from src_app.services.manager import Manager
from src_app.web.application import create_app
from tests.app.conftest import CHEAP, KEY, PASSWORD, VMIDS, Caller

pytestmark = [pytest.mark.vmid_range(size=VMIDS), pytest.mark.auth]


def test_first_user_is_the_admin_and_nobody_promotes_himself(
    register: Callable[[str], Caller], client: TestClient
) -> None:
    assert Caller(client).get("/system/status/initial") == {"is_first_run": True}
    assert register("first").user["role"] == "admin"
    body = {"username": "second", "password": PASSWORD, "role": "admin"}
    Caller(client).expect(422, "/auth/register", **body)
    assert register("second").user["role"] == "user"
    assert Caller(client).get("/system/status/initial") == {"is_first_run": False}


@pytest.mark.parametrize(
    ("name", "password", "field"),
    [
        ("ab", PASSWORD, "username"),
        ("has space", PASSWORD, "username"),
        ("näme", PASSWORD, "username"),
        ("fine", "short", "password"),
    ],
)
def test_bad_registration_names_its_field(
    client: TestClient, name: str, password: str, field: str
) -> None:
    answer = Caller(client).expect(422, "/auth/register", username=name, password=password)
    assert field in answer["fields"]


def test_taken_name_is_refused(admin: Caller, client: TestClient) -> None:
    body = {"username": "ROOT-user", "password": PASSWORD}
    answer = Caller(client).expect(409, "/auth/register", **body)
    assert answer["fields"] == {"username": "is taken"}


def test_password_is_hashed_with_argon2(admin: Caller, manager: Manager) -> None:
    stored = manager.store.run(lambda db: db.users.get(admin.user["id"])).password_hash
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored


def test_login_is_limited_after_five_failures(admin: Caller, client: TestClient) -> None:
    guest = Caller(client)
    for _ in range(5):
        guest.expect(401, "/auth/login", username="root-user", password="wrong")
    answer = guest.expect(429, "/auth/login", username="root-user", password=PASSWORD)
    assert answer["code"] == "too_many_attempts"


def test_refused_login_does_not_say_whether_the_user_exists(
    admin: Caller, client: TestClient
) -> None:
    guest = Caller(client)
    one = guest.expect(401, "/auth/login", username="root-user", password="wrong")
    other = guest.expect(401, "/auth/login", username="nobody", password="wrong")
    assert one == other


def test_refresh_token_is_good_once_and_a_copy_ends_the_login(client: TestClient) -> None:
    guest = Caller(client)
    first = guest.post("/auth/register", username="anna", password=PASSWORD)["refresh_token"]
    second = guest.post("/auth/refresh", refresh_token=first)["refresh_token"]
    guest.expect(401, "/auth/refresh", refresh_token=first)
    guest.expect(401, "/auth/refresh", refresh_token=second)


def test_logout_ends_the_refresh_token(client: TestClient) -> None:
    login = Caller(client).post("/auth/register", username="anna", password=PASSWORD)
    anna = Caller(client, login["access_token"])
    anna.post("/auth/logout", refresh_token=login["refresh_token"])
    anna.expect(401, "/auth/refresh", refresh_token=login["refresh_token"])


def test_changed_password_is_the_one_to_log_in_with(owner: Caller, client: TestClient) -> None:
    owner.expect(422, "/auth/change-password", old_password="wrong", new_password="new password")
    owner.post("/auth/change-password", old_password=PASSWORD, new_password="new password")
    Caller(client).expect(401, "/auth/login", username="owner", password=PASSWORD)
    Caller(client).post("/auth/login", username="owner", password="new password")


def test_user_without_access_cannot_refresh(admin: Caller, client: TestClient) -> None:
    login = Caller(client).post("/auth/register", username="anna", password=PASSWORD)
    admin.call("PATCH", f"/users/{login['user']['id']}", json={"is_active": False})
    Caller(client).expect(401, "/auth/refresh", refresh_token=login["refresh_token"])
    Caller(client).expect(401, "/auth/login", username="anna", password=PASSWORD)
    Caller(client, login["access_token"]).get("/auth/me", 401)


def test_last_admin_stays(admin: Caller) -> None:
    path = f"/users/{admin.user['id']}"
    answer = admin.call("PATCH", path, 409, json={"role": "user"})
    assert "last admin" in answer["detail"]
    assert admin.get("/auth/me")["role"] == "admin"


def _forged(**claims: object) -> str:
    told = {"sub": "x", "user_id": 1, "role": "admin", "aud": "app-manager"}
    expires = datetime.now(UTC) + timedelta(hours=1)
    return jwt.encode({**told, "exp": expires, **claims}, KEY[::-1] * 2, algorithm="HS256")


FORGED = {
    "no token": "",
    "nonsense": "abc.def.ghi",
    "another key": _forged(),
    "no signature": jwt.encode({"sub": "x", "user_id": 1, "role": "admin"}, "", algorithm="none"),
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
def test_forged_token_is_refused(admin: Caller, client: TestClient, token: str) -> None:
    assert Caller(client, token).get("/apps", 401)["code"] == "not_authenticated"


def test_expired_token_is_refused(admin: Caller, manager: Manager, client: TestClient) -> None:
    from src_app.security.tokens import Identity

    identity = Identity(admin.user["id"], "root-user", "admin")
    old = manager.users.tokens.issue(identity, datetime.now(UTC) - timedelta(days=1))
    assert "expired" in Caller(client, old).get("/apps", 401)["detail"]


def test_closed_registration_lets_only_the_first_in(
    configuration: Configuration, environment: dict[str, str]
) -> None:
    closed = replace(configuration, registration=False)
    with TestClient(create_app(Manager.build(closed, environment, hasher=CHEAP))) as client:
        guest = Caller(client)
        guest.post("/auth/register", username="first", password=PASSWORD)
        guest.expect(403, "/auth/register", username="second", password=PASSWORD)


def test_app_of_another_user_looks_like_none(
    owner: Caller, register: Callable[[str], Caller]
) -> None:
    app = owner.deploy()
    other = register("other")
    assert other.get("/apps")["total"] == 0
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/actions")):
        body = {"json": {"action": "stop"}} if path else {}
        other.call(method, f"/apps/{app['id']}{path}", 404, **body)
    assert owner.get(f"/apps/{app['id']}")["status"] == "running"


def test_answers_carry_careful_headers_and_no_cors(client: TestClient) -> None:
    answer = client.get("/api/v1/apps/health", headers={"Origin": "https://evil.example"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers


def _preflight(client: TestClient, origin: str) -> httpx2.Response:
    asking = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
    return client.options("/api/v1/apps", headers=asking)


def test_no_page_of_another_origin_may_ask_unless_it_is_named(
    configuration: Configuration, environment: dict[str, str], client: TestClient
) -> None:
    named = "https://console.example"
    assert "access-control-allow-origin" not in _preflight(client, named).headers
    told = replace(configuration, cors_origins=(named,))
    with TestClient(create_app(Manager.build(told, environment, hasher=CHEAP))) as open_one:
        assert _preflight(open_one, named).headers["access-control-allow-origin"] == named
        refused = _preflight(open_one, "https://evil.example")
        assert "access-control-allow-origin" not in refused.headers
        for path, status in (("apps/health", 200), ("apps", 401)):
            answer = open_one.get(f"/api/v1/{path}", headers={"Origin": named})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == named
            assert "access-control-allow-credentials" not in answer.headers


def test_limit_of_a_body_is_a_setting(
    configuration: Configuration, environment: dict[str, str]
) -> None:
    told = replace(configuration, max_body_bytes=200)
    with TestClient(create_app(Manager.build(told, environment, hasher=CHEAP))) as client:
        body = {"username": "anna", "password": "x" * 300}
        answer = Caller(client).expect(413, "/auth/register", **body)
        assert "200 bytes" in answer["detail"]
        Caller(client).post("/auth/register", username="anna", password=PASSWORD)


def test_large_body_is_refused(owner: Caller, manager: Manager) -> None:
    body = {"catalog_id": "nginx", "hostname": "x", "environment": {"A": "x" * 2_000_000}}
    assert owner.expect(413, "/apps/deploy", **body)["code"] == "too_large"


def test_large_body_without_a_length_is_refused(owner: Caller) -> None:
    chunks = (b"x" * 65536 for _ in range(40))
    answer = owner.call("POST", "/apps/deploy", 413, content=chunks)
    assert answer["code"] == "too_large"
