"""A gateway before an embedded Proxmox that stands for a real one, with somebody else on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.fixtures.embedded import _Handler
from pytest_proxmox.gateway import doors
from pytest_proxmox.gateway.doors import Door
from pytest_proxmox.gateway.gateway import Gateway
from pytest_proxmox.gateway.policy import Policy
from pytest_proxmox.gateway.record import Recorder
from pytest_proxmox.gateway.upstream import Recorded
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.target.calls import Calls
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.facts import discover
from pytest_proxmox.target.forward import Forwarder
from pytest_proxmox.target.inprocess import InProcess
from pytest_proxmox.target.provision import Found, Wish, carry_out, plan
from pytest_proxmox.target.redaction import Redaction
from pytest_proxmox.target.session import connect
from pytest_proxmox.target.tasks import wait
from pytest_proxmox.values import VmidRange

SPAN = VmidRange.parse("9000-9019")
THEIRS = 9001
TEMPLATE = 500


@dataclass
class Guarded:
    """A guarded Proxmox: ``api`` is an app's way in, ``sim`` what is really there."""

    sim: Simulator
    sandbox: Sandbox
    gateway: Gateway
    door: Door
    folder: Path

    @property
    def api(self) -> Any:
        """A client that an app under test has: it knows the gateway's login only."""
        return connect(self.door.endpoint)

    def order(self, vmid: int, **more: Any) -> dict[str, Any]:
        """Return what makes a container."""
        facts = self.sandbox.facts
        order = {"vmid": vmid, "ostemplate": facts.template, "rootfs": f"{facts.storage}:1"}
        return order | more

    def make(self, vmid: int, **more: Any) -> None:
        """Make a container as the app does, and wait."""
        api = self.api
        upid = api("nodes/pve/lxc").post(**self.order(vmid, **more))
        wait(api, upid, timeout_s=60, clock=ManualClock()).demand("create")

    def vmids(self) -> set[int]:
        """Return the VMIDs of all guests."""
        return {guest.vmid for guest in self.sim.guests()}


def weak_endpoint(sim: Simulator, root: Endpoint) -> Endpoint:
    """Return the login of the token that ``setup`` would make."""
    wish = Wish("pytest", ("local", "local-lvm"))
    calls = Calls(connect(root), ManualClock())
    secrets = [carry_out(calls, step) for step in plan(wish, Found())]
    value = next(filter(None, secrets))
    return Endpoint(root.host, root.port, wish.user, token_name=wish.token, token_value=value)


@pytest.fixture
def transport() -> str:
    """How the app reaches the gateway; a test for which that matters is parametrised by it."""
    return "in-process"


@pytest.fixture
def guarded(tmp_path: Path, transport: str) -> Iterator[Guarded]:
    """A gateway whose own login has the least rights; foreign guests are in its range."""
    with ExitStack() as stack:
        sim = Simulator()
        for vmid in (THEIRS, TEMPLATE):
            sim.plant(vmid=vmid, type="lxc", node="pve", config={})
        line = stack.enter_context(InProcess(_Handler(sim)))
        login = sim.credentials
        endpoint = weak_endpoint(sim, Endpoint(line.host, line.port, login.user, login.password))
        api, clock = connect(endpoint), ManualClock()
        facts = discover(Calls(api, clock), kind="real", url=endpoint.url, user=endpoint.identity)
        ledger = stack.enter_context(Ledger(tmp_path / "ledger", durable=False))
        run = Run.here("run-1")
        sandbox = Sandbox(api, facts, ledger, span=SPAN, run=run, pool="pytest", clock=clock)
        head = {"run": run.id, "url": facts.url, "user": facts.user, "began": clock.now()}
        recorder = Recorder(
            Redaction([endpoint.token_value]),
            folder=tmp_path / "recording",
            head=head | {"span": str(SPAN)},
        )
        stack.callback(recorder.close)
        upstream = Recorded(Forwarder(endpoint, api), recorder, clock=clock)
        policy = Policy(SPAN, frozenset({TEMPLATE}))
        gateway = doors.gateway_for(sandbox, upstream, recorder, policy)
        door = stack.enter_context(doors.opened(gateway, transport))  # type: ignore[arg-type]
        yield Guarded(sim, sandbox, gateway, door, tmp_path / "recording")
