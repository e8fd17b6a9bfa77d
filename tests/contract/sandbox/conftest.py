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
from pytest_proxmox.values import Vmid, VmidRange

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
    pool: str | None = None

    def sandbox(
        self, run: str = "run-1", *, worker: str = "main", ledger: Ledger | None = None
    ) -> Sandbox:
        """Return a sandbox of this process, opened; with a ledger of its own on another machine."""
        return Sandbox(
            self.api,
            self.facts,
            ledger or self.ledger,
            span=SPAN,
            run=Run.here(run, worker=worker),
            pool=self.pool,
            clock=self.clock,
        ).open()

    def empty(self, sandbox: Sandbox) -> None:
        """Close a sandbox and end its run; nothing may be left of either."""
        assert sandbox.close() == []
        assert sandbox.sweep_run() == []

    def order(self, sandbox: Sandbox, vmid: int, **wishes: Any) -> dict[str, Any]:
        """Return what an app under test asks for to make a container itself."""
        order = {
            "vmid": int(vmid),
            "ostemplate": self.facts.template,
            "rootfs": f"{self.facts.storage}:1",
            "pool": sandbox.pool_of(Vmid(vmid)),
        }
        return order | wishes

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


WAYS = {
    "root, in-process": ("in-process", "root"),
    "root with pools, https": ("https", "root with pools"),
    "weak token, in-process": ("in-process", "weak token"),
}


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """How the Proxmox is reached, and who we are there."""
    transport, who = request.param
    return str(transport), str(who)


@pytest.fixture
def world() -> World:
    """What the Proxmox starts with; a test class or module may override it."""
    return World.preset("single")


@pytest.fixture
def site(way: tuple[str, str], world: World, tmp_path: Path) -> Iterator[Site]:
    """A Proxmox that we and a stranger, who is root, are on."""
    transport, who = way
    with ExitStack() as stack:
        simulator = Simulator(world)
        endpoint = _endpoint(simulator, transport, stack)
        ledger = stack.enter_context(Ledger(tmp_path / "ledger", durable=False))
        clock = ManualClock()
        stranger = Calls(connect(_as_stranger(connect(endpoint), endpoint)), clock)
        if who == "weak token":
            endpoint = _as_weak_token(stranger, endpoint)
        elif who == "root with pools":
            stranger.post("pools", poolid="pytest")
        api = connect(endpoint)
        facts = discover(Calls(api, clock), kind="real", url=endpoint.url, user=endpoint.identity)
        pool = None if who == "root" else "pytest"
        yield Site(endpoint, api, stranger, facts, ledger, clock, simulator, pool)


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
    return _with_token(endpoint, "root@pam", "stranger", made["value"])


RIGHTS = (
    "VM.Allocate,VM.Audit,VM.Clone,VM.Config.Disk,VM.Config.CPU,VM.Config.Memory,"
    "VM.Config.Network,VM.Config.Options,VM.PowerMgmt,VM.Snapshot,VM.Snapshot.Rollback,"
    "VM.Backup,Datastore.AllocateSpace,Datastore.Audit,SDN.Use,Pool.Audit,Pool.Allocate"
)


def _as_weak_token(root: Calls, endpoint: Endpoint) -> Endpoint:
    """A privilege-separated token with the least rights that a sandbox needs (golden 14)."""
    root.post("access/roles", roleid="PytestSandbox", privs=RIGHTS)
    root.post("pools", poolid="pytest")
    root.post("access/users", userid="pt@pve")
    made = root.post("access/users/pt@pve/token/ci", privsep=1)
    storages = {row["storage"] for row in root.get("storage")}
    for path in ("/pool/pytest", "/sdn/zones/localnetwork", *(f"/storage/{s}" for s in storages)):
        for key, name in (("users", "pt@pve"), ("tokens", "pt@pve!ci")):
            root.put("access/acl", path=path, roles="PytestSandbox", **{key: name})
    return _with_token(endpoint, "pt@pve", "ci", made["value"])


def _with_token(endpoint: Endpoint, user: str, name: str, value: str) -> Endpoint:
    return Endpoint(
        endpoint.host,
        endpoint.port,
        user,
        token_name=name,
        token_value=value,
        ca_file=endpoint.ca_file,
    )
