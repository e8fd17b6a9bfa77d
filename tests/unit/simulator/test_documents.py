"""The JSON Schemas agree with the code that reads and writes the documents."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings

from pytest_proxmox.errors import UserMistake
from pytest_proxmox.simulator import documents, saved
from pytest_proxmox.simulator.control import Control
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.wire import Request
from pytest_proxmox.simulator.world import PRESETS, World
from pytest_proxmox.strategies import worlds
from scripts import reference_facts
from tests.house.source import ROOT

SCHEMAS = {name: make() for name, make in documents.SCHEMAS.items()}
FILES = (ROOT / "tests/app/world.json", ROOT / "tests/contract/golden/world.json")
RULE = {"effect": "error", "error": "no-quorum"}
NODE: dict[str, Any] = {"nodes": {"a": {}}}


def _errors(name: str, document: Any) -> list[str]:
    validator = jsonschema_rs.Draft202012Validator(SCHEMAS[name])
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(document)]


def _is_world(data: Any) -> bool:
    try:
        World.parse(data, origin="here")
    except UserMistake:
        return False
    return True


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_a_schema_is_one(name: str) -> None:
    assert jsonschema_rs.meta.is_valid(SCHEMAS[name])


# --- worlds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_valid_as_it_is_read(preset: str) -> None:
    assert _errors("world", dict(World.preset(preset).data)) == []


@pytest.mark.parametrize("path", FILES, ids=["app", "golden"])
def test_a_world_file_is_valid(path: Path) -> None:
    assert _errors("world", json.loads(path.read_text())) == []


@given(data=worlds())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_world_that_can_be_read_is_valid(data: dict[str, Any]) -> None:
    assert _is_world(data)
    assert _errors("world", data) == []


def _worlds_with(**parts: Any) -> dict[str, Any]:
    return {**NODE, **parts}


BROKEN_WORLDS: dict[str, Any] = {
    "no object": [],
    "no nodes": {},
    "an empty table of nodes": {"nodes": {}},
    "an unknown key": _worlds_with(guest=[]),
    "a node's name": {"nodes": {"a_b": {}}},
    "a node's unknown key": {"nodes": {"a": {"cpus": 1}}},
    "a node without processors": {"nodes": {"a": {"maxcpu": 0}}},
    "a node that is perhaps online": {"nodes": {"a": {"online": "yes"}}},
    "bridges that are no list": {"nodes": {"a": {"bridges": "vmbr0"}}},
    "a version that is a number": _worlds_with(version=9),
    "a cluster without a name": _worlds_with(cluster={}),
    "a storage without a type": _worlds_with(storages={"s": {}}),
    "a content type": _worlds_with(storages={"s": {"type": "dir", "content": ["cats"]}}),
    "a size as text": _worlds_with(storages={"s": {"type": "dir", "size": "1G"}}),
    "a volume without an id": _worlds_with(volumes=[{}]),
    "a volume's id": _worlds_with(storages={"s": {"type": "dir"}}, volumes=[{"volid": "s"}]),
    "a user without a realm": _worlds_with(users={"root": {}}),
    "a token without a secret": _worlds_with(tokens={"root@pam!ci": {}}),
    "a token's name": _worlds_with(tokens={"root@pam": {"secret": "x"}}),
    "a low VMID": _worlds_with(guests=[{"vmid": 99}]),
    "a guest's type": _worlds_with(guests=[{"vmid": 100, "type": "docker"}]),
    "a guest's unknown key": _worlds_with(guests=[{"vmid": 100, "statuss": "running"}]),
    "a guest's status": _worlds_with(guests=[{"vmid": 100, "status": "up"}]),
    "a guest's configuration": _worlds_with(guests=[{"vmid": 100, "config": "x"}]),
    "a workload's port": _worlds_with(workloads={"t": {"port": 80}}),
    "a workload's kind": _worlds_with(workloads={"t": {"serves": "cake"}}),
    "a workload's path": _worlds_with(workloads={"t": {"health": "up"}}),
    "a role that is a text": _worlds_with(roles={"R": "VM.Audit"}),
    "an ACL without a role": _worlds_with(acls=[{"path": "/", "ugid": "a@pam"}]),
    "a fault's effect": _worlds_with(faults=[{"effect": "rain"}]),
    "a fault's probability": _worlds_with(faults=[{**RULE, "probability": 2}]),
    "a fault's unknown key": _worlds_with(faults=[{**RULE, "when": "now"}]),
}


@pytest.mark.parametrize("data", BROKEN_WORLDS.values(), ids=list(BROKEN_WORLDS))
def test_what_the_reader_refuses_is_not_valid(data: Any) -> None:
    assert not _is_world(data)
    assert _errors("world", data)


def test_a_world_file_may_name_its_schema() -> None:
    data = _worlds_with(**{"$schema": "world.schema.json"})
    assert _is_world(data)
    assert _errors("world", data) == []


# --- states ---------------------------------------------------------------------------------------


@pytest.fixture
def lived() -> Simulator:
    """A simulator with guests of both kinds, a snapshot, tasks and a running one."""
    sim = Simulator(World.load(FILES[1]))
    login = sim.credentials
    headers = {
        "authorization": f"PVEAPIToken={login.token_id}={login.token_secret}",
        "content-type": "application/x-www-form-urlencoded",
    }
    template = next(v for v in sim.state.volumes.values() if v.content == "vztmpl").volid
    for path, body in (
        ("lxc", f"vmid=100&ostemplate={template}&rootfs=local:0.1"),
        ("qemu", "vmid=101&memory=64"),
        ("qemu/101/snapshot", "snapname=before"),
        ("lxc/100/status/start", ""),
    ):
        request = Request("POST", f"/api2/json/nodes/pve1/{path}", headers, body.encode())
        answer = sim.handle(request)
        assert answer.status == 200, answer.reason
        sim.clock.advance(60)
        get = Request("GET", "/api2/json/nodes/pve1/tasks", headers)
        assert sim.handle(get).status == 200
    return sim


def _state(sim: Simulator) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(json.dumps(saved.dump(sim)))
    return written


def test_a_state_is_valid(lived: Simulator) -> None:
    state = _state(lived)
    assert {len(state["tables"][name]) for name in ("guests",)} == {2}
    assert _errors("state", state) == []


@pytest.mark.parametrize("preset", PRESETS)
def test_the_first_state_of_a_preset_is_valid(preset: str) -> None:
    assert _errors("state", _state(Simulator(World.preset(preset)))) == []


BREAKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another format": lambda state: state.update(format=2),
    "no time": lambda state: state.update(now="soon"),
    "an unknown table": lambda state: state["tables"].update(dogs=[]),
    "a table that is no list": lambda state: state["tables"].update(guests={}),
    "a row without a value": lambda state: state["tables"]["guests"].append([1]),
    "a field that is missing": lambda state: state["tables"]["guests"][0][1].pop("node"),
    "a field that is unknown": lambda state: state["tables"]["guests"][0][1].update(cat=1),
}


@pytest.mark.parametrize("how", BREAKS.values(), ids=list(BREAKS))
def test_a_state_that_cannot_be_loaded_is_not_valid(
    lived: Simulator, how: Callable[[dict[str, Any]], Any]
) -> None:
    state = copy.deepcopy(_state(lived))
    how(state)
    with pytest.raises(UserMistake):
        saved.load(Simulator(World.preset("single")), state, origin="here")
    assert _errors("state", state)


# --- the control plane ----------------------------------------------------------------------------


def _exchanges(sim: Simulator) -> Iterator[dict[str, Any]]:
    control = Control(sim, "token")

    def call(name: str, request: Any = None) -> dict[str, Any]:
        method, _, path = name.partition(" ")
        body = b"" if request is None else json.dumps(request).encode()
        sent = Request(method, f"/_control{path}", {"authorization": "Bearer token"}, body)
        sent_too = {} if request is None else {"request": request}
        return {"call": name, **sent_too, "answer": json.loads(control.handle(sent).body)}

    snapshot = call("POST /snapshot")
    state = call("GET /state")
    yield snapshot
    yield state
    yield call("PUT /state", state["answer"])
    yield call("POST /restore", snapshot["answer"])
    yield call("POST /faults", {**RULE, "times": 1, "vmid": 100})
    yield call("GET /faults")
    yield call("DELETE /faults")
    yield call("DELETE /faults", {"id": "unknown"})
    yield call("POST /clock", {"advance_s": 5})
    yield call("GET /calls")
    yield call("POST /reset")


def test_every_exchange_on_the_control_plane_is_valid(lived: Simulator) -> None:
    seen = list(_exchanges(lived))
    assert {one["call"] for one in seen} == reference_facts.simulator_calls()
    assert {one["call"]: _errors("control", one) for one in seen if _errors("control", one)} == {}


@pytest.mark.parametrize(
    "exchange",
    [
        {"call": "POST /fly", "answer": {}},
        {"call": "POST /restore", "answer": {}},
        {"call": "POST /clock", "request": {"advance_s": -1}, "answer": {"now": 1}},
        {"call": "POST /snapshot", "answer": {}},
        {"call": "POST /faults", "request": {"effect": "rain"}, "answer": {"id": "1"}},
        {"call": "GET /calls", "answer": [{"method": "GET"}]},
        {"call": "PUT /state", "request": {}, "answer": {}},
    ],
    ids=lambda exchange: exchange["call"],
)
def test_a_wrong_exchange_is_not_valid(exchange: dict[str, Any]) -> None:
    assert _errors("control", exchange)


def test_the_schema_has_the_calls_that_the_control_plane_has() -> None:
    named = {one["properties"]["call"]["const"] for one in SCHEMAS["control"]["oneOf"]}
    assert named == reference_facts.simulator_calls()
