"""Many guests at once: start, stop and suspend all."""

from __future__ import annotations

import pytest

from pytest_proxmox.simulator.simulator import Simulator

from .client import Client


@pytest.fixture
def many(pve: Client, sim: Simulator) -> Client:
    """Root on a node with 100 and 101, which start at boot, 101 first, and 102, which does not."""
    sim.plant(vmid=100, config={"onboot": 1})
    sim.plant(vmid=101, config={"onboot": 1, "startup": "order=1"})
    sim.plant(vmid=102)
    return pve


def running(client: Client) -> list[int]:
    client.sim.clock.advance(30)
    return [guest.vmid for guest in client.sim.guests() if guest.running]


def test_starting_all_starts_what_starts_at_boot_in_order(many: Client) -> None:
    started = many.post("/nodes/pve/startall")
    assert many.finish(started) == "OK"
    assert many.log(started.data) == ["Starting CT 101", "Starting CT 100", "TASK OK"]
    assert running(many) == [100, 101]
    kinds = [row["type"] for row in many.get("/nodes/pve/tasks").data]
    assert sorted(kinds) == ["startall", "vzstart", "vzstart"]


def test_force_starts_what_was_named(many: Client) -> None:
    assert many.finish(many.post("/nodes/pve/startall", force=1, vms="102")) == "OK"
    assert running(many) == [102]


def test_stopping_all_goes_the_other_way_round(many: Client) -> None:
    many.finish(many.post("/nodes/pve/startall", force=1))
    stopped = many.post("/nodes/pve/stopall", timeout=10)
    assert many.finish(stopped) == "OK"
    assert many.log(stopped.data)[:3] == [
        "Stopping CT 102 (timeout = 10 seconds)",
        "Stopping CT 100 (timeout = 10 seconds)",
        "Stopping CT 101 (timeout = 10 seconds)",
    ]
    assert running(many) == []


def test_containers_are_not_suspended(many: Client) -> None:
    many.finish(many.post("/nodes/pve/startall"))
    suspended = many.post("/nodes/pve/suspendall")
    assert many.finish(suspended) == "WARNINGS: 2"
    assert many.log(suspended.data)[0] == "WARN: skipping 100, only VMs can be suspended"
    assert running(many) == [100, 101]


def test_a_cluster_starts_and_stops_guests_wherever_they_are(cluster: Client) -> None:
    for number in (1, 2, 3):
        cluster.sim.plant(vmid=100 + number, node=f"pve{number}")
    path = "/cluster/bulk-action/guest"
    assert cluster.finish(cluster.post(f"{path}/start", vms=[101, 103])) == "OK"
    assert running(cluster) == [101, 103]
    assert cluster.finish(cluster.post(f"{path}/shutdown", vms=[103])) == "OK"
    assert running(cluster) == [101]
    assert cluster.finish(cluster.post(f"{path}/suspend")) == "WARNINGS: 1"


def test_a_user_starts_what_it_may(many: Client) -> None:
    many.post("/access/users", userid="joe@pve", password="secret123")
    many.put("/access/acl", path="/vms/100", users="joe@pve", roles="PVEVMUser")
    joe = many.as_user("joe@pve")
    assert joe.post("/nodes/pve/startall").refusal == (
        403,
        "Permission check failed (/, VM.PowerMgmt)",
    )
    assert joe.post("/nodes/pve/startall", vms="100,101").status == 403
    assert joe.finish(joe.post("/nodes/pve/startall", vms="100")) == "OK"
    assert running(many) == [100]


def test_guests_do_not_migrate_to_where_they_are(many: Client) -> None:
    said = many.post("/nodes/pve/migrateall", target="pve")
    assert said.errors == {"target": "target is local node."}
    assert many.post("/nodes/pve/migrateall", target="pve9").status == 500
