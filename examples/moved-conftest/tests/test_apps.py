"""The same tests without a conftest: a real client, an embedded Proxmox, an undone database."""

from __future__ import annotations

import json
import urllib.request

import pytest
from fastapi.testclient import TestClient
from manager.db import App
from manager.main import create_app
from manager.proxmox import ProxmoxService, get_service
from sqlalchemy import select


@pytest.fixture
def client(db_session, proxmox_config, proxmox_target):
    """A client whose app has the Proxmox of the test; the session comes from ``db_bind``."""
    facts = proxmox_target
    service = ProxmoxService(facts.node, facts.template, facts.storage, **proxmox_config)
    app = create_app()
    app.dependency_overrides[get_service] = lambda: service
    with TestClient(app) as client:
        yield client


def test_a_deployed_app_runs(client, db_session, vmid):
    answer = client.post("/apps/web", params={"vmid": vmid})
    assert answer.status_code == 201
    assert db_session.scalars(select(App.vmid)).all() == [vmid]
    assert client.get("/apps").json() == {"web": "running"}


def test_a_name_is_deployed_once(client, vmid):
    client.post("/apps/web", params={"vmid": vmid})
    assert client.post("/apps/web").status_code == 409


def test_a_deleted_app_is_gone(client, vmid, proxmox):
    client.post("/apps/web", params={"vmid": vmid})
    assert client.delete("/apps/web").status_code == 204
    assert vmid not in [row["vmid"] for row in proxmox.cluster.resources.get(type="vm")]


def test_an_app_that_proxmox_refuses_has_no_row(client, db_session, vmid, proxmox_faults):
    proxmox_faults.fail("POST", "/nodes/*/lxc", error="storage-lock")
    assert client.post("/apps/web", params={"vmid": vmid}).status_code == 502
    assert db_session.scalars(select(App)).all() == []


def test_a_taken_id_is_refused(client, lxc):
    answer = client.post("/apps/web", params={"vmid": lxc.vmid})
    assert answer.status_code == 502
    assert "already exists" in answer.json()["detail"]


def test_the_server_starts_with_a_database_and_a_proxmox_of_its_own(app_server):
    with urllib.request.urlopen(f"{app_server.url}/apps", timeout=30) as answer:
        assert json.load(answer) == {}
