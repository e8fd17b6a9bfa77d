"""The gateway: writes outside the lease get 403, creates are written down, the rest passes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from proxmoxer.core import AuthenticationError, ResourceException

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.errors import InvalidValue, LoginRefused
from pytest_proxmox.gateway.record import Recording
from pytest_proxmox.sandbox.lease import State
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.session import connect
from pytest_proxmox.target.tasks import wait
from pytest_proxmox.values import Vmid
from tests.unit.gateway.conftest import TEMPLATE, THEIRS, Guarded

BY_BOTH = pytest.mark.parametrize("transport", ["in-process", "https"])


@BY_BOTH
def test_delete_of_a_foreign_guest_gets_403_and_is_not_forwarded(guarded: Guarded) -> None:
    before = guarded.sim.guest(THEIRS)
    with pytest.raises(ResourceException, match=f"403 .*guest {THEIRS} is not leased"):
        guarded.api(f"nodes/pve/lxc/{THEIRS}").delete(purge=1)
    assert guarded.sim.guest(THEIRS) == before
    assert not any(call.method == "DELETE" for call in guarded.sim.calls)
    assert [str(one) for one in guarded.gateway.refusals()] == [
        f"DELETE /nodes/pve/lxc/{THEIRS} was refused: guest {THEIRS} is not leased by this run"
    ]


def test_app_that_asks_for_a_free_vmid_gets_a_leased_one(guarded: Guarded) -> None:
    api = guarded.api
    vmid = int(api("cluster/nextid").get())
    assert vmid == int(api("cluster/nextid").get())
    guarded.make(vmid)
    lease = guarded.gateway.keeper.lease_of(vmid)
    assert lease is not None
    assert (lease.state, lease.node, lease.kind) == (State.LIVE, "pve", "lxc")
    assert lease.upid is not None
    assert int(api("cluster/nextid").get()) != vmid


def test_guest_goes_into_the_leases_pool_without_the_app_knowing(guarded: Guarded) -> None:
    guarded.make(9005)
    lease = guarded.gateway.keeper.lease_of(9005)
    assert lease is not None
    assert lease.pool is not None
    members = guarded.sandbox.calls.get("pools", poolid=lease.pool)[0]["members"]
    assert [row["vmid"] for row in members] == [9005]


def test_create_is_in_the_ledger_before_it_is_forwarded(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    forward = guarded.gateway._upstream

    def look(request: Any, call: Any, *, door: str) -> Any:
        if call.is_write:
            seen.append(guarded.gateway.keeper.lease_of(9005))
        return forward(request, call, door=door)

    monkeypatch.setattr(guarded.gateway, "_upstream", look)
    guarded.make(9005)
    assert (seen[0].state, seen[0].kind, seen[0].node) == (State.CREATING, "lxc", "pve")


@BY_BOTH
def test_app_may_do_everything_with_its_own_guest(guarded: Guarded) -> None:
    api = guarded.api
    guarded.make(9005, start=1)
    guest = "nodes/pve/lxc/9005"
    api(f"{guest}/config").put(memory=256, description="mine")
    assert api(f"{guest}/config").get()["description"] == "mine\n"
    api(f"{guest}/status/stop").post()
    clone = api(f"{guest}/clone").post(newid=9006)
    wait(api, clone, timeout_s=60, clock=ManualClock()).demand("clone")
    wait(api, api(guest).delete(), timeout_s=60, clock=ManualClock()).demand("delete")
    assert not guarded.gateway.refusals()
    assert guarded.vmids() == {THEIRS, TEMPLATE, 9006}


def test_named_template_may_be_cloned_and_not_changed(guarded: Guarded) -> None:
    api = guarded.api
    with pytest.raises(ResourceException, match=r"VM.Clone"):  # by the Proxmox: the gateway lets it
        api(f"nodes/pve/lxc/{TEMPLATE}/clone").post(newid=9007)
    with pytest.raises(ResourceException, match="pytest-proxmox gateway"):
        api(f"nodes/pve/lxc/{TEMPLATE}").delete()


def test_vmid_that_is_somebody_elses_is_not_created_over(guarded: Guarded) -> None:
    with pytest.raises(ResourceException, match=f"403 .*VMID {THEIRS} is taken"):
        guarded.api("nodes/pve/lxc").post(**guarded.order(THEIRS, force=1, restore=1))
    assert guarded.gateway.keeper.lease_of(THEIRS) is None


def test_app_that_picks_a_taken_vmid_is_told_what_a_node_would_say(guarded: Guarded) -> None:
    api = guarded.api
    theirs = guarded.sandbox.ledger.claim_exactly(
        guarded.sandbox.facts.url, Vmid(9005), Run.here("run-1", worker="gw1")
    )
    assert theirs is not None
    for vmid in (THEIRS, 9005):
        with pytest.raises(ResourceException, match=f"500 .*CT {vmid} already exists on node"):
            api("nodes/pve/lxc").post(**guarded.order(vmid))
    guarded.make(9006)
    assert guarded.gateway.refusals() == []


def test_pool_of_somebody_else_is_refused(guarded: Guarded) -> None:
    with pytest.raises(ResourceException, match=r"403 .*pool production is not this run's"):
        guarded.api("nodes/pve/lxc").post(**guarded.order(9005, pool="production"))
    assert 9005 not in guarded.vmids()


def test_release_removes_what_the_app_made_and_nothing_else(guarded: Guarded) -> None:
    kept = guarded.sandbox.lxc()
    guarded.make(9005)
    guarded.make(9006)
    lease = guarded.gateway.keeper.lease_of(9006)
    assert lease is not None
    assert guarded.gateway.keeper.release({lease.id}) == []
    assert guarded.vmids() == {THEIRS, TEMPLATE, int(kept.vmid), 9006}
    assert guarded.gateway.keeper.release() == []
    assert guarded.sandbox.close() == []
    assert guarded.sandbox.sweep_run() == []
    assert guarded.vmids() == {THEIRS, TEMPLATE}


@BY_BOTH
def test_lost_answer_to_a_create_leaves_nothing_behind(guarded: Guarded) -> None:
    guarded.gateway.faults.drop("POST", "/nodes/*/lxc", phase="after")
    with pytest.raises(requests.exceptions.ConnectionError):
        guarded.api("nodes/pve/lxc").post(**guarded.order(9005))
    assert guarded.gateway.keeper.release() == []
    assert guarded.vmids() == {THEIRS, TEMPLATE}


def test_dropped_before_means_never_forwarded(guarded: Guarded) -> None:
    guarded.gateway.faults.drop("POST", "/nodes/*/lxc", phase="before")
    with pytest.raises(requests.exceptions.ConnectionError):
        guarded.api("nodes/pve/lxc").post(**guarded.order(9005))
    assert guarded.gateway.keeper.leases() == []


@BY_BOTH
def test_faults_have_a_real_nodes_texts(guarded: Guarded) -> None:
    api = guarded.api
    guarded.gateway.faults.fail("GET", "/nodes", error="broken-pipe", times=1)
    with pytest.raises(ResourceException, match=r"596 .*Broken pipe"):
        api("nodes").get()
    guarded.gateway.faults.fail("POST", "**", error="config-lock", times=1)
    with pytest.raises(ResourceException, match=r"can't lock file .*-9005.* got timeout"):
        api("nodes/pve/lxc/9005/status/start").post()
    assert api("nodes").get()


def test_fault_inside_a_real_proxmox_is_refused(guarded: Guarded) -> None:
    with pytest.raises(InvalidValue, match="happens inside a Proxmox"):
        guarded.gateway.faults.slow_task("vzcreate", 5)


@BY_BOTH
def test_gateway_has_logins_of_its_own(guarded: Guarded) -> None:
    there = guarded.door.endpoint
    keys = guarded.gateway.desk.keys
    wrong = Endpoint(there.host, there.port, there.user, "wrong", ca_file=there.ca_file)
    with pytest.raises((AuthenticationError, LoginRefused)):
        connect(wrong)
    token = Endpoint(
        there.host,
        there.port,
        there.user,
        token_name=keys.token_name,
        token_value=keys.token_value,
        ca_file=there.ca_file,
    )
    assert connect(token)("version").get()["version"]
    assert keys.password not in repr(keys)
    assert keys.token_value not in repr(there)


@BY_BOTH
def test_errors_and_texts_come_through_as_they_are(guarded: Guarded) -> None:
    guarded.make(9005)
    with pytest.raises(ResourceException, match=r"500 .*CT 9005 not running") as caught:
        guarded.api("nodes/pve/lxc/9005/status/stop").post()
    assert caught.value.content == "CT 9005 not running"
    with pytest.raises(ResourceException, match="501"):
        guarded.api("nodes/pve/nothing").get()


def test_recording_holds_no_secret(guarded: Guarded) -> None:
    guarded.make(9005, password="opensesame", description="hello")
    text = (guarded.folder / "exchanges-main.jsonl").read_text()
    assert "opensesame" not in text
    assert "hello" in text
    for secret in (guarded.gateway.desk.keys.password, guarded.gateway.desk.keys.token_value):
        assert secret not in text
    assert len(Recording.read(guarded.folder).exchanges) == len(text.splitlines()) - 1


def test_no_write_is_forwarded_with_a_wrong_csrf_token(guarded: Guarded) -> None:
    from pytest_proxmox.simulator.wire import Request

    login = guarded.gateway.handle(
        Request(
            "POST",
            "/api2/json/access/ticket",
            {"content-type": "application/x-www-form-urlencoded"},
            f"username={guarded.door.endpoint.user}&password={guarded.door.endpoint.password}".encode(),
        )
    )
    ticket = json.loads(login.body)["data"]["ticket"]
    headers = {"cookie": f"PVEAuthCookie={ticket}", "csrfpreventiontoken": "x"}
    answer = guarded.gateway.handle(Request("POST", "/api2/json/nodes/pve/lxc", headers))
    assert (answer.status, answer.reason) == (401, "Permission denied - invalid csrf token")
    assert guarded.gateway.handle(Request("GET", "/api2/json/version", headers)).status == 200
    assert guarded.gateway.handle(Request("GET", "/api2/json/version")).reason == "No ticket"
