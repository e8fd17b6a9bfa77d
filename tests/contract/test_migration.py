"""Containers on several nodes: moving, what moves along, nodes that are gone (golden 08, 13)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from .client import Client
from .container_room import MIB, config, content, create, lxc, power, status

ONE = lxc("pve1", 100)
TWO = lxc("pve2", 100)


@pytest.fixture
def pve(cluster: Client) -> Client:
    """Root on three nodes: container 100 lies on a shared storage, 101 on a local one."""
    create(cluster, 100, node="pve1", rootfs="shared:1")
    create(cluster, 101, node="pve1", rootfs="local-lvm:1")
    return cluster


def migrate(pve: Client, vmid: int = 100, target: str = "pve2", **params: Any) -> str:
    return pve.finish(pve.post(lxc("pve1", vmid) + "/migrate", target=target, **params))


def refused(pve: Client, said: Any) -> str:
    """Return why a migration was aborted: the line in its log."""
    assert pve.finish(said) == "migration aborted"
    line = next(text for text in pve.log(said.data) if text.startswith("ERROR: "))
    return line.partition("): ")[2]


# --- moving ---------------------------------------------------------------------------------------


def test_a_stopped_container_lives_on_another_node(pve: Client) -> None:
    before = config(pve, node="pve1")
    assert migrate(pve) == "OK"
    missing = "Configuration file 'nodes/pve1/lxc/100.conf' does not exist"
    assert pve.get(ONE + "/config").refusal == (500, missing)
    assert config(pve, node="pve2") == before
    assert [row["vmid"] for row in pve.get("/nodes/pve2/lxc").data] == [100]


def test_resources_show_where_it_is_now(pve: Client) -> None:
    migrate(pve)
    pve.sim.clock.advance(30)
    where = {row["vmid"]: row["node"] for row in pve.get("/cluster/resources", type="vm").data}
    assert where == {100: "pve2", 101: "pve1"}


def test_a_shared_volume_stays_and_a_local_one_goes_along(pve: Client) -> None:
    shared = content(pve, "shared", node="pve1")
    assert migrate(pve, 100) == "OK"
    assert migrate(pve, 101) == "OK"
    assert content(pve, "shared", node="pve2") == shared
    assert content(pve, "local-lvm", node="pve1") == {}
    assert list(content(pve, "local-lvm", node="pve2")) == ["local-lvm:vm-101-disk-0"]
    assert power(pve, "start", 101, node="pve2") == "OK"


def test_a_local_volume_can_come_to_lie_on_another_storage(pve: Client) -> None:
    assert migrate(pve, 101, **{"target-storage": "local-lvm:shared"}) == "OK"
    assert config(pve, 101, node="pve2")["rootfs"].startswith("shared:101/vm-101-disk-0.raw,")
    assert content(pve, "local-lvm", node="pve1") == {}
    assert power(pve, "start", 101, node="pve2") == "OK"


def test_snapshots_go_along(pve: Client) -> None:
    pve.finish(pve.post(lxc("pve1", 101) + "/snapshot", snapname="s1"))
    assert migrate(pve, 101) == "OK"
    there = lxc("pve2", 101)
    assert pve.finish(pve.post(there + "/snapshot/s1/rollback")) == "OK"
    assert config(pve, 101, node="pve2")["parent"] == "s1"


def test_a_running_container_is_restarted_on_the_other_node(pve: Client) -> None:
    power(pve, "start", node="pve1")
    before = pve.get(ONE + "/status/current").data["pid"]
    assert migrate(pve, restart=1) == "OK"
    after = pve.get(TWO + "/status/current").data
    assert after["status"] == "running"
    assert after["pid"] != before


def test_a_stopped_container_stays_stopped(pve: Client) -> None:
    assert migrate(pve, restart=1) == "OK"
    assert status(pve, node="pve2") == "stopped"


def test_a_running_container_moves_only_with_a_restart(pve: Client) -> None:
    power(pve, "start", node="pve1")
    text = "can't migrate running container without --online or --restart"
    assert pve.post(ONE + "/migrate", target="pve2").refusal == (500, text)
    said = pve.post(ONE + "/migrate", target="pve2", online=1)
    assert refused(pve, said) == "lxc live migration is currently not implemented"
    assert status(pve, node="pve1") == "running"
    assert "lock" not in config(pve, node="pve1")


def test_it_is_locked_on_its_way_and_free_after_a_stop(pve: Client) -> None:
    said = pve.post(ONE + "/migrate", target="pve2")
    assert config(pve, node="pve1")["lock"] == "migrate"
    assert pve.put(ONE + "/config", memory=99).refusal == (500, "CT is locked (migrate)")
    pve.delete(f"/nodes/pve1/tasks/{said.data}")
    assert pve.finish(said) == "interrupted by signal"
    assert "lock" not in config(pve, node="pve1")


def test_a_migration_waits_for_who_changes_the_container(pve: Client) -> None:
    resized = pve.put(ONE + "/resize", disk="rootfs", size="+1G")
    moved = pve.post(ONE + "/migrate", target="pve2")
    assert pve.finish(moved) == "OK"
    assert pve.finish(resized) == "OK"
    assert config(pve, node="pve2")["rootfs"].endswith("size=2G")


def test_where_it_could_go_is_told_beforehand(pve: Client) -> None:
    assert pve.get(ONE + "/migrate").data == {
        "running": 0,
        "allowed-nodes": ["pve2", "pve3"],
        "not-allowed-nodes": {},
    }


@pytest.mark.parametrize(
    ("target", "refusal"),
    [
        ("pve1", (400, "Parameter verification failed.")),
        ("pve9", (500, "no such cluster node 'pve9'")),
    ],
    ids=["itself", "unknown"],
)
def test_where_it_cannot_go_is_refused(pve: Client, target: str, refusal: tuple[int, str]) -> None:
    assert pve.post(ONE + "/migrate", target=target).refusal == refusal
    assert config(pve, node="pve1")["hostname"] == "ct100"


# --- what holds it back ---------------------------------------------------------------------------


@pytest.mark.parametrize(("vmid", "storage"), [(100, "shared"), (101, "local-lvm")])
def test_a_storage_that_the_target_lacks_holds_it_back(
    pve: Client, vmid: int, storage: str
) -> None:
    pve.put(f"/storage/{storage}", nodes="pve1,pve3")
    said = pve.post(lxc("pve1", vmid) + "/migrate", target="pve2")
    assert refused(pve, said) == f"storage '{storage}' is not available on node 'pve2'"
    assert migrate(pve, vmid, "pve3") == "OK"


def test_a_storage_for_other_things_takes_no_container(pve: Client) -> None:
    said = pve.post(lxc("pve1", 101) + "/migrate", target="pve2", **{"target-storage": "local"})
    assert refused(pve, said).startswith("content type 'rootdir' is not available")
    unknown = pve.post(ONE + "/migrate", target="pve2", **{"target-storage": "no"})
    assert unknown.refusal == (500, "storage 'no' does not exist")


def test_a_base_with_linked_clones_stays(pve: Client) -> None:
    pve.post(lxc("pve1", 101) + "/template")
    assert pve.finish(pve.post(lxc("pve1", 101) + "/clone", newid=102)) == "OK"
    said = pve.post(lxc("pve1", 101) + "/migrate", target="pve2")
    assert "still in use by linked clones" in refused(pve, said)
    assert migrate(pve, 102) == "OK"
    row = content(pve, "local-lvm", node="pve2")["local-lvm:vm-102-disk-0"]
    assert row["parent"] is None
    assert migrate(pve, 101) == "OK"


def test_who_may_not_migrate_is_refused(pve: Client) -> None:
    pve.post("/access/users", userid="ann@pve", password="secret123")
    pve.put("/access/acl", path="/vms/100", users="ann@pve", roles="PVEVMUser")
    said = pve.as_user("ann@pve").post(ONE + "/migrate", target="pve2")
    assert said.refusal == (403, "Permission check failed (/vms/100, VM.Migrate)")


# --- clones on another node -----------------------------------------------------------------------


def test_a_clone_comes_to_be_elsewhere_if_that_node_sees_the_volumes(pve: Client) -> None:
    assert pve.finish(pve.post(ONE + "/clone", newid=200, target="pve2")) == "OK"
    assert config(pve, 200, node="pve2")["rootfs"].startswith("shared:200/")
    said = pve.post(lxc("pve1", 101) + "/clone", newid=201, target="pve2")
    assert said.refusal == (500, "can't clone CT to node 'pve2' (CT uses local storage)")


def test_a_vmid_is_taken_on_every_node(pve: Client) -> None:
    template = "local:vztmpl/alpine-3.18-default_20230607_amd64.tar.xz"
    said = pve.post("/nodes/pve3/lxc", vmid=100, ostemplate=template, rootfs="local-lvm:1")
    assert said.refusal == (500, "CT 100 already exists on node 'pve1'")


# --- a node that is gone --------------------------------------------------------------------------


def test_nothing_moves_to_or_from_a_node_that_is_off(pve: Client) -> None:
    name = pve.sim.faults.add(effect="node-offline", node="pve2")
    assert pve.post(ONE + "/migrate", target="pve2").refusal == (500, "node 'pve2' is not online")
    pve.sim.faults.remove(name)
    assert migrate(pve) == "OK"
    pve.sim.faults.add(effect="node-offline", node="pve2")
    assert pve.post(TWO + "/migrate", target="pve1").refusal == (595, "No route to host")
    assert pve.get(TWO + "/config").refusal == (595, "No route to host")


def test_the_others_go_on_while_a_node_is_off(pve: Client) -> None:
    power(pve, "start", node="pve1")
    pve.sim.clock.advance(30)
    pve.sim.faults.add(effect="node-offline", node="pve2")
    assert migrate(pve, 101, "pve3") == "OK"
    pve.sim.clock.advance(30)
    rows = {row["id"]: row["status"] for row in pve.get("/cluster/resources").data}
    assert rows["node/pve2"] == "offline"
    assert rows["lxc/100"] == "running"


def test_a_larger_volume_takes_longer(pve: Client) -> None:
    def seconds(used: int, target: str, source: str) -> int:
        (volume,) = pve.sim.volumes.of_guest(101, source)
        pve.sim.volumes.put(replace(volume, used=used))
        upid = pve.post(lxc(source, 101) + "/migrate", target=target).data
        found = pve.get(f"/nodes/{source}/tasks/{upid}/status").data
        listed = pve.get(f"/nodes/{source}/tasks", vmid=101, limit=1).data[0]
        return int(listed["endtime"]) - int(found["starttime"])

    assert seconds(100 * MIB, "pve2", "pve1") < seconds(1000 * MIB, "pve1", "pve2")
