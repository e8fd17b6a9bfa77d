"""An app whose start, stop or removal fails shows what its container really is, and why."""

from __future__ import annotations

from typing import Any

import pytest
from proxmoxer import ProxmoxAPI

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from pytest_proxmox.simulator.faults import Faults
from src_app.services.manager import Manager
from tests.app.conftest import VMIDS, Caller

pytestmark = [pytest.mark.vmid_range(size=VMIDS), pytest.mark.lifecycle]


def act(owner: Caller, app: dict[str, Any], action: str, status: str) -> dict[str, Any]:
    """Return the app after an action that ended with this status."""
    path = f"/apps/{app['id']}"
    owner.done(owner.post(f"{path}/actions", action=action), status)
    found: dict[str, Any] = owner.get(path)
    return found


@pytest.mark.parametrize(
    ("action", "task", "real"), [("stop", "vzstop", "running"), ("start", "vzstart", "stopped")]
)
def test_app_keeps_the_status_that_its_container_has(
    owner: Caller, proxmox_faults: Faults, action: str, task: str, real: str
) -> None:
    app = owner.deploy()
    if real == "stopped":
        act(owner, app, "stop", "succeeded")
    for name in (task, task.replace("stop", "shutdown")):
        proxmox_faults.add(effect="task-error", task=name, text="no such device")
    found = act(owner, app, action, "rolled_back")
    assert found["status"] == real
    assert "no such device" in found["status_text"]


def test_app_whose_container_is_gone_says_so(owner: Caller, proxmox: ProxmoxAPI) -> None:
    app = owner.deploy()
    proxmox.nodes(app["node"]).lxc(app["vmid"]).delete(force=1)
    found = act(owner, app, "stop", "rolled_back")
    assert (found["status"], found["status_text"]) == ("error", "The container is gone")


def test_app_without_a_container_is_not_started(owner: Caller, manager: Manager) -> None:
    app = owner.deploy()
    values = {"node": None, "vmid": None, "status": "stopped"}
    manager.store.run(lambda db: db.apps.update(app["id"], values))
    path = f"/apps/{app['id']}"
    operation = owner.done(owner.post(f"{path}/actions", action="start"), "rolled_back")
    assert f"app {app['id']} has no container. Delete it and deploy it anew." in operation["error"]
    assert owner.get(path)["status"] == "stopped"


def test_container_that_somebody_else_made_in_its_place_is_kept(
    owner: Caller, proxmox: ProxmoxAPI, proxmox_simulator: EmbeddedProxmox
) -> None:
    app = owner.deploy()
    node = proxmox.nodes(app["node"])
    guest = node.lxc(app["vmid"])
    node.tasks(guest.delete(force=1)).status.get()  # it ends when it is looked at
    proxmox_simulator.plant(vmid=app["vmid"], type="lxc", node=app["node"], name="theirs")
    operation = owner.done(owner.call("DELETE", f"/apps/{app['id']}"), "failed")
    assert f"{app['vmid']}" in operation["error"]
    assert owner.get(f"/apps/{app['id']}")["status"] == "error"
    assert guest.config.get()["hostname"] == "theirs"
    guest.delete()


def test_error_is_shown_also_where_the_status_cannot_be_learnt(
    owner: Caller, proxmox_faults: Faults
) -> None:
    app = owner.deploy()
    proxmox_faults.add(effect="error", text="disk on fire", path="**/lxc/*/status/**")
    found = act(owner, app, "restart", "failed")
    assert found["status"] == "error"
    assert "disk on fire" in found["status_text"]
    assert "undoing it failed" in found["status_text"]
