"""Nodes: status, names, time, network, services, packages, logs, history."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from pytest_proxmox.simulator.simulator import Simulator

from .client import Client

NET = "/nodes/pve/network"


# --- indexes ------------------------------------------------------------------------------------


def test_the_top_lists_what_there_is(pve: Client) -> None:
    names = ["version", "cluster", "nodes", "storage", "access", "pools"]
    assert pve.get("/").data == [{"subdir": name} for name in names]
    assert pve.get("").data == pve.get("/").data


def test_a_node_lists_what_there_is_below(pve: Client) -> None:
    names = [entry["name"] for entry in pve.get("/nodes/pve").data]
    assert {"lxc", "qemu", "tasks", "version"} <= set(names)
    assert "vncwebsocket" not in names


@pytest.mark.parametrize(
    ("path", "key"),
    [("/access", "subdir"), ("/cluster", "name"), ("/cluster/ha", "id"), ("/nodes/pve/apt", "id")],
)
def test_indexes_name_their_children(pve: Client, path: str, key: str) -> None:
    entries = pve.get(path).data
    assert entries
    assert all(set(entry) == {key} for entry in entries)


# --- status -------------------------------------------------------------------------------------


def test_the_version_is_the_worlds(pve: Client) -> None:
    expected = {"version": "9.2.11", "release": "9.2", "repoid": "14a22df35955d97d"}
    assert pve.get("/version").data == expected
    assert pve.get("/nodes/pve/version").data == expected


def test_a_status_agrees_with_the_list(pve: Client) -> None:
    [listed] = pve.get("/nodes").data
    status = pve.get("/nodes/pve/status").data
    assert status["memory"]["total"] == listed["maxmem"]
    assert status["rootfs"]["total"] == listed["maxdisk"]
    assert status["cpuinfo"]["cpus"] == listed["maxcpu"]
    assert status["pveversion"] == "pve-manager/9.2.11/14a22df35955d97d"
    assert status["memory"]["used"] + status["memory"]["free"] == status["memory"]["total"]


def test_running_guests_take_memory(pve: Client, sim: Simulator) -> None:
    before = pve.get("/nodes/pve/status").data["memory"]["used"]
    sim.plant(vmid=100, status="running")
    assert pve.get("/nodes/pve/status").data["memory"]["used"] > before


def test_a_node_shows_figures_to_those_who_may_look(pve: Client) -> None:
    pve.post("/access/users", userid="joe@pve", password="secret123")
    joe = pve.as_user("joe@pve")
    [entry] = joe.get("/nodes").data
    assert set(entry) == {"id", "type", "node", "status", "level", "ssl_fingerprint"}
    assert joe.get("/nodes/pve/status").refusal == (
        403,
        "Permission check failed (/nodes/pve, Sys.Audit)",
    )


# --- settings -----------------------------------------------------------------------------------


def test_name_servers_are_kept(pve: Client) -> None:
    pve.put("/nodes/pve/dns", search="lab.example", dns1="192.0.2.53")
    assert pve.get("/nodes/pve/dns").data == {"search": "lab.example", "dns1": "192.0.2.53"}


def test_the_time_zone_moves_the_local_time(pve: Client) -> None:
    pve.put("/nodes/pve/time", timezone="Etc/GMT-2")
    found = pve.get("/nodes/pve/time").data
    assert (found["timezone"], found["localtime"] - found["time"]) == ("Etc/GMT-2", 7200)
    assert pve.put("/nodes/pve/time", timezone="No/Where").status == 500


def test_the_hosts_file_is_replaced_against_its_digest(pve: Client) -> None:
    old = pve.get("/nodes/pve/hosts").data
    assert "pve.pve.example pve" in old["data"]
    assert pve.post("/nodes/pve/hosts", data="127.0.0.1 x\n", digest=old["digest"]).status == 200
    assert pve.get("/nodes/pve/hosts").data["data"] == "127.0.0.1 x\n"
    assert pve.post("/nodes/pve/hosts", data="y\n", digest=old["digest"]).status == 500


def test_a_nodes_configuration_is_kept(pve: Client) -> None:
    pve.put("/nodes/pve/config", description="lab", wakeonlan="BC:24:11:00:00:01")
    assert pve.get("/nodes/pve/config", property="description").data["description"] == "lab"
    pve.put("/nodes/pve/config", delete="description")
    assert set(pve.get("/nodes/pve/config").data) == {"wakeonlan", "digest"}


def test_the_report_names_guests_and_storages(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=100)
    text = pve.get("/nodes/pve/report").data
    assert "lxc/100 stopped" in text
    assert "dir: local" in text


# --- network ------------------------------------------------------------------------------------


def interfaces(client: Client, **params: Any) -> dict[str, dict[str, Any]]:
    return {entry["iface"]: entry for entry in client.get(NET, **params).data}


def test_the_first_bridge_has_the_nodes_address(pve: Client) -> None:
    assert interfaces(pve)["vmbr0"] == {
        "iface": "vmbr0",
        "type": "bridge",
        "method": "static",
        "method6": "manual",
        "families": ["inet"],
        "address": "198.51.100.10",
        "netmask": "24",
        "cidr": "198.51.100.10/24",
        "active": 1,
        "autostart": 1,
        "bridge_fd": "0",
        "bridge_ports": "",
        "bridge_stp": "off",
        "priority": 3,
    }


def test_a_new_interface_waits_until_it_is_applied(pve: Client, sim: Simulator) -> None:
    pve.post(NET, iface="vmbr9", type="bridge", cidr="192.0.2.1/24", autostart=1)
    waiting = pve.get(NET).body
    assert "+auto vmbr9" in waiting["changes"]
    assert "active" not in interfaces(pve)["vmbr9"]
    assert "vmbr9" not in sim.state.nodes["pve"].bridges
    assert pve.finish(pve.put(NET)) == "OK"
    assert "changes" not in pve.get(NET).body
    assert interfaces(pve)["vmbr9"]["active"] == 1
    assert "vmbr9" in sim.state.nodes["pve"].bridges


def test_changes_that_wait_can_be_dropped(pve: Client) -> None:
    pve.post(NET, iface="vmbr9", type="bridge")
    assert pve.delete(NET).status == 200
    assert "vmbr9" not in interfaces(pve)


def test_an_interface_is_changed_and_removed(pve: Client) -> None:
    pve.post(NET, iface="vmbr9", type="bridge", comments="old\n")
    pve.put(f"{NET}/vmbr9", type="bridge", mtu=9000, delete="comments")
    found = pve.get(f"{NET}/vmbr9").data
    assert found["mtu"] == 9000
    assert "comments" not in found
    pve.delete(f"{NET}/vmbr9")
    assert pve.get(f"{NET}/vmbr9").errors == {"iface": "interface does not exist"}


def test_an_interface_that_is_there_is_not_made_again(pve: Client) -> None:
    said = pve.post(NET, iface="vmbr0", type="bridge")
    assert said.errors == {"iface": "interface already exists"}


def test_interfaces_are_listed_by_type(pve: Client) -> None:
    assert set(interfaces(pve, type="bridge")) == {"vmbr0"}
    assert set(interfaces(pve, type="any_bridge")) == {"vmbr0"}
    assert set(interfaces(pve, type="eth")) == {"eth0"}


# --- services and packages ----------------------------------------------------------------------


def state(client: Client, service: str) -> str:
    return str(client.get(f"/nodes/pve/services/{service}/state").data["state"])


def test_a_service_stops_and_starts(pve: Client) -> None:
    assert state(pve, "cron") == "running"
    assert pve.finish(pve.post("/nodes/pve/services/cron/stop")) == "OK"
    assert state(pve, "cron") == "dead"
    pve.finish(pve.post("/nodes/pve/services/cron/restart"))
    listed = {entry["service"]: entry["state"] for entry in pve.get("/nodes/pve/services").data}
    assert listed["cron"] == "running"


def test_a_service_that_answers_cannot_be_stopped(pve: Client) -> None:
    assert pve.post("/nodes/pve/services/pveproxy/stop").status == 501


def test_packages_have_the_worlds_version(pve: Client) -> None:
    packages = {entry["Package"]: entry for entry in pve.get("/nodes/pve/apt/versions").data}
    assert packages["pve-manager"]["Version"] == "9.2.11"
    assert pve.finish(pve.post("/nodes/pve/apt/update")) == "OK"


def test_scans_find_what_storages_use(pve: Client) -> None:
    assert pve.get("/nodes/pve/scan/lvm").data == [{"vg": "pve"}]
    assert pve.get("/nodes/pve/scan/lvmthin", vg="pve").data == [{"lv": "data"}]
    assert pve.get("/nodes/pve/scan/zfs").data == []


def test_a_custom_processor_model_can_be_chosen(pve: Client) -> None:
    pve.post("/cluster/qemu/custom-cpu-models", cputype="mine", **{"reported-model": "kvm64"})
    listed = {
        cpu["name"]: cpu["custom"] for cpu in pve.get("/nodes/pve/capabilities/qemu/cpu").data
    }
    assert (listed["custom-mine"], listed["kvm64"]) == (1, 0)


# --- logs and history ---------------------------------------------------------------------------


def test_logs_tell_of_tasks(pve: Client) -> None:
    made = pve.post("/nodes/pve/apt/update")
    pve.finish(made)
    syslog = pve.get("/nodes/pve/syslog").data
    assert [line["n"] for line in syslog] == [1, 2]
    assert f"starting task {made.data}" in syslog[0]["t"]
    assert pve.get("/nodes/pve/journal", lastentries=1).data[1].endswith(f"{made.data} OK")


def test_running_guests_have_network_counters(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=100, status="running", config={"net0": "name=eth0,bridge=vmbr0"})
    [row] = pve.get("/nodes/pve/netstat").data
    assert (row["vmid"], row["dev"]) == ("100", "net0")


def series(client: Client, path: str, frame: str = "hour") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"{path}/rrddata", timeframe=frame).data
    return found


def test_history_comes_in_even_steps(pve: Client) -> None:
    for frame, step in (("hour", 60), ("day", 1800), ("week", 10800)):
        times = [point["time"] for point in series(pve, "/nodes/pve", frame)]
        assert {b - a for a, b in pairwise(times)} == {step}


def test_a_nodes_history_starts_when_it_did(pve: Client, sim: Simulator) -> None:
    points = series(pve, "/nodes/pve")
    booted = sim.state.nodes["pve"].boot_time
    assert {"cpu" in point for point in points if point["time"] < booted} == {False}
    assert {point["maxcpu"] for point in points if point["time"] >= booted} == {8}


def test_a_guests_history_follows_its_life(pve: Client, sim: Simulator) -> None:
    guest = sim.plant(vmid=100)
    sim.clock.advance(600)
    started = sim.clock.now()
    pve.finish(pve.post("/nodes/pve/lxc/100/status/start"))
    sim.clock.advance(1200)
    stopped = sim.clock.now()
    pve.finish(pve.post("/nodes/pve/lxc/100/status/stop"))
    sim.clock.advance(600)
    points = series(pve, "/nodes/pve/lxc/100")
    ran = [p["time"] for p in points if p.get("cpu")]
    assert all(started <= moment <= stopped + 60 for moment in ran)
    assert len(ran) in (19, 20, 21)
    assert all("cpu" not in p for p in points if p["time"] < guest.created)


def test_history_is_the_same_when_read_twice(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=100, status="running")
    first = {p["time"]: p for p in series(pve, "/nodes/pve/lxc/100")}
    second = {p["time"]: p for p in series(pve, "/nodes/pve/lxc/100")}
    common = set(first) & set(second)
    assert {t: first[t] for t in common} == {t: second[t] for t in common}


def test_a_guest_that_nobody_heard_of_has_no_history(pve: Client) -> None:
    said = pve.get("/nodes/pve/lxc/4999/rrddata", timeframe="hour")
    assert said.refusal == (
        500,
        "RRD error: opening '/var/lib/rrdcached/db/pve-vm-9.0/4999': No such file or directory",
    )


def test_a_storages_history_shows_its_size(pve: Client) -> None:
    last = series(pve, "/nodes/pve/storage/local")[-1]
    assert last["total"] == 100 * 1024**3
