"""Deploying, starting, stopping, restarting and deleting, as a user does it."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from typing import Any

import pytest

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from pytest_proxmox.simulator.faults import Faults
from tests.app.conftest import VMIDS, Caller

pytestmark = [pytest.mark.vmid_range(size=VMIDS), pytest.mark.lifecycle]
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(app: dict[str, Any], path: str, put: bytes | None = None) -> bytes:
    """Ask an app directly."""
    url = f"http://{app['address']}:{app['port']}{path}"
    request = urllib.request.Request(url, data=put, method="GET" if put is None else "PUT")
    with DIRECT.open(request, timeout=10) as answer:
        body: bytes = answer.read()
        return body


def test_deployed_app_runs_and_answers(owner: Caller, proxmox_simulator: EmbeddedProxmox) -> None:
    app = owner.deploy("nginx", "My-Site", environment={"COLOUR": "sea green"})
    assert app["id"] == "nginx-my-site"
    assert (app["status"], app["version"], app["owner"]) == ("running", "2.0", "owner")
    assert fetch(app, "/version") == b"2.0"
    assert "COLOUR=sea green" in fetch(app, "/").decode()
    guest = proxmox_simulator.guest(app["vmid"])
    assert guest is not None
    assert guest.name == "my-site"
    assert "mp=/usr/share/nginx/html" in guest.config["mp0"]


def test_deploy_shows_its_steps(owner: Caller) -> None:
    accepted = owner.post("/apps/deploy", catalog_id="nginx", hostname="site", version="1.0")
    assert accepted["app"]["status"] == "deploying"
    operation = owner.done(accepted)
    steps = [line.partition(" ")[2] for line in operation["log"]]
    assert steps[3] == "Creating LXC container"
    assert steps[-1] == "Finalizing deployment"
    assert operation["percent"] == 100


def test_app_stops_starts_restarts_and_goes(
    owner: Caller, proxmox_simulator: EmbeddedProxmox
) -> None:
    app = owner.deploy()
    path = f"/apps/{app['id']}"
    for action, status in (("stop", "stopped"), ("start", "running"), ("restart", "running")):
        owner.done(owner.post(f"{path}/actions", action=action))
        assert owner.get(path)["status"] == status
    assert fetch(owner.get(path), "/health")
    owner.done(owner.call("DELETE", path))
    owner.get(path, 404)
    assert proxmox_simulator.guest(app["vmid"]) is None
    assert owner.get("/apps")["total"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"hostname": "a_b"}, "hostname"),
        ({"hostname": "-ab"}, "hostname"),
        ({"hostname": "ab"}, "hostname"),
        ({"hostname": "x" * 64}, "hostname"),
        ({"hostname": "größe"}, "hostname"),
        ({"catalog_id": "nonesuch"}, "catalog_id"),
        ({"version": "9.9"}, "version"),
        ({"memory_mib": 128}, "memory_mib"),
        ({"cores": 17}, "cores"),
        ({"environment": {"not a name": "x"}}, "environment"),
        ({"environment": {"A": "one\ntwo"}}, "environment"),
        ({"colour": "red"}, "colour"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_deploy_names_its_field(owner: Caller, body: dict[str, Any], field: str) -> None:
    answer = owner.expect(422, "/apps/deploy", **{"catalog_id": "nginx", "hostname": "ok1"} | body)
    assert field in answer["fields"]
    assert answer["code"] == "invalid"
    assert owner.get("/apps")["total"] == 0


def test_second_app_of_a_hostname_is_refused(owner: Caller) -> None:
    owner.deploy(hostname="site")
    answer = owner.expect(409, "/apps/deploy", catalog_id="gitea", hostname="site")
    assert answer["fields"] == {"hostname": "is taken"}


def test_second_operation_on_an_app_is_refused_while_one_runs(
    owner: Caller, proxmox_faults: Faults
) -> None:
    app = owner.deploy()
    proxmox_faults.add(effect="latency", seconds=1.0, method="POST", path="**/status/**", times=1)
    begun = owner.post(f"/apps/{app['id']}/actions", action="stop")
    answer = owner.expect(409, f"/apps/{app['id']}/actions", action="start")
    assert answer["code"] == "busy"
    owner.done(begun)
    owner.done(owner.post(f"/apps/{app['id']}/actions", action="start"))


@pytest.mark.parametrize(
    "fault",
    [
        {"effect": "task-error", "task": "vzcreate", "text": "no space left"},
        {"effect": "task-error", "task": "vzstart", "text": "startup failed"},
        {"effect": "storage-full", "storage": "local-lvm"},
        {"effect": "task-error", "task": "ocipull", "text": "manifest unknown"},
        {"effect": "error", "error": "forbidden", "method": "POST", "path": "/nodes/*/lxc"},
    ],
    ids=["create", "start", "full", "image", "forbidden"],
)
def test_failed_deploy_leaves_nothing(
    owner: Caller,
    fault: dict[str, Any],
    proxmox_faults: Faults,
    proxmox_simulator: EmbeddedProxmox,
) -> None:
    before = proxmox_simulator.vmids()
    proxmox_faults.add(**fault)
    accepted = owner.post("/apps/deploy", catalog_id="nginx", hostname="site")
    operation = owner.done(accepted, "rolled_back")
    assert operation["error"]
    assert owner.get("/apps")["total"] == 0
    assert proxmox_simulator.vmids() == before
    proxmox_faults.clear()
    owner.deploy(hostname="site")


def test_unhealthy_app_is_not_kept(owner: Caller, proxmox_simulator: EmbeddedProxmox) -> None:
    before = proxmox_simulator.vmids()
    accepted = owner.post("/apps/deploy", catalog_id="update-drill", hostname="sick", version="2.0")
    operation = owner.done(accepted, "rolled_back")
    assert "not healthy" in operation["error"]
    assert proxmox_simulator.vmids() == before


@pytest.mark.parametrize(
    "fault",
    [
        {"effect": "error", "error": "config-lock", "method": "POST", "path": "**/status/start"},
        {"effect": "error", "error": "no-quorum", "method": "POST", "path": "/nodes/*/lxc"},
        {"effect": "error", "error": "timed-out", "method": "POST", "path": "/nodes/*/lxc"},
        {"effect": "drop", "phase": "after", "method": "POST", "path": "/nodes/*/lxc"},
        {"effect": "drop", "phase": "before", "method": "POST", "path": "/nodes/*/lxc"},
        {"effect": "drop", "phase": "after", "method": "POST", "path": "**/status/start"},
    ],
    ids=["lock", "quorum", "timeout", "lost answer", "lost request", "lost start"],
)
def test_passing_fault_is_tried_again(
    owner: Caller,
    fault: dict[str, Any],
    proxmox_faults: Faults,
    proxmox_simulator: EmbeddedProxmox,
) -> None:
    before = proxmox_simulator.vmids()
    proxmox_faults.add(times=1, **fault)
    app = owner.deploy()
    assert app["status"] == "running"
    assert proxmox_simulator.vmids() - before == {app["vmid"]}


def test_row_stays_when_the_container_cannot_be_destroyed(
    owner: Caller, proxmox_faults: Faults, proxmox_simulator: EmbeddedProxmox
) -> None:
    app = owner.deploy()
    proxmox_faults.add(effect="task-warnings", task="vzdestroy", times=1)
    owner.done(owner.call("DELETE", f"/apps/{app['id']}"), "failed")
    kept = owner.get(f"/apps/{app['id']}")
    assert kept["status"] == "error"
    assert "WARNINGS" in kept["status_text"]
    owner.done(owner.call("DELETE", f"/apps/{app['id']}"))
    assert proxmox_simulator.guest(app["vmid"]) is None


def test_cancelled_deploy_leaves_nothing(
    owner: Caller, proxmox_faults: Faults, proxmox_simulator: EmbeddedProxmox
) -> None:
    before = proxmox_simulator.vmids()
    proxmox_faults.add(effect="latency", seconds=0.7, method="POST", path="/nodes/*/lxc")
    accepted = owner.post("/apps/deploy", catalog_id="nginx", hostname="site")
    owner.post(f"/operations/{accepted['operation']['id']}/cancel")
    owner.done(accepted, "cancelled")
    assert proxmox_simulator.vmids() == before
    assert owner.get("/apps")["total"] == 0


def test_apps_are_deployed_at_the_same_time_without_meeting(owner: Caller) -> None:
    begun = [owner.post("/apps/deploy", catalog_id="nginx", hostname=f"site{n}") for n in range(4)]
    for accepted in begun:
        owner.done(accepted)
    apps = owner.get("/apps")["apps"]
    assert len({app["vmid"] for app in apps}) == len({app["url"] for app in apps}) == 4


def test_two_requests_for_one_hostname_make_one_app(owner: Caller) -> None:
    statuses: list[int] = []

    def ask() -> None:
        body = {"catalog_id": "nginx", "hostname": "site"}
        headers = {"Authorization": f"Bearer {owner.token}"}
        answer = owner.client.post("/api/v1/apps/deploy", json=body, headers=headers)
        statuses.append(answer.status_code)
        if answer.status_code == 202:
            owner.done(answer.json())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [202, 409, 409, 409]


def test_guest_in_the_way_is_left_alone(
    owner: Caller, vmid: int, proxmox_simulator: EmbeddedProxmox, proxmox: Any
) -> None:
    guest = {"vmid": int(vmid), "type": "lxc", "node": "pve", "status": "stopped"}
    proxmox_simulator.plant(**guest, config={"hostname": "somebodys"})
    try:
        app = owner.deploy()
        assert app["vmid"] == int(vmid) + 1
        left = proxmox_simulator.guest(int(vmid))
        assert left is not None
        assert left.name == "somebodys"
    finally:
        proxmox.nodes("pve").lxc(int(vmid)).delete()  # nobody's guest: the sandbox leaves it


def test_secrets_are_stored_sealed(owner: Caller, manager: Any) -> None:
    app = owner.deploy(environment={"DB_PASSWORD": "hunter2hunter2"})
    row = manager.store.run(lambda db: db.apps.get(app["id"]))
    operation = manager.store.run(lambda db: db.operations.find_many().data[0])
    stored = (
        f"{row.environment}{row.config}{row.sealed_root_password}{operation.plan}{operation.log}"
    )
    assert "hunter2" not in stored
    shown = owner.get(f"/apps/{app['id']}/environment")
    assert shown["DB_PASSWORD"] == "******"
    revealed = owner.get(f"/apps/{app['id']}/environment", reveal=True)
    assert revealed["DB_PASSWORD"] == "hunter2hunter2"


def test_lists_are_filtered_and_paged(owner: Caller, admin: Caller) -> None:
    owner.deploy("nginx", "alpha")
    owner.deploy("gitea", "beta")
    owner.done(owner.post("/apps/nginx-alpha/actions", action="stop"))
    assert [a["id"] for a in owner.get("/apps", status="stopped")["apps"]] == ["nginx-alpha"]
    assert [a["id"] for a in owner.get("/apps", category="development")["apps"]] == ["gitea-beta"]
    assert [a["id"] for a in owner.get("/apps", search="BET")["apps"]] == ["gitea-beta"]
    assert [a["id"] for a in owner.get("/apps", search="%")["apps"]] == []
    page = owner.get("/apps", page=2, per_page=1)
    assert (page["total"], [a["id"] for a in page["apps"]]) == (2, ["gitea-beta"])
    assert admin.get("/apps")["total"] == 2
