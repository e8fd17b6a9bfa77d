"""The cluster as a whole: what there is, free ids, options, who is online, who has quorum."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World

from .client import Client

TEMPLATE = "local:vztmpl/alpine-3.18-default_20230607_amd64.tar.xz"


def entries(client: Client, **params: Any) -> dict[str, dict[str, Any]]:
    return {entry["id"]: entry for entry in client.get("/cluster/resources", **params).data}


def create(client: Client, vmid: int, **params: Any) -> None:
    made = client.post(
        "/nodes/pve/lxc", vmid=vmid, ostemplate=TEMPLATE, storage="local-lvm", **params
    )
    assert client.finish(made) == "OK"


# --- resources ----------------------------------------------------------------------------------


def test_resources_are_guests_storages_nodes_and_networks(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=100)
    assert set(entries(pve)) == {
        "lxc/100",
        "storage/pve/local",
        "storage/pve/local-lvm",
        "node/pve",
        "network/pve/zone/localnetwork",
    }


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("vm", {"lxc/100"}),
        ("storage", {"storage/pve/local", "storage/pve/local-lvm"}),
        ("node", {"node/pve"}),
        ("sdn", {"network/pve/zone/localnetwork"}),
    ],
)
def test_resources_of_one_kind(pve: Client, sim: Simulator, kind: str, expected: set[str]) -> None:
    sim.plant(vmid=100)
    assert set(entries(pve, type=kind)) == expected


def test_a_guest_that_was_always_there_has_all_figures(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=100, status="running", config={"hostname": "web", "memory": 256})
    entry = entries(pve, type="vm")["lxc/100"]
    assert (entry["name"], entry["status"], entry["maxmem"]) == ("web", "running", 268435456)
    assert entry["template"] == 0
    assert entry["uptime"] >= 1


def test_a_new_guest_has_no_name_for_up_to_ten_seconds(pve: Client, sim: Simulator) -> None:
    create(pve, 100, tags="blue")
    fresh = {"id": "lxc/100", "type": "lxc", "vmid": 100, "node": "pve", "status": "unknown"}
    assert entries(pve, type="vm")["lxc/100"] == fresh | {"tags": "blue"}
    sim.clock.advance(10)
    assert entries(pve, type="vm")["lxc/100"]["name"] == "CT100"


def test_a_reused_id_shows_what_it_was(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=100, config={"hostname": "old"})
    assert pve.finish(pve.delete("/nodes/pve/lxc/100")) == "OK"
    create(pve, 100, hostname="new")
    assert entries(pve, type="vm")["lxc/100"]["name"] == "old"
    sim.clock.advance(10)
    assert entries(pve, type="vm")["lxc/100"]["name"] == "new"


def test_a_removed_guest_is_gone_at_once(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=100)
    pve.finish(pve.delete("/nodes/pve/lxc/100"))
    assert entries(pve, type="vm") == {}


def test_a_user_sees_what_it_may_look_at(pve: Client, sim: Simulator) -> None:
    for vmid in (100, 101):
        sim.plant(vmid=vmid)
    pve.post("/pools", poolid="p")
    pve.put("/pools/p", vms="100")
    pve.post("/access/users", userid="joe@pve", password="secret123")
    joe = pve.as_user("joe@pve")
    pve.put("/access/acl", path="/vms/100", users="joe@pve", roles="PVEVMUser")
    assert set(entries(joe)) == {"lxc/100", "node/pve"}
    assert "pool" not in entries(joe)["lxc/100"]
    assert "maxmem" not in entries(joe)["node/pve"]
    pve.put("/access/acl", path="/pool/p", users="joe@pve", roles="PVEPoolUser")
    assert entries(joe)["lxc/100"]["pool"] == "p"


def test_resources_follow_each_change(pve: Client, sim: Simulator) -> None:
    guest = sim.plant(vmid=100)
    assert "pool" not in entries(pve)["lxc/100"]
    pve.post("/pools", poolid="p")
    pve.put("/pools/p", vms="100")
    pve.post("/cluster/ha/resources", sid="ct:100", state="stopped")
    sim.put_guest(guest.with_config({"lock": "backup"}))
    entry = entries(pve)["lxc/100"]
    assert (entry["pool"], entry["lock"], entry["hastate"]) == ("p", "backup", "stopped")


# --- free ids -----------------------------------------------------------------------------------


def test_the_next_id_is_the_lowest_free_one(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=100)
    assert pve.get("/cluster/nextid").data == "101"


def test_asking_for_an_id_reserves_nothing(pve: Client) -> None:
    assert [pve.get("/cluster/nextid").data for _ in range(2)] == ["100", "100"]


def test_a_taken_id_is_a_wrong_parameter(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=100)
    assert pve.get("/cluster/nextid", vmid=100).errors == {"vmid": "VM 100 already exists"}
    assert pve.get("/cluster/nextid", vmid=4711).data == "4711"


def test_next_ids_stay_in_the_range_of_the_options(pve: Client, sim: Simulator) -> None:
    pve.put("/cluster/options", **{"next-id": "lower=5000,upper=5001"})
    assert pve.get("/cluster/nextid").data == "5000"
    for vmid in (5000, 5001):
        sim.plant(vmid=vmid)
    said = pve.get("/cluster/nextid")
    assert said.refusal == (500, "unable to get any free VMID in range [5000, 5001]")
    pve.put("/cluster/options", delete="next-id")
    assert pve.get("/cluster/nextid").data == "100"


# --- options ------------------------------------------------------------------------------------


def test_options_start_as_recorded(pve: Client) -> None:
    expected = {"description": "", "mac_prefix": "BC:24:11", "allowed-tags": []}
    assert pve.get("/cluster/options").data == expected


def test_options_are_read_as_objects_and_lists(pve: Client) -> None:
    pve.put(
        "/cluster/options",
        keyboard="de",
        migration="type=secure,network=10.0.0.0/24",
        **{"registered-tags": "one;two"},
    )
    options = pve.get("/cluster/options").data
    assert options["keyboard"] == "de"
    assert options["migration"] == {"type": "secure", "network": "10.0.0.0/24"}
    assert options["registered-tags"] == ["one", "two"]


def test_a_user_without_rights_sees_few_options(pve: Client) -> None:
    pve.put("/cluster/options", keyboard="de", console="html5")
    pve.post("/access/users", userid="joe@pve", password="secret123")
    joe = pve.as_user("joe@pve")
    assert joe.get("/cluster/options").data == {"allowed-tags": [], "console": "html5"}
    assert joe.get("/version").data["console"] == "html5"


# --- nodes of a cluster -------------------------------------------------------------------------


def test_a_single_node_is_in_no_cluster(pve: Client) -> None:
    [entry] = pve.get("/cluster/status").data
    assert (entry["id"], entry["nodeid"], entry["local"]) == ("node/pve", 0, 1)
    assert pve.get("/cluster/config/nodes").data == []
    assert pve.get("/cluster/config/totem").data == {}


def test_a_cluster_has_a_name_and_quorum(cluster: Client) -> None:
    first, *nodes = cluster.get("/cluster/status").data
    assert (first["type"], first["name"], first["nodes"], first["quorate"]) == (
        "cluster",
        "pytest",
        3,
        1,
    )
    assert [node["nodeid"] for node in nodes] == [1, 2, 3]
    assert [node["local"] for node in nodes] == [1, 0, 0]
    assert cluster.get("/cluster/config/totem").data["cluster_name"] == "pytest"
    listed = [node["node"] for node in cluster.get("/cluster/config/nodes").data]
    assert listed == ["pve1", "pve2", "pve3"]


def cut_off(client: Client, *names: str) -> None:
    for name in names:
        node = client.sim.state.nodes[name]
        client.sim.state.nodes[name] = replace(node, online=False)


def test_an_offline_node_is_listed_and_does_not_answer(cluster: Client) -> None:
    cluster.sim.plant(vmid=100, node="pve2")
    cut_off(cluster, "pve2")
    nodes = {node["node"]: node["status"] for node in cluster.get("/nodes").data}
    assert nodes == {"pve1": "online", "pve2": "offline", "pve3": "online"}
    assert entries(cluster, type="vm")["lxc/100"]["status"] == "unknown"
    assert cluster.get("/nodes/pve2/status").refusal == (595, "No route to host")
    assert cluster.get("/cluster/nextid", vmid=100).status == 400


def test_a_node_that_is_not_there_fails_as_a_name_does(pve: Client) -> None:
    said = pve.get("/nodes/other/status")
    assert said.refusal == (
        500,
        "hostname lookup 'other' failed - failed to get address info for: other:"
        " Name or service not known",
    )


# --- without quorum (golden 13) -----------------------------------------------------------------


@pytest.fixture
def alone(sim: Simulator) -> Client:
    """Root on a node without quorum, with a stopped container 100 and a running one, 101."""
    client = Client.login(sim)
    client.post("/access/users", userid="joe@pve")
    sim.plant(vmid=100)
    sim.plant(vmid=101, status="running")
    sim.state.settings["quorate"] = False
    return client


def test_most_nodes_gone_means_no_quorum(cluster: Client) -> None:
    cut_off(cluster, "pve2", "pve3")
    assert cluster.get("/cluster/status").data[0]["quorate"] == 0
    said = cluster.post("/pools", poolid="nq")
    assert said.reason == "create pool failed: cfs-lock 'file-user_cfg' error: no quorum!"


@pytest.mark.parametrize(
    "path",
    [
        "/version",
        "/cluster/status",
        "/cluster/nextid",
        "/pools",
        "/storage",
        "/nodes/pve/lxc",
        "/nodes/pve/lxc/100/config",
        "/nodes/pve/lxc/101/status/current",
        "/nodes/pve/tasks",
    ],
)
def test_without_quorum_reads_go_on(alone: Client, path: str) -> None:
    assert alone.get(path).status == 200


def test_without_quorum_nobody_hears_of_anybody(alone: Client) -> None:
    [node] = alone.get("/nodes").data
    assert (node["status"], "maxmem" in node, "level" in node) == ("unknown", False, False)
    assert {entry["status"] for entry in entries(alone).values()} == {"unknown"}
    assert alone.get("/cluster/tasks").data == []


def test_without_quorum_high_availability_says_so(alone: Client) -> None:
    quorum, fencing = alone.get("/cluster/ha/status/current").data
    assert quorum == {
        "id": "quorum",
        "type": "quorum",
        "node": "pve",
        "quorate": 0,
        "status": "No quorum on node 'pve'!",
    }
    assert fencing["status"] == "standby (CRM watchdog standby)"


@pytest.mark.parametrize(
    ("verb", "path", "params", "reason"),
    [
        ("post", "/pools", {"poolid": "nq"}, "create pool failed: {}"),
        ("post", "/access/users/root@pam/token/nq", {}, "generating token failed: {}"),
        (
            "put",
            "/access/acl",
            {"path": "/vms", "users": "joe@pve", "roles": "PVEVMUser"},
            "ACL update failed: {}",
        ),
        ("post", "/access/roles", {"roleid": "R"}, "create role failed: {}"),
        ("delete", "/access/users/joe@pve", {}, "delete user failed: {}"),
    ],
    ids=["pool", "token", "acl", "role", "user"],
)
def test_without_quorum_rights_cannot_be_changed(
    alone: Client, verb: str, path: str, params: dict[str, str], reason: str
) -> None:
    said = getattr(alone, verb)(path, **params)
    assert said.refusal == (500, reason.format("cfs-lock 'file-user_cfg' error: no quorum!"))


def test_quorum_comes_back(alone: Client) -> None:
    alone.sim.state.settings["quorate"] = True
    assert alone.post("/pools", poolid="q").status == 200


# --- log ----------------------------------------------------------------------------------------


def test_the_log_tells_of_tasks(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=100)
    started = pve.post("/nodes/pve/lxc/100/status/start")
    pve.finish(started)
    lines = pve.get("/cluster/log").data
    assert [line["msg"] for line in lines] == [
        f"end task {started.data} OK",
        f"starting task {started.data}",
    ]
    assert len(pve.get("/cluster/log", max=1).data) == 1


def test_a_world_may_have_no_users(sim: Simulator) -> None:
    bare = Simulator(World.parse({"nodes": {"one": {}}}, origin="test"))
    assert Client.login(bare).get("/nodes").data[0]["node"] == "one"
