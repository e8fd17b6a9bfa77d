"""Who may call what: every route stands in the matrix, and is tried by each role."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import TestClient

from src_app.services.manager import Manager
from src_app.web.application import API, create_app
from tests.app.conftest import VMIDS, Caller

pytestmark = [pytest.mark.vmid_range(size=VMIDS), pytest.mark.auth]
ANYBODY, USER, ADMIN = "anybody", "user", "admin"
MATRIX = {
    "POST /auth/register": ANYBODY,
    "POST /auth/login": ANYBODY,
    "POST /auth/refresh": ANYBODY,
    "GET /health": ANYBODY,
    "GET /apps/health": ANYBODY,
    "GET /system/status/initial": ANYBODY,
    "POST /auth/logout": USER,
    "GET /auth/me": USER,
    "POST /auth/change-password": USER,
    "GET /apps/catalog": USER,
    "GET /apps/catalog/{catalog_id}": USER,
    "GET /operations": USER,
    "GET /operations/{operation_id}": USER,
    "POST /operations/{operation_id}/cancel": USER,
    "GET /operations/{operation_id}/events": USER,
    "GET /apps": USER,
    "POST /apps/deploy": USER,
    "GET /apps/{app_id}": USER,
    "DELETE /apps/{app_id}": USER,
    "GET /apps/{app_id}/environment": USER,
    "POST /apps/{app_id}/actions": USER,
    "POST /apps/{app_id}/clone": USER,
    "PUT /apps/{app_id}/config": USER,
    "POST /apps/{app_id}/view": USER,
    "GET /apps/{app_id}/stats": USER,
    "GET /apps/{app_id}/history": USER,
    "GET /apps/{app_id}/logs": USER,
    "GET /apps/{app_id}/commands": USER,
    "POST /apps/{app_id}/command/{command}": USER,
    "GET /apps/{app_id}/backups": USER,
    "POST /apps/{app_id}/backups": USER,
    "POST /apps/{app_id}/backups/prune": USER,
    "GET /apps/{app_id}/updates": USER,
    "POST /apps/{app_id}/update": USER,
    "POST /apps/{app_id}/rollback": USER,
    "GET /backups": USER,
    "GET /backups/{backup_id}": USER,
    "PATCH /backups/{backup_id}": USER,
    "DELETE /backups/{backup_id}": USER,
    "POST /backups/{backup_id}/restore": USER,
    "GET /system/info": USER,
    "GET /system/nodes": USER,
    "GET /system/nodes/{node}/history": USER,
    "GET /users": ADMIN,
    "PATCH /users/{user_id}": ADMIN,
    "POST /apps/catalog/reload": ADMIN,
    "GET /apps/discover": ADMIN,
    "POST /apps/adopt": ADMIN,
    "POST /system/cleanup": ADMIN,
    "POST /system/test-connection": ADMIN,
    "GET /settings": ADMIN,
    "PUT /settings": ADMIN,
    "DELETE /settings/{key}": ADMIN,
    "GET /schedules": ADMIN,
    "POST /schedules/{kind}/run": ADMIN,
    "GET /audit": ADMIN,
    "GET /metrics": ADMIN,
}


def routes(manager: Manager) -> Iterator[str]:
    """Yield each documented route of the API."""
    document = create_app(manager).openapi()
    for path, operations in document["paths"].items():
        for method in operations:
            yield f"{method.upper()} {path.removeprefix(API)}"


def filled(path: str) -> str:
    """Return the path with ids of things that are not there, or are somebody else's."""
    for name, value in {
        "{app_id}": "nginx-none",
        "{catalog_id}": "nginx",
        "{operation_id}": "none",
        "{backup_id}": "999",
        "{user_id}": "999",
        "{command}": "status",
        "{node}": "pve",
        "{key}": "mode",
        "{kind}": "update-check",
    }.items():
        path = path.replace(name, value)
    assert "{" not in path
    return API + path


def test_every_route_stands_in_the_matrix(manager: Manager) -> None:
    assert set(routes(manager)) == set(MATRIX)


@pytest.mark.parametrize("who", [ANYBODY, USER, ADMIN])
def test_each_role_passes_where_it_may_and_nowhere_else(
    who: str,
    client: TestClient,
    admin: Caller,
    owner: Caller,
    register: Callable[[str], Caller],
) -> None:
    caller = {ANYBODY: Caller(client), USER: owner, ADMIN: admin}[who]
    headers = {"Authorization": f"Bearer {caller.token}"} if caller.token else {}
    rank = [ANYBODY, USER, ADMIN]
    for route, needed in MATRIX.items():
        method, _, path = route.partition(" ")
        if path in ("/auth/logout",) and who != ANYBODY:
            continue  # it would end the login that the loop uses
        body: dict[str, str] | None = None if method == "GET" else {}
        answer = client.request(method, filled(path), headers=headers, json=body)
        may = rank.index(who) >= rank.index(needed)
        refused = 401 if who == ANYBODY else 403
        if may:
            assert answer.status_code not in (401, 403, 500), f"{who} {route}: {answer.text}"
        else:
            assert answer.status_code == refused, f"{who} {route}: {answer.text}"
            assert answer.headers["content-type"] == "application/problem+json"


# What makes each request to somebody's own thing a valid one.
BODIES: dict[str, dict[str, object]] = {
    "POST /apps/{app_id}/actions": {"action": "stop"},
    "POST /apps/{app_id}/clone": {"new_hostname": "stolen"},
    "PUT /apps/{app_id}/config": {"cpu_cores": 2},
    "POST /apps/{app_id}/backups/prune": {"keep_last": 1},
    "POST /backups/{backup_id}/restore": {"overwrite": True},
    "PATCH /backups/{backup_id}": {"notes": "mine"},
}
OWN = ("{app_id}", "{backup_id}", "{operation_id}")


def test_what_is_somebody_elses_looks_like_none_on_every_route(
    owner: Caller, admin: Caller, register: Callable[[str], Caller]
) -> None:
    app = owner.deploy()
    made = owner.done(owner.post(f"/apps/{app['id']}/backups"))
    ids = {
        "{app_id}": app["id"],
        "{backup_id}": str(made["backup_id"]),
        "{operation_id}": made["id"],
    }
    before = (owner.get("/apps"), owner.get("/backups"))
    thief = register("thief")
    tried = 0
    for route in (route for route in MATRIX if any(name in route for name in OWN)):
        method, _, path = route.partition(" ")
        for name, value in ids.items():
            path = path.replace(name, value)
        path = path.replace("{command}", "status")
        body = {"json": BODIES.get(route, {})} if method in ("POST", "PUT", "PATCH") else {}
        answer = thief.call(method, path, 404, **body)
        assert answer["code"].endswith("not_found"), route
        tried += 1
    assert tried == 25
    assert (owner.get("/apps"), owner.get("/backups")) == before
    assert admin.get(f"/apps/{app['id']}") == owner.get(f"/apps/{app['id']}")
