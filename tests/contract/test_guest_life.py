"""The state machine for users' clients, run against the embedded Proxmox."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from proxmoxer import ProxmoxAPI

from pytest_proxmox.guestlife import GuestClient, GuestLife, ProxmoxerGuests
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.wire import Request
from pytest_proxmox.simulator.world import World
from pytest_proxmox.target.inprocess import InProcess

from .client import Client

TEMPLATE = "local:vztmpl/alpine-3.18-default_20230607_amd64.tar.xz"
LXC = "/nodes/pve/lxc"
QUIET: Any = {"deadline": None, "suppress_health_check": list(HealthCheck)}


class Direct:
    """``GuestClient`` without any client library: the machine at its fastest."""

    def __init__(self) -> None:
        self.sim = Simulator(World.preset("single"))
        self.sim.plant(vmid=777)
        self.pve = Client.login(self.sim)

    def _do(self, verb: str, path: str, **params: Any) -> None:
        assert self.pve.finish(getattr(self.pve, verb)(f"{LXC}{path}", **params)) == "OK"

    def free_vmid(self) -> int:
        return int(self.pve.get("/cluster/nextid").data)

    def create(self, vmid: int, hostname: str) -> None:
        root = {"rootfs": "local-lvm:1", "hostname": hostname}
        self._do("post", "", vmid=vmid, ostemplate=TEMPLATE, **root)

    def start(self, vmid: int) -> None:
        self._do("post", f"/{vmid}/status/start")

    def stop(self, vmid: int) -> None:
        self._do("post", f"/{vmid}/status/stop")

    def clone(self, vmid: int, newid: int) -> None:
        self._do("post", f"/{vmid}/clone", newid=newid, full=1)

    def snapshot(self, vmid: int, name: str) -> None:
        self._do("post", f"/{vmid}/snapshot", snapname=name)

    def rollback(self, vmid: int, name: str) -> None:
        self._do("post", f"/{vmid}/snapshot/{name}/rollback")

    def delete(self, vmid: int) -> None:
        self._do("delete", f"/{vmid}", purge=1)

    def statuses(self) -> dict[int, str]:
        return {row["vmid"]: row["status"] for row in self.pve.get(LXC).data}

    def close(self) -> None:
        assert [guest.vmid for guest in self.sim.guests()] == [777]
        assert {v.vmid for v in self.sim.state.volumes.values()} == {None, 777}
        assert not self.sim.crashes


class OnProxmoxer(ProxmoxerGuests):
    """proxmoxer on an embedded Proxmox of its own, in-process."""

    def __init__(self) -> None:
        self.sim = Simulator(World.preset("single"))
        self._wire = InProcess(self._handle)
        self._wire.__enter__()
        token = self.sim.credentials
        api = ProxmoxAPI(
            self._wire.host,
            user=token.user,
            token_name=token.token_id.partition("!")[2],
            token_value=token.token_secret,
        )
        super().__init__(api, node="pve", template=TEMPLATE, rootfs="local-lvm:1")

    def _handle(self, method: str, target: str, headers: Any, body: bytes) -> Any:
        answer = self.sim.handle(Request(method, target, headers, body))
        return answer.status, answer.reason, answer.headers, answer.body

    def close(self) -> None:
        self._wire.__exit__(None, None, None)
        assert self.sim.guests() == []


class Forgetful(Direct):
    """A client with a mistake: a rollback leaves the container running."""

    def rollback(self, vmid: int, name: str) -> None:
        super().rollback(vmid, name)
        self.start(vmid)


def life(client: type[GuestClient]) -> type[GuestLife]:
    class Life(GuestLife):
        def make_client(self) -> GuestClient:
            return client()

    return Life


def test_any_sequence_of_steps_ends_where_it_should() -> None:
    budget = settings(max_examples=40, stateful_step_count=30, **QUIET)
    run_state_machine_as_test(life(Direct), settings=budget)


def test_proxmoxer_can_be_led_through_the_same_life() -> None:
    budget = settings(max_examples=3, stateful_step_count=12, phases=[Phase.generate], **QUIET)
    run_state_machine_as_test(life(OnProxmoxer), settings=budget)


def test_the_machine_finds_a_client_that_is_not_where_it_says() -> None:
    budget = settings(
        max_examples=300, database=None, phases=[Phase.generate], print_blob=False, **QUIET
    )
    with pytest.raises(AssertionError, match="containers are"):
        run_state_machine_as_test(life(Forgetful), settings=budget)
