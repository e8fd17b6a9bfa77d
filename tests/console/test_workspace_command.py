"""Keeping a workspace well: its config, what is wrong in it, its backups, and its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from src_app.console.services import open_connection
from src_app.db.repositories import RepositoryFactory
from src_app.proxmox.connection import Connection
from src_app.proxmox.endpoint import Endpoint
from tests.console.conftest import Sit, Sitting


@pytest.mark.parametrize(
    ("setting", "text", "value"),
    [
        ("port", "8007", 8007),
        ("verify_ssl", "No", False),
        ("verify_ssl", "true", True),
        ("verify_ssl", "/srv/ca.pem", "/srv/ca.pem"),
        ("name", "attic", "attic"),
        ("node", "", ""),
    ],
)
def test_setting_is_stored_as_what_it_is(
    sit: Sit, root: Path, setting: str, text: str, value: Any
) -> None:
    first = sit(root)
    assert first.json(f"/config {setting} '{text}'")["config"][setting] == value
    first.session.close()
    assert sit(root).json("/config")["config"][setting] == value


def test_node_is_unset_by_giving_none_and_no_other_setting_is(sitting: Sitting) -> None:
    sitting.run("/config node pve")
    assert sitting.json("/config node")["config"]["node"] == ""
    assert "the value is missing: /config host VALUE" in sitting.run("/config host", expect=2)
    assert sitting.json("/config")["config"]["host"] != ""


def test_changed_setting_is_used_by_the_next_connection(sit: Sit, root: Path) -> None:
    used: list[str] = []

    def connect(endpoint: Endpoint) -> Connection:
        used.append(endpoint.login.user)
        return open_connection(endpoint)

    sitting = sit(root, connect=connect)
    for _ in range(2):
        sitting.run("/test")
    sitting.run("/config user nobody@pam")
    sitting.run("/test", expect=1)
    assert used == ["root@pam", "nobody@pam"]


def test_what_is_wrong_with_the_wanted_guests_is_told(
    sitting: Sitting, cluster: EmbeddedProxmox
) -> None:
    sitting.run("/sync")
    rows: list[dict[str, Any]] = [
        {"vmid": 300, "name": "db", "node": "pve", "spec": {"storage": "local-lvm"}},
        {"vmid": 301, "name": "web", "node": "attic", "spec": {}},
        {"vmid": 302, "name": "log", "node": "pve", "spec": {"storage": "moon"}},
        {"vmid": 303, "name": "db", "node": "pve", "spec": {}},
        {"vmid": 304, "name": "gone", "node": "attic", "spec": {}, "absent": True},
    ]

    def want(db: RepositoryFactory) -> None:
        for row in rows:
            db.wanted.create({"kind": "vm", **row})

    sitting.session.services.store.run(want)
    assert sitting.json("/validate", expect=1)["problems"] == [
        "vm 301 (web) is wanted on attic, which is no node of the cluster",
        "vm 302 (log) wants storage moon, which pve does not have",
        "vm 303 (db) has the name of another",
    ]


def test_workspaces_of_a_folder_are_listed(sit: Sit, root: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert sit(tmp_path).json("/workspace list")["workspaces"] == [str(root)]
    assert "No workspaces here." in sit(tmp_path / "none").run("/workspace list")


def test_workspace_is_put_back_as_it_was(sitting: Sitting) -> None:
    assert "No backups yet." in sitting.run("/workspace backups")
    name = sitting.json("/workspace backup")["backup"]
    assert sitting.json("/workspace backups")["backups"] == [name]
    assert name in sitting.run("/workspace backups")
    sitting.run("/config name attic")
    assert "which backup?" in sitting.run("/workspace recover --yes", expect=2)
    assert "There is no backup" in sitting.run("/workspace recover nope --yes", expect=1)
    assert "will be those of" in sitting.run(f"/workspace recover {name}", expect=3)
    assert sitting.json("/config")["config"]["name"] == "attic"
    sitting.run(f"/workspace recover {name} --yes")
    assert sitting.json("/config")["config"]["name"] == "home"


def test_deleted_workspace_is_gone_and_the_session_is_not(sitting: Sitting, root: Path) -> None:
    (root / "mine.txt").touch()
    assert "its guests stay" in sitting.run("/workspace delete", expect=3)
    assert (root / ".proxmox").exists()
    assert "is gone" in sitting.run("/workspace delete --yes")
    sitting.run("/help")
    assert "/init" in sitting.run("/status", expect=1)
    assert not (root / ".proxmox").exists()
    assert (root / "mine.txt").exists()
