"""Updates that keep the data, and that undo themselves when the new version is not healthy."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from pytest_proxmox.simulator.faults import Faults
from tests.app.conftest import VMIDS, Caller
from tests.app.test_deploy import fetch

pytestmark = [pytest.mark.vmid_range(size=VMIDS), pytest.mark.update]
PAYLOAD = bytes(range(256)) * 9


@pytest.fixture
def app(owner: Caller) -> dict[str, Any]:
    """Nginx 1.0 with a payload in it."""
    made: dict[str, Any] = owner.deploy("nginx", "site", version="1.0")
    fetch(made, "/data/file.bin", put=PAYLOAD)
    return made


def test_updated_app_has_the_new_version_and_the_old_data(
    owner: Caller, app: dict[str, Any], proxmox_simulator: EmbeddedProxmox
) -> None:
    found = owner.get(f"/apps/{app['id']}/updates")
    assert (found["current"], found["latest"], found["available"]) == ("1.0", "2.0", True)
    count = len(proxmox_simulator.vmids())
    owner.done(owner.post(f"/apps/{app['id']}/update"))
    new = owner.get(f"/apps/{app['id']}")
    assert (new["version"], new["previous_version"], new["status"]) == ("2.0", "1.0", "running")
    assert fetch(new, "/version") == b"2.0"
    assert fetch(new, "/data/file.bin") == PAYLOAD
    assert len(proxmox_simulator.vmids()) == count
    assert not owner.get(f"/apps/{app['id']}/updates")["available"]
    backup = owner.get("/backups")["backups"][0]
    assert (backup["origin"], backup["status"], backup["app_version"]) == (
        "update",
        "available",
        "1.0",
    )


def test_update_to_an_unhealthy_version_rolls_itself_back(
    owner: Caller, proxmox_simulator: EmbeddedProxmox
) -> None:
    app = owner.deploy("update-drill", "drill", version="1.0")
    fetch(app, "/data/file.bin", put=PAYLOAD)
    before = proxmox_simulator.vmids()
    operation = owner.done(owner.post(f"/apps/{app['id']}/update"), "rolled_back")
    assert "not healthy" in operation["error"]
    left = owner.get(f"/apps/{app['id']}")
    assert (left["version"], left["status"], left["vmid"]) == ("1.0", "running", app["vmid"])
    assert "rolled back" in left["status_text"]
    assert fetch(left, "/data/file.bin") == PAYLOAD
    assert fetch(left, "/version") == b"1.0"
    assert proxmox_simulator.vmids() == before


@pytest.mark.parametrize(
    "fault",
    [
        {"effect": "task-error", "task": "vzdump", "text": "job errors"},
        {"effect": "task-error", "task": "vzcreate", "text": "no space left"},
        {"effect": "task-error", "task": "move_volume", "text": "rename failed", "times": 1},
        {"effect": "task-error", "task": "vzstart", "text": "startup failed", "times": 1},
        {"effect": "error", "error": "forbidden", "method": "POST", "path": "**/move_volume"},
    ],
    ids=["backup", "create", "move", "start", "forbidden"],
)
def test_update_that_fails_leaves_the_app_as_it_was(
    owner: Caller,
    app: dict[str, Any],
    fault: dict[str, Any],
    proxmox_faults: Faults,
    proxmox_simulator: EmbeddedProxmox,
) -> None:
    before = proxmox_simulator.vmids()
    proxmox_faults.add(**fault)
    owner.done(owner.post(f"/apps/{app['id']}/update"), "rolled_back")
    left = owner.get(f"/apps/{app['id']}")
    assert (left["version"], left["status"]) == ("1.0", "running")
    assert fetch(left, "/data/file.bin") == PAYLOAD
    assert proxmox_simulator.vmids() == before


def test_rollback_goes_back_one_version_and_keeps_the_data(
    owner: Caller, app: dict[str, Any]
) -> None:
    answer = owner.expect(409, f"/apps/{app['id']}/rollback")
    assert "never updated" in answer["detail"]
    owner.done(owner.post(f"/apps/{app['id']}/update"))
    fetch(owner.get(f"/apps/{app['id']}"), "/data/more.bin", put=b"since the update")
    owner.done(owner.post(f"/apps/{app['id']}/rollback"))
    old = owner.get(f"/apps/{app['id']}")
    assert old["version"] == "1.0"
    assert fetch(old, "/data/file.bin") == PAYLOAD
    assert fetch(old, "/data/more.bin") == b"since the update"


def test_update_to_what_is_there_or_unknown_is_refused(owner: Caller, app: dict[str, Any]) -> None:
    owner.expect(409, f"/apps/{app['id']}/update", version="1.0")
    answer = owner.expect(422, f"/apps/{app['id']}/update", version="0.9")
    assert "2.0" in answer["fields"]["version"]
    assert owner.get(f"/apps/{app['id']}")["status"] == "running"


def test_stopped_app_can_be_updated(owner: Caller, app: dict[str, Any]) -> None:
    owner.done(owner.post(f"/apps/{app['id']}/actions", action="stop"))
    owner.done(owner.post(f"/apps/{app['id']}/update"))
    assert fetch(owner.get(f"/apps/{app['id']}"), "/data/file.bin") == PAYLOAD
