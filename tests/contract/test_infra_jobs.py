"""Backup jobs, replication, realm sync, schedules; and high availability."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_proxmox.simulator.simulator import Simulator

from .client import Client


def make(client: Client, **params: Any) -> None:
    job = {"id": "job", "schedule": "daily", "storage": "local"} | params
    assert client.post("/cluster/backup", **job).status == 200


def test_a_backup_job_is_read_as_made(pve: Client) -> None:
    make(pve, vmid="100,101", enabled=0)
    expected = {
        "id": "job",
        "type": "vzdump",
        "schedule": "daily",
        "storage": "local",
        "vmid": "100,101",
        "enabled": 0,
    }
    assert pve.get("/cluster/backup/job").data == expected
    assert pve.get("/cluster/backup").data == [expected]


def test_an_enabled_job_knows_when_it_runs_next(pve: Client, sim: Simulator) -> None:
    make(pve, all=1)
    coming = pve.get("/cluster/backup/job").data["next-run"]
    assert coming % 86400 == 0
    assert 0 < coming - sim.clock.now() <= 86400


def test_a_job_without_an_id_gets_one(pve: Client) -> None:
    pve.post("/cluster/backup", schedule="daily", all=1)
    [job] = pve.get("/cluster/backup").data
    assert job["id"].startswith("backup-")


def test_a_start_time_becomes_a_schedule(pve: Client) -> None:
    pve.post("/cluster/backup", id="job", starttime="21:00", dow="mon,tue", all=1)
    job = pve.get("/cluster/backup/job").data
    assert job["schedule"] == "mon,tue 21:00"
    assert "starttime" not in job


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"schedule": "daily"}, "vmid"),
        ({"schedule": "daily", "vmid": "100", "all": 1}, "all"),
        ({"vmid": "100"}, "schedule"),
    ],
    ids=["nothing-chosen", "chosen-twice", "no-schedule"],
)
def test_a_job_must_say_what_and_when(pve: Client, params: dict[str, Any], field: str) -> None:
    assert field in pve.post("/cluster/backup", **params).errors


def test_choosing_guests_in_another_way_forgets_the_old_one(pve: Client) -> None:
    make(pve, vmid="100", comment="c")
    assert pve.put("/cluster/backup/job", all=1, delete="comment").status == 200
    job = pve.get("/cluster/backup/job").data
    assert job["all"] == 1
    assert not {"vmid", "comment"} & set(job)


def test_a_job_that_is_not_there(pve: Client) -> None:
    assert pve.get("/cluster/backup/nope").errors == {"id": "No such job 'nope'"}
    make(pve, all=1)
    assert pve.delete("/cluster/backup/job").status == 200
    again = pve.delete("/cluster/backup/job")
    assert again.refusal == (500, "400 Parameter verification failed.")
    assert again.body["message"] == "400 Parameter verification failed.\nid: No such job 'job'\n"


def test_a_job_names_the_volumes_that_it_takes(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=100, config={"mp0": "local-lvm:vm-100-disk-1,mp=/data,backup=1"})
    sim.plant(vmid=101)
    make(pve, vmid="100")
    [guest] = pve.get("/cluster/backup/job/included_volumes").data["children"]
    assert guest["id"] == 100
    included = {child["id"]: child["included"] for child in guest["children"]}
    assert included == {"100:mp0": 1, "100:rootfs": 1}


def test_what_no_job_takes_is_listed(pve: Client, sim: Simulator) -> None:
    for vmid in (100, 101, 102):
        sim.plant(vmid=vmid)
    pve.post("/pools", poolid="p")
    pve.put("/pools/p", vms="101")
    make(pve, vmid="100")
    make(pve, id="pooled", pool="p")
    make(pve, id="off", all=1, enabled=0)
    left = pve.get("/cluster/backup-info/not-backed-up").data
    assert [guest["vmid"] for guest in left] == [102]


def test_a_purged_guest_leaves_its_jobs(pve: Client, sim: Simulator) -> None:
    for vmid in (100, 101):
        sim.plant(vmid=vmid)
    make(pve, vmid="100,101")
    pve.finish(pve.delete("/nodes/pve/lxc/100"))
    assert pve.get("/cluster/backup/job").data["vmid"] == "100,101"
    pve.finish(pve.delete("/nodes/pve/lxc/101", purge=1))
    assert pve.get("/cluster/backup/job").data["vmid"] == "100"


def test_a_schedule_is_told_in_advance(pve: Client) -> None:
    said = pve.get(
        "/cluster/jobs/schedule-analyze", schedule="*/15", starttime=1_800_000_000, iterations=3
    )
    assert [entry["timestamp"] - 1_800_000_000 for entry in said.data] == [900, 1800, 2700]


# --- replication and realm sync -----------------------------------------------------------------


@pytest.fixture
def replicated(cluster: Client) -> Client:
    """Root on a cluster where container 100 of pve1 is replicated to pve2."""
    cluster.sim.plant(vmid=100, node="pve1")
    made = cluster.post("/cluster/replication", id="100-0", type="local", target="pve2")
    assert made.status == 200
    return cluster


def test_a_replication_job_is_read_changed_and_removed(replicated: Client) -> None:
    job = replicated.get("/cluster/replication/100-0").data
    assert (job["guest"], job["jobnum"], job["source"], job["target"]) == (100, 0, "pve1", "pve2")
    replicated.put("/cluster/replication/100-0", schedule="hourly", comment="c")
    [listed] = replicated.get("/cluster/replication").data
    assert (listed["schedule"], listed["comment"]) == ("hourly", "c")
    assert replicated.delete("/cluster/replication/100-0").status == 200
    assert replicated.get("/cluster/replication").data == []


def test_a_node_knows_the_replication_of_its_guests(replicated: Client) -> None:
    [job] = replicated.get("/nodes/pve1/replication").data
    assert (job["id"], job["fail_count"]) == ("100-0", 0)
    assert replicated.get("/nodes/pve2/replication").data == []
    assert replicated.get("/nodes/pve1/replication/100-0/status").data["guest"] == 100


@pytest.mark.parametrize("target", ["pve1", "pve9"], ids=["itself", "not-there"])
def test_replication_needs_another_node(cluster: Client, target: str) -> None:
    cluster.sim.plant(vmid=100, node="pve1")
    said = cluster.post("/cluster/replication", id="100-0", type="local", target=target)
    assert said.status == 500


def test_a_replicated_guest_goes_only_with_purge(replicated: Client) -> None:
    assert replicated.delete("/nodes/pve1/lxc/100").status == 500
    assert replicated.finish(replicated.delete("/nodes/pve1/lxc/100", purge=1)) == "OK"
    assert replicated.get("/cluster/replication").data == []


def test_a_realm_sync_job_is_made_at_its_own_path(pve: Client) -> None:
    path = "/cluster/jobs/realm-sync/nightly"
    assert pve.post(path, realm="nowhere", schedule="daily").status == 500
    assert pve.post(path, realm="pve", schedule="daily").status == 200
    pve.put(path, schedule="weekly", comment="c")
    [job] = pve.get("/cluster/jobs/realm-sync").data
    assert (job["id"], job["realm"], job["schedule"]) == ("nightly", "pve", "weekly")
    pve.delete(path)
    assert pve.get(path).status == 500


# --- high availability --------------------------------------------------------------------------

HA = "/cluster/ha/resources"


@pytest.fixture
def ha(pve: Client, sim: Simulator) -> Client:
    """Root on a node that manages container 100, which is to be stopped."""
    sim.plant(vmid=100)
    assert pve.post(HA, sid="ct:100", state="stopped", comment="c").status == 200
    return pve


def test_a_managed_guest_is_read_changed_and_let_go(ha: Client) -> None:
    read = ha.get(f"{HA}/ct:100").data
    assert (read["sid"], read["type"], read["state"]) == ("ct:100", "ct", "stopped")
    ha.put(f"{HA}/ct:100", state="enabled", max_restart=3, delete="comment")
    [listed] = ha.get(HA).data
    assert (listed["state"], listed["max_restart"]) == ("started", 3)
    assert "comment" not in listed
    assert ha.get(HA, type="vm").data == []
    assert ha.delete(f"{HA}/ct:100").status == 200
    again = ha.delete(f"{HA}/ct:100")
    assert again.refusal == (500, "cannot delete service 'ct:100', not HA managed!")


def test_a_bare_id_finds_its_kind(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=101, type="qemu")
    pve.post(HA, sid="101")
    assert [entry["sid"] for entry in pve.get(HA).data] == ["vm:101"]


@pytest.mark.parametrize("sid", ["ct:100", "ct:999"], ids=["managed", "not-there"])
def test_a_guest_that_cannot_be_managed_is_refused(ha: Client, sid: str) -> None:
    assert ha.post(HA, sid=sid).status == 500


def test_a_managed_guest_goes_only_with_purge(ha: Client) -> None:
    said = ha.delete("/nodes/pve/lxc/100", force=1)
    assert said.refusal == (
        500,
        "unable to remove CT 100 - used in HA resources and purge parameter not set.",
    )
    purged = ha.delete("/nodes/pve/lxc/100", purge=1)
    assert ha.finish(purged) == "OK"
    assert ha.log(purged.data)[:2] == [
        "purging CT 100 from related configurations..",
        "NOTE: removed CT 100 from HA resource configuration.",
    ]
    assert ha.get(HA).data == []


def test_starting_a_managed_guest_asks_its_manager(ha: Client, sim: Simulator) -> None:
    asked = ha.post("/nodes/pve/lxc/100/status/start")
    assert asked.data.split(":")[5] == "hastart"
    assert ha.finish(asked) == "OK"
    assert ha.log(asked.data)[0] == "Requesting HA start for CT 100"
    assert ha.get(f"{HA}/ct:100").data["state"] == "started"
    sim.clock.advance(5)
    assert ha.get("/nodes/pve/lxc/100/status/current").data["status"] == "running"


def test_the_status_lists_managers_and_services(ha: Client) -> None:
    rows = {row["id"]: row for row in ha.get("/cluster/ha/status/current").data}
    assert set(rows) == {"quorum", "fencing", "master", "lrm:pve", "service:ct:100"}
    assert rows["service:ct:100"]["status"] == "ct:100 (pve, stopped)"
    notes = ha.get("/cluster/ha/status/manager_status").data
    assert notes["manager_status"]["service_status"]["ct:100"]["node"] == "pve"


def test_a_rule_is_about_managed_guests(ha: Client) -> None:
    rule = {"rule": "here", "type": "node-affinity", "nodes": "pve"}
    assert ha.post("/cluster/ha/rules", resources="ct:999", **rule).status == 500
    assert ha.post("/cluster/ha/rules", resources="ct:100", **rule).status == 200
    ha.put("/cluster/ha/rules/here", type="node-affinity", comment="c")
    [listed] = ha.get("/cluster/ha/rules", type="node-affinity", resource="ct:100").data
    assert (listed["rule"], listed["comment"]) == ("here", "c")
    assert ha.get("/cluster/ha/rules", type="resource-affinity").data == []
    assert ha.get("/cluster/ha/rules/here").data["nodes"] == "pve"
    assert ha.delete("/cluster/ha/rules/here").status == 200


def test_a_group_is_kept(pve: Client) -> None:
    pve.post("/cluster/ha/groups", group="all", nodes="pve")
    pve.put("/cluster/ha/groups/all", comment="c")
    [group] = pve.get("/cluster/ha/groups").data
    assert (group["group"], group["nodes"], group["comment"]) == ("all", "pve", "c")
    pve.delete("/cluster/ha/groups/all")
    assert pve.get("/cluster/ha/groups/all").status == 500


def test_high_availability_is_disarmed_and_armed_again(ha: Client) -> None:
    ha.post("/cluster/ha/status/disarm-ha", **{"resource-mode": "freeze"})
    fencing = ha.get("/cluster/ha/status/current").data[1]
    assert (fencing["armed-state"], fencing["resource_mode"]) == ("disarmed", "freeze")
    ha.post("/cluster/ha/status/arm-ha")
    assert ha.get("/cluster/ha/status/current").data[1]["armed-state"] == "armed"
