"""Apps inside the manager's page: passed on, sandboxed, websockets too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from src_app.services.manager import Manager
from tests.app.conftest import VMIDS, Caller

pytestmark = [pytest.mark.vmid_range(size=VMIDS), pytest.mark.canvas]


def test_app_is_shown_under_the_managers_own_origin(owner: Caller, client: TestClient) -> None:
    app = owner.deploy()
    url = owner.post(f"/apps/{app['id']}/view")["url"]
    page = client.get(url)
    assert page.status_code == 200
    assert "<h1>Nginx</h1>" in page.text
    assert "x-frame-options" not in page.headers
    assert page.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in page.headers["content-security-policy"]


def test_data_goes_both_ways_through_the_view(owner: Caller, client: TestClient) -> None:
    app = owner.deploy()
    url = owner.post(f"/apps/{app['id']}/view")["url"]
    payload = bytes(range(256)) * 64
    assert client.put(f"{url}data/file.bin", content=payload).status_code == 201
    assert client.get(f"{url}data/file.bin").content == payload
    assert client.delete(f"{url}data/file.bin").status_code == 204
    assert client.get(f"{url}data/file.bin").status_code == 404


def test_ticket_is_for_one_app_and_a_time(
    owner: Caller, client: TestClient, manager: Manager
) -> None:
    app = owner.deploy()
    other = manager.tickets.issue("nginx-other")
    old = manager.tickets.issue(app["id"], datetime.now(UTC) - timedelta(days=1))
    for ticket in (other, old, "nonsense", owner.token):
        assert client.get(f"/apps/{app['id']}/view/~{ticket}/").status_code == 403
    ticket = manager.tickets.issue(app["id"])
    assert Caller(client, ticket).get("/apps", 401)["code"] == "not_authenticated"


def test_stopped_app_says_so_in_its_view(owner: Caller, client: TestClient) -> None:
    app = owner.deploy()
    url = owner.post(f"/apps/{app['id']}/view")["url"]
    owner.done(owner.post(f"/apps/{app['id']}/actions", action="stop"))
    answer = client.get(url)
    assert answer.status_code == 503
    assert answer.json()["code"] == "not_running"


def test_websocket_is_carried_both_ways(owner: Caller, client: TestClient) -> None:
    app = owner.deploy("node-red", "flows")
    url = owner.post(f"/apps/{app['id']}/view")["url"]
    with client.websocket_connect(f"{url}comms") as socket:
        socket.send_text("häl\u0142o")
        assert socket.receive_text() == "häl\u0142o"
        socket.send_bytes(bytes(70_000))
        assert socket.receive_bytes() == bytes(70_000)


def test_websocket_without_a_ticket_is_refused(owner: Caller, client: TestClient) -> None:
    app = owner.deploy("node-red", "flows")
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(f"/apps/{app['id']}/view/~no/comms"),
    ):
        pass
