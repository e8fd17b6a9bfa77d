"""The tests as they were: the mock agrees."""

from __future__ import annotations

from manager.db import App
from sqlalchemy import select


def test_a_deployed_app_runs(client_with_mock_proxmox, db_session, cleanup_test_containers):
    answer = client_with_mock_proxmox.post("/apps/web")
    assert answer.status_code == 201
    cleanup_test_containers(answer.json()["vmid"], "pve")
    assert db_session.scalars(select(App.vmid)).all() == [9001]
    assert client_with_mock_proxmox.get("/apps").json() == {"web": "running"}


def test_a_name_is_deployed_once(client_with_mock_proxmox):
    client_with_mock_proxmox.post("/apps/web")
    assert client_with_mock_proxmox.post("/apps/web").status_code == 409


def test_a_deleted_app_is_gone(client_with_mock_proxmox, mock_proxmox_service):
    client_with_mock_proxmox.post("/apps/web")
    assert client_with_mock_proxmox.delete("/apps/web").status_code == 204
    mock_proxmox_service.destroy_lxc.assert_called_once_with(9001)
