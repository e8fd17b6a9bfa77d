"""The simulator's time: what moves it, and what hangs on it."""

from __future__ import annotations

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.simulator.clock import SimulatorClock
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World
from tests.contract.client import Client

LXC = "/nodes/pve/lxc"


def running(clock: str, **more: float) -> tuple[Simulator, Client]:
    sim = Simulator(World.preset("single"), clock=clock, **more)
    sim.plant(vmid=100)
    return sim, Client.login(sim)


def status(client: Client) -> str:
    return str(client.get(f"{LXC}/100/status/current").data["status"])


def test_an_ordinary_read_moves_one_second() -> None:
    sim, client = running("on-poll")
    before = sim.clock.now()
    client.get("/version")
    assert sim.clock.now() == before + 1


def test_a_write_moves_nothing() -> None:
    sim, client = running("on-poll")
    before = sim.clock.now()
    client.post(f"{LXC}/100/status/start")
    assert sim.clock.now() == before


@pytest.mark.parametrize("part", ["status", "log"])
def test_a_read_of_a_task_runs_to_its_end(part: str) -> None:
    _, client = running("on-poll")
    upid = client.post(f"{LXC}/100/status/start").data
    client.get(f"/nodes/pve/tasks/{upid}/{part}")
    assert client.get(f"/nodes/pve/tasks/{upid}/status").data["exitstatus"] == "OK"


def test_instant_tasks_end_before_the_answer() -> None:
    sim, client = running("instant")
    client.post(f"{LXC}/100/status/start")
    guest = sim.guest(100)
    assert guest is not None
    assert guest.status == "running"


def test_a_manual_clock_moves_only_when_it_is_told_to() -> None:
    sim, client = running("manual")
    client.post(f"{LXC}/100/status/start")
    assert [status(client) for _ in range(3)] == ["stopped"] * 3
    sim.clock.advance(5)
    assert status(client) == "running"


def test_a_real_clock_runs_with_the_wall_times_its_scale() -> None:
    wall = ManualClock()
    clock = SimulatorClock("real", scale=20, wall=wall)
    before = clock.now()
    wall.advance(3)
    assert clock.now() == before + 60


def test_time_cannot_go_back() -> None:
    with pytest.raises(ValueError, match="cannot go back"):
        SimulatorClock().advance(-1)


def test_a_ticket_ends_after_two_hours_of_virtual_time() -> None:
    sim, client = running("on-poll")
    sim.clock.advance(7201)
    assert client.get("/version").refusal == (401, "Authentication failed!")


def test_polling_does_not_make_a_ticket_old() -> None:
    _, client = running("on-poll")
    assert all(client.get("/version").status == 200 for _ in range(7300))


def test_restoring_a_snapshot_brings_the_time_back() -> None:
    sim, client = running("on-poll")
    mark = sim.snapshot()
    before = sim.clock.now()
    sim.clock.advance(7201)
    sim.restore(mark)
    assert sim.clock.now() == before
    assert client.get("/version").status == 200
