"""The app manager on a served Proxmox that it knows by address and a weak token only."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from integration.serving import Served, serving
from src_app.configuration import Configuration, Span
from src_app.services.manager import Manager
from src_app.web.application import create_app
from tests.app.conftest import CHEAP, KEY, PASSWORD, Caller, migrated
from tests.app.test_deploy import fetch

__all__ = ["migrated"]
WORLD = Path(__file__).parents[1] / "tests/app/world.json"
PAYLOAD = bytes(range(256))
USER, ROLE = "apps@pve", "AppManager"
# What deploying, cloning, configuring, backing up and updating need, and nothing else.
PRIVILEGES = (
    "Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate Datastore.Audit"
    " SDN.Use Sys.AccessNetwork Sys.Audit VM.Allocate VM.Audit VM.Backup VM.Clone VM.Config.CPU"
    " VM.Config.Disk VM.Config.Memory VM.Config.Network VM.Config.Options VM.PowerMgmt VM.Snapshot"
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served Proxmox whose time runs twenty times as fast as ours."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, "--clock", "real", "--scale", "20", world=str(WORLD)) as served:
        yield served


@pytest.fixture(scope="module")
def environment(served: Served) -> dict[str, str]:
    """Address and token; the role has no right on users, realms or the cluster's settings."""
    access = served.api.access
    access.roles.post(roleid=ROLE, privs=PRIVILEGES.replace(" ", ","))
    access.users.post(userid=USER)
    access.acl.put(path="/", users=USER, roles=ROLE)
    made = access.users(USER).token("manager").post(privsep=0)
    host, port = served.address.split(":")
    return {
        "PROXMOX_HOST": host,
        "PROXMOX_PORT": port,
        "PROXMOX_USER": USER,
        "PROXMOX_TOKEN_NAME": "manager",
        "PROXMOX_TOKEN_VALUE": str(made["value"]),
        "PROXMOX_VERIFY_SSL": served.ready["ca_file"],
    }


@pytest.fixture
def owner(tmp_path: Path, migrated: Path, environment: dict[str, str]) -> Iterator[Caller]:
    """The first user of a fresh manager."""
    database = tmp_path / "app.db"
    shutil.copy(migrated, database)
    config = Configuration(
        database_url=f"sqlite:///{database}",
        secret_key=KEY,
        vmids=Span(500, 599),
        health_timeout_s=5.0,
        retry_pause_s=0.1,
    )
    with TestClient(create_app(Manager.build(config, environment, hasher=CHEAP))) as client:
        login = Caller(client).post("/auth/register", username="owner", password=PASSWORD)
        yield Caller(client, login["access_token"], login["user"])


def test_whole_life_of_an_app_with_a_weak_token(owner: Caller, served: Served) -> None:
    app = owner.deploy("nginx", "site", version="1.0")
    fetch(app, "/data/file.bin", put=PAYLOAD)
    path = f"/apps/{app['id']}"
    for action in ("stop", "start", "restart"):
        owner.done(owner.post(f"{path}/actions", action=action))
    owner.done(owner.call("PUT", f"{path}/config", json={"cpu_cores": 2, "disk_gb": 3}))
    owner.done(owner.post(f"{path}/clone", new_hostname="copied"))
    assert fetch(owner.get("/apps/nginx-copied"), "/data/file.bin") == PAYLOAD
    owner.done(owner.post(f"{path}/update"))
    updated = owner.get(path)
    assert (updated["version"], fetch(updated, "/data/file.bin")) == ("2.0", PAYLOAD)
    made = owner.done(owner.post(f"{path}/backups"))
    owner.done(owner.call("DELETE", path))
    owner.done(owner.post(f"/backups/{made['backup_id']}/restore"))
    back = owner.get(path)
    assert (back["version"], fetch(back, "/data/file.bin")) == ("2.0", PAYLOAD)
    for name in (app["id"], "nginx-copied"):
        owner.done(owner.call("DELETE", f"/apps/{name}"))
    for backup in owner.get("/backups")["backups"]:
        owner.call("DELETE", f"/backups/{backup['id']}")
    assert served.guests() == []


def test_failing_update_rolls_itself_back_with_a_weak_token(owner: Caller, served: Served) -> None:
    app = owner.deploy("update-drill", "drill", version="1.0")
    fetch(app, "/data/file.bin", put=PAYLOAD)
    owner.done(owner.post(f"/apps/{app['id']}/update"), "rolled_back")
    left = owner.get(f"/apps/{app['id']}")
    assert (left["version"], left["status"]) == ("1.0", "running")
    assert fetch(left, "/data/file.bin") == PAYLOAD
    owner.done(owner.call("DELETE", f"/apps/{app['id']}"))
    assert served.guests() == []


def test_token_cannot_do_what_the_app_never_does(
    environment: dict[str, str], served: Served
) -> None:
    from proxmoxer import ProxmoxAPI
    from proxmoxer.core import ResourceException

    api: Any = ProxmoxAPI(
        environment["PROXMOX_HOST"],
        port=int(environment["PROXMOX_PORT"]),
        user=USER,
        token_name="manager",
        token_value=environment["PROXMOX_TOKEN_VALUE"],
        verify_ssl=served.ready["ca_file"],
    )
    with pytest.raises(ResourceException, match="403"):
        api.access.users.post(userid="evil@pve")
