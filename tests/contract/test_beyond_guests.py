"""What lies round the guests: firewall references, services, metric servers, moving them all."""

from __future__ import annotations

import pytest

from pytest_proxmox.simulator.simulator import Simulator

from .client import Client
from .container_room import config, create, lxc, power, status


@pytest.mark.parametrize(
    "place", ["/cluster/firewall", "/nodes/pve/qemu/200/firewall"], ids=["cluster", "VM"]
)
def test_aliases_and_sets_can_be_referred_to(pve: Client, sim: Simulator, place: str) -> None:
    sim.plant(vmid=200, type="qemu")
    before = pve.get(place + "/refs").data
    pve.post(place + "/aliases", name="gate", cidr="192.0.2.1")
    pve.post(place + "/ipset", name="good", comment="may come in")
    named = {row["name"]: row for row in pve.get(place + "/refs").data}
    assert len(named) == len(before) + 2
    assert named["gate"]["type"] == "alias"
    assert (named["good"]["type"], named["good"]["comment"]) == ("ipset", "may come in")
    only = pve.get(place + "/refs", type="ipset").data
    assert [row["name"] for row in only] == ["good"]
    pve.delete(place + "/aliases/gate")
    assert "gate" not in {row["name"] for row in pve.get(place + "/refs").data}


@pytest.mark.parametrize("action", ["start", "reload"])
def test_a_service_that_was_stopped_runs_again(pve: Client, action: str) -> None:
    service = "/nodes/pve/services/cron"
    assert pve.finish(pve.post(service + "/stop")) == "OK"
    assert pve.get(service + "/state").data["state"] == "dead"
    said = pve.post(f"{service}/{action}")
    assert f":srv{action}:cron:root@pam:" in said.data
    assert pve.finish(said) == "OK"
    assert pve.get(service + "/state").data["state"] == "running"


def test_a_metric_server_can_be_read_by_its_name(pve: Client) -> None:
    path = "/cluster/metrics/server/flux"
    assert pve.post(path, type="influxdb", server="192.0.2.7", port=8089).status == 200
    found = pve.get(path).data
    assert (found["type"], found["server"], found["port"]) == ("influxdb", "192.0.2.7", 8089)
    pve.put(path, server="192.0.2.8", port=8090)
    assert pve.get(path).data["server"] == "192.0.2.8"


def test_the_history_of_a_vm_follows_its_life(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=200, type="qemu", memory=512)
    path = "/nodes/pve/qemu/200"
    sim.clock.advance(600)
    assert pve.finish(pve.post(path + "/status/start")) == "OK"
    sim.clock.advance(600)
    rows = pve.get(path + "/rrddata", timeframe="hour").data
    assert rows[-1]["maxmem"] == 512 * 1024**2
    assert rows[-1]["mem"] > 0
    assert any(not row.get("mem") for row in rows)


def test_all_guests_can_be_moved_at_once(cluster: Client) -> None:
    for vmid in (100, 101):
        create(cluster, vmid, node="pve1", rootfs="shared:1")
    power(cluster, "start", 101, node="pve1")
    said = cluster.post("/cluster/bulk-action/guest/migrate", target="pve2", online=1)
    assert cluster.finish(said) == "OK"
    cluster.sim.clock.advance(60)
    assert config(cluster, 100, node="pve2")["hostname"] == "ct100"
    assert status(cluster, 101, node="pve2") == "running"
    assert cluster.get(lxc("pve1", 100) + "/config").status == 500


def test_nobody_moves_to_a_node_that_is_not_there(cluster: Client) -> None:
    said = cluster.post("/cluster/bulk-action/guest/migrate", target="pve9")
    assert said.refusal == (500, "no such cluster node 'pve9'")
