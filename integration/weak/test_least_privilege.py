"""The app manager on a served Proxmox that it knows by address and a weak token only."""

from __future__ import annotations

from typing import Any

import pytest

from integration.serving import Served
from integration.weak.conftest import USER
from integration.weak.served import ServedView
from tests.app.conftest import Caller
from tests.app.test_deploy import fetch

PAYLOAD = bytes(range(256))
STRANGER = 400


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


def test_monitoring_with_a_weak_token(owner: Caller, proxmox_simulator: ServedView) -> None:
    app = owner.deploy()
    proxmox_simulator.advance(300)
    assert owner.get(f"/apps/{app['id']}/stats")["memory_total_bytes"] == 256 * 1024**2
    assert owner.get(f"/apps/{app['id']}/history", timeframe="hour")["points"]
    assert any("vzstart" in line for line in owner.get(f"/apps/{app['id']}/logs")["lines"])
    nodes = owner.get("/system/nodes")
    assert [(node["node"], node["status"]) for node in nodes] == [("pve", "online")]
    assert owner.get("/system/nodes/pve/history")["points"]
    for command in owner.get(f"/apps/{app['id']}/commands"):
        assert "output" in owner.post(f"/apps/{app['id']}/command/{command}")


def test_adoption_with_a_weak_token(
    admin: Caller, proxmox: Any, proxmox_simulator: ServedView
) -> None:
    admin.deploy()
    images = proxmox.nodes("pve").storage("local").content.get(content="vztmpl")
    strangers = {"ostemplate": images[0]["volid"], "rootfs": "local-lvm:1", "start": 1}
    strangers["net0"] = "name=eth0,bridge=vmbr0,ip=dhcp"
    proxmox.nodes("pve").lxc.post(vmid=STRANGER, hostname="strangers", **strangers)
    proxmox_simulator.advance(60)  # the cluster's list of guests is some seconds old
    try:
        assert STRANGER in [found["vmid"] for found in admin.get("/apps/discover")]
        before = proxmox.nodes("pve").lxc(STRANGER).config.get()
        admin.done(admin.post("/apps/adopt", vmid=STRANGER, port=8080))
        assert proxmox.nodes("pve").lxc(STRANGER).config.get() == before
        admin.done(admin.post("/apps/custom-strangers/actions", action="stop"))
        admin.done(admin.call("DELETE", "/apps/custom-strangers"))
        assert STRANGER in proxmox_simulator.vmids()  # it was never ours
    finally:
        proxmox_simulator.clear(STRANGER, STRANGER)


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
