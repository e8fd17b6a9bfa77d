"""Fault rules: which events they hit, and what they do to the simulator."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_proxmox.errors import InvalidValue, WorldError
from pytest_proxmox.faults import CATALOGUE, FaultRule, FaultRules, path_pattern
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.wire import Request
from pytest_proxmox.simulator.world import World
from tests.contract.client import Client

LXC = "/nodes/pve/lxc"
TEMPLATE = "local:vztmpl/alpine-3.18-default_20230607_amd64.tar.xz"


@pytest.fixture
def sim() -> Simulator:
    """A node with a stopped container, 100."""
    sim = Simulator(World.preset("single"))
    sim.plant(vmid=100)
    return sim


@pytest.fixture
def pve(sim: Simulator) -> Client:
    """Root on that node."""
    return Client.login(sim)


def start(client: Client) -> str:
    return client.finish(client.post(f"{LXC}/100/status/start"))


# --- which events -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/nodes/*/lxc", "/nodes/pve/lxc", True),
        ("/nodes/*/lxc", "/nodes/pve/lxc/100", False),
        ("/nodes/**", "/nodes/pve/lxc/100/config", True),
        ("**", "/version", True),
        ("/version", "/version", True),
        ("/nodes/pve*/lxc", "/nodes/pve1/lxc", True),
    ],
)
def test_a_star_is_one_segment_and_two_are_any(pattern: str, path: str, fits: bool) -> None:
    assert (path_pattern(pattern).fullmatch(path) is not None) is fits


def test_nth_picks_one_event() -> None:
    rules = FaultRules()
    rules.fail("GET", "/version", nth=2)
    assert [len(rules.for_request("GET", "/version")) for _ in range(4)] == [0, 1, 0, 0]


def test_times_ends_a_rule() -> None:
    rules = FaultRules()
    name = rules.fail(times=2)
    fired = [len(rules.for_request("GET", "/version")) for _ in range(4)]
    assert fired == [1, 1, 0, 0]
    assert rules.fired(name) == 2


def test_a_rule_for_one_guest_leaves_the_others_alone() -> None:
    rules = FaultRules()
    rules.fail(vmid=100)
    assert rules.for_request("GET", f"{LXC}/100/config")
    assert not rules.for_request("GET", f"{LXC}/101/config")


@given(st.floats(0.2, 0.8), st.integers(0, 1000))
def test_probability_with_a_seed_hits_the_same_events_each_time(share: float, seed: int) -> None:
    def hits() -> list[int]:
        rules = FaultRules()
        rules.fail(probability=share, seed=seed)
        return [len(rules.for_request("GET", "/version")) for _ in range(50)]

    assert hits() == hits()
    assert 0 < sum(hits()) < 50


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "no effect"),
        ({"effect": "explode"}, '"explode" is not known'),
        ({"effect": "error", "colour": "red"}, 'unknown key "colour"'),
        ({"effect": "error", "error": "nope"}, '"nope" is not known'),
        ({"effect": "drop", "phase": "between"}, '"between" is not known'),
        ({"effect": "error", "probability": 2}, "not between 0 and 1"),
        ({"effect": "error", "nth": 0}, "nth 0 is below 1"),
    ],
    ids=["empty", "effect", "key", "error", "phase", "probability", "nth"],
)
def test_a_mistake_in_a_rule_is_named(values: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidValue, match=text):
        FaultRule.parse(values)


def test_a_rule_survives_the_way_through_json() -> None:
    rule = FaultRule(effect="error", error="no-quorum", path="/nodes/**", vmid=100, nth=3)
    assert FaultRule.parse(rule.to_json()) == rule


# --- requests -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_an_error_of_the_catalogue_arrives_as_status_and_text(
    name: str, sim: Simulator, pve: Client
) -> None:
    sim.faults.fail("GET", f"{LXC}/100/config", error=name)
    said = pve.get(f"{LXC}/100/config")
    assert said.status == CATALOGUE[name][0]
    assert "{" not in said.reason
    bare = said.status == 401 or said.status >= 595
    assert bool(said.body) is not bare


def test_a_request_that_fails_before_had_no_effect(sim: Simulator, pve: Client) -> None:
    sim.faults.fail("POST", "/pools", error="broken-pipe")
    assert pve.post("/pools", poolid="p").status == 596
    assert pve.get("/pools").data == []


def test_a_request_that_fails_after_had_its_effect(sim: Simulator, pve: Client) -> None:
    sim.faults.fail("POST", "/pools", error="broken-pipe", phase="after")
    assert pve.post("/pools", poolid="p").status == 596
    assert [row["poolid"] for row in pve.get("/pools").data] == ["p"]


@pytest.mark.parametrize(("phase", "made"), [("before", 0), ("after", 1)])
def test_a_dropped_answer_is_delivered_as_a_cut(sim: Simulator, phase: str, made: int) -> None:
    sim.faults.drop("POST", "/pools", phase=phase)
    login = sim.credentials
    headers = {"authorization": f"PVEAPIToken={login.token_id}={login.token_secret}"}
    answer = sim.handle(Request("POST", "/api2/json/pools?poolid=p", headers))
    assert answer.delivery is not None
    assert answer.delivery.drop
    assert len(sim.state.pools) == made


def test_an_expired_ticket_is_a_401(sim: Simulator, pve: Client) -> None:
    sim.faults.add(effect="expired-ticket", times=1)
    assert pve.get("/version").refusal == (401, "Authentication failed!")
    assert pve.get("/version").status == 200


# --- tasks --------------------------------------------------------------------------------------


def test_a_slow_task_takes_its_time(sim: Simulator, pve: Client) -> None:
    sim.faults.slow_task("vzstart", 300)
    pve.post(f"{LXC}/100/status/start")
    before = sim.clock.now()
    rows = pve.get("/nodes/pve/tasks", source="active").data
    pve.get(f"/nodes/pve/tasks/{rows[0]['upid']}/status")
    assert sim.clock.now() >= before + 299


def test_a_task_that_must_fail_has_no_effect(sim: Simulator, pve: Client) -> None:
    sim.faults.end_task("vzstart", "startup for container '100' failed")
    assert start(pve) == "startup for container '100' failed"
    assert pve.get(f"{LXC}/100/status/current").data["status"] == "stopped"


def test_a_create_that_must_fail_leaves_nothing(sim: Simulator, pve: Client) -> None:
    sim.faults.end_task("vzcreate", "no more room")
    said = pve.post(LXC, vmid=101, ostemplate=TEMPLATE, rootfs="local-lvm:1")
    assert pve.finish(said) == "no more room"
    assert sim.guest(101) is None
    assert not [v for v in sim.state.volumes.values() if v.vmid == 101]


def test_a_task_with_warnings_has_its_effect(sim: Simulator, pve: Client) -> None:
    sim.faults.warn_task("vzstart")
    assert start(pve) == "WARNINGS: 1"
    assert pve.get(f"{LXC}/100/status/current").data["status"] == "running"


# --- conditions ---------------------------------------------------------------------------------


def test_a_full_storage_refuses_a_new_disk(sim: Simulator, pve: Client) -> None:
    sim.faults.add(effect="storage-full", storage="local-lvm")
    said = pve.post(LXC, vmid=101, ostemplate=TEMPLATE, rootfs="local-lvm:1")
    assert "no space left" in pve.finish(said)
    assert pve.get("/nodes/pve/storage/local-lvm/status").data["avail"] == 0


def test_a_held_lock_shows_and_goes_with_its_rule(sim: Simulator, pve: Client) -> None:
    name = sim.faults.add(effect="lock-held", vmid=100, lock="backup")
    assert pve.get(f"{LXC}/100/config").data["lock"] == "backup"
    assert start(pve) == "CT is locked (backup)"
    sim.faults.remove(name)
    assert start(pve) == "OK"


def test_a_node_that_is_cut_off_cannot_be_reached() -> None:
    sim = Simulator(World.preset("cluster"))
    client = Client.login(sim)
    sim.faults.add(effect="node-offline", node="pve2")
    assert client.get("/nodes/pve2/lxc").refusal == (595, "No route to host")
    assert {r["node"]: r["status"] for r in client.get("/nodes").data}["pve2"] == "offline"


def test_a_disk_that_must_stay_makes_the_destroy_of_a_container_fail(
    sim: Simulator, pve: Client
) -> None:
    sim.faults.add(effect="disk-left-behind", vmid=100)
    assert "Operation not permitted" in pve.finish(pve.delete(f"{LXC}/100"))
    assert sim.guest(100) is not None


def test_reset_ends_all_rules(sim: Simulator, pve: Client) -> None:
    sim.faults.fail(error="no-quorum")
    sim.reset()
    assert pve.get("/version").status == 200


# --- rules that a world brings ------------------------------------------------------------------


def broken_world(*rules: dict[str, Any]) -> World:
    return World.parse({**World.preset("single").data, "faults": list(rules)}, origin="lab.json")


def test_the_rules_of_a_world_are_in_force_from_the_start_and_after_a_reset() -> None:
    sim = Simulator(broken_world({"effect": "error", "path": "/version", "error": "no-quorum"}))
    assert Client.login(sim).get("/version").status == 500
    sim.faults.clear()
    assert Client.login(sim).get("/version").status == 200
    sim.reset()
    assert Client.login(sim).get("/version").status == 500


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        pytest.param({"effect": "boom"}, r'faults\[0\]: .*"boom" is not known', id="effect"),
        pytest.param(
            {"effect": "drop", "nth": "two"}, r"nth 'two' is of the wrong kind", id="kind"
        ),
        pytest.param({"effect": "drop", "when": 1}, r'unknown key "when"', id="key"),
    ],
)
def test_a_wrong_rule_of_a_world_is_reported_with_its_place(
    rule: dict[str, Any], text: str
) -> None:
    with pytest.raises(WorldError, match=text):
        broken_world(rule)
