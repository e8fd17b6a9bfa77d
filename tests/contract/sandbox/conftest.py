"""A Proxmox of its own for each test, over both transports, and what is to see on it.

Tests here use the API only; what they know of the embedded Proxmox is in this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.clock import Clock, ManualClock
from pytest_proxmox.errors import ApiFailure
from pytest_proxmox.fixtures.embedded import _Handler
from pytest_proxmox.sandbox.guests import Guest
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World
from pytest_proxmox.target.calls import Api, Calls
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.facts import TargetFacts, discover
from pytest_proxmox.target.failures import Code
from pytest_proxmox.target.inprocess import InProcess
from pytest_proxmox.target.session import connect
from pytest_proxmox.target.tasks import wait
from pytest_proxmox.values import VmidRange

SPAN = VmidRange.parse("9000-9019")


@dataclass
class Site:
    """One Proxmox and one ledger; ``stranger`` is somebody else with all rights."""

    endpoint: Endpoint
    api: Api
    stranger: Calls
    facts: TargetFacts
    ledger: Ledger
    clock: Clock
    simulator: Simulator

    def sandbox(self, run: str = "run-1", *, worker: str = "main") -> Sandbox:
        """Return a sandbox of this process, opened."""
        me = Run.here(run, worker=worker)
        return Sandbox(
            self.api, self.facts, self.ledger, span=SPAN, run=me, clock=self.clock
        ).open()

    def do(self, method: str, path: str, **params: Any) -> Any:
        """Do something as the stranger, and wait for its task."""
        answer = getattr(self.stranger, method)(path, **params)
        if isinstance(answer, str) and answer.startswith("UPID:"):
            outcome = wait(self.stranger.api, answer, timeout_s=60, clock=self.clock)
            outcome.demand(f"{method} {path}")
        return answer

    def plant(self, vmid: int, **config: Any) -> None:
        """Make a stranger's container under a VMID."""
        order: dict[str, Any] = {
            "ostemplate": self.facts.template,
            "rootfs": f"{self.facts.storage}:1",
            "hostname": "theirs",
            "description": "hands off",
        }
        self.do("post", f"nodes/{self.facts.node}/lxc", vmid=vmid, **(order | config))

    def picture(self) -> dict[str, Any]:
        """Return everything that clean-up could change: guests, pools, volumes, HA."""
        guests = self.stranger.get("cluster/resources", type="vm")
        paths = sorted(f"nodes/{row['node']}/{row['type']}/{row['vmid']}" for row in guests)
        return {
            "guests": {path: self.stranger.get(f"{path}/config") for path in paths},
            "status": {
                path: self.stranger.get(f"{path}/status/current")["status"] for path in paths
            },
            "volumes": sorted(self._volumes()),
            "pools": sorted(row["poolid"] for row in self.stranger.get("pools")),
        }

    def vm(self, sandbox: Sandbox, **overrides: Any) -> Guest:
        """Return a VM of the sandbox, or skip where the Proxmox has none."""
        try:
            return sandbox.vm(**overrides)
        except ApiFailure as exc:
            if exc.code != Code.NOT_IMPLEMENTED:
                raise
            pytest.skip(f"no VMs on this Proxmox: {exc.text}")

    def _volumes(self) -> set[str]:
        found: set[str] = set()
        for node in (row["node"] for row in self.stranger.get("nodes")):
            for storage in self.stranger.get(f"nodes/{node}/storage"):
                path = f"nodes/{node}/storage/{storage['storage']}/content"
                found |= {f"{row['volid']} on {node}" for row in self.stranger.get(path)}
        return found


@pytest.fixture(params=["https", "in-process"])
def transport(request: pytest.FixtureRequest) -> str:
    """How the Proxmox is reached."""
    return str(request.param)


@pytest.fixture
def world() -> World:
    """What the Proxmox starts with; a test class or module may override it."""
    return World.preset("single")


@pytest.fixture
def site(transport: str, world: World, tmp_path: Path) -> Iterator[Site]:
    """A Proxmox that we are root on, and a stranger too."""
    with ExitStack() as stack:
        simulator = Simulator(world)
        endpoint = _endpoint(simulator, transport, stack)
        ledger = stack.enter_context(Ledger(tmp_path / "ledger", durable=False))
        clock = ManualClock()
        api = connect(endpoint)
        facts = discover(
            Calls(api, clock), kind="simulator", url=endpoint.url, user=endpoint.identity
        )
        stranger = Calls(connect(_as_stranger(api, endpoint)), clock)
        yield Site(endpoint, api, stranger, facts, ledger, clock, simulator)


def _endpoint(simulator: Simulator, transport: str, stack: ExitStack) -> Endpoint:
    login = simulator.credentials
    if transport == "in-process":
        door = stack.enter_context(InProcess(_Handler(simulator)))
        return Endpoint(door.host, door.port, login.user, login.password)
    server = stack.enter_context(Server(simulator))
    return Endpoint("127.0.0.1", server.port, login.user, login.password, ca_file=server.ca_file)


def _as_stranger(api: Api, endpoint: Endpoint) -> Endpoint:
    """A token of root's: all rights, and another name in the list of tasks."""
    made = api("access/users/root@pam/token/stranger").post(privsep=0)
    return Endpoint(
        endpoint.host,
        endpoint.port,
        "root@pam",
        token_name="stranger",
        token_value=made["value"],
        ca_file=endpoint.ca_file,
    )
