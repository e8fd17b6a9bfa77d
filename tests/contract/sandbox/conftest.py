"""A Proxmox of its own for each test, over both transports, and what is to see on it.

Tests here use the API only; what they know of the embedded Proxmox is in this file. With
``--proxmox real`` they run on the node that the settings name, as root and with a weak token
that they make: it must have nothing under VMIDs 9000 to 9019, nor a pool "pytest".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.campaign.watch import Watched
from pytest_proxmox.clock import Clock, ManualClock, SystemClock
from pytest_proxmox.errors import ApiFailure
from pytest_proxmox.fixtures.embedded import _Handler
from pytest_proxmox.invocation import Invocation
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
from pytest_proxmox.target.settings import endpoint_of
from pytest_proxmox.target.tasks import wait
from pytest_proxmox.values import Vmid, VmidRange

SPAN = VmidRange.parse("9000-9019")
POOL = "pytest"
WEAK = "pt@pve"
STRANGER = "stranger"
ROLE = "PytestContract"


class LeapingClock(SystemClock):
    """The machine's clock, with leaps over what only our own books wait for."""

    def __init__(self) -> None:
        self._leapt_s = 0.0

    def now(self) -> float:
        """Return the wall time, the leaps added."""
        return super().now() + self._leapt_s

    def advance(self, duration_s: float) -> None:
        """Leap."""
        self._leapt_s += duration_s


class Journal:
    """Writes down each call."""

    def __init__(self, made: list[str]) -> None:
        self._made = made

    def call(self, method: str, path: str, params: dict[str, Any], send: Callable[[], Any]) -> Any:
        """Return what the request gives."""
        self._made.append(f"{method} {path}")
        return send()


@dataclass
class Site:
    """One Proxmox and one ledger; ``stranger`` is somebody else with all rights.

    ``made`` grows with each call of ours, as ``DELETE pools``; ``clock`` leaps over long waits.
    """

    endpoint: Endpoint
    api: Api
    stranger: Calls
    facts: TargetFacts
    ledger: Ledger
    clock: Clock
    made: list[str]
    simulator: Simulator | None
    pool: str | None = None

    @property
    def embedded(self) -> Simulator:
        """The embedded Proxmox, for what no other can be told to do."""
        simulator = self.simulator
        if simulator is None:
            pytest.skip("a real Proxmox misbehaves, or grows a stranger's guest, as it likes")
        return simulator

    def lock(self, guest: Guest) -> None:
        """Lock a guest's configuration; a container's is unlocked by its node's root only."""
        if guest.ref.kind == "lxc" and self.simulator is None:
            pytest.skip("a container's lock cannot be taken off again over the API")
        self.stranger.put(guest.path("config"), lock="backup")

    def is_free(self, vmid: int) -> bool:
        """Whether no guest has the VMID."""
        guests = self.stranger.get("cluster/resources", type="vm")
        return all(row["vmid"] != vmid for row in guests)

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
def site(
    way: tuple[str, str], world: World, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Site]:
    """A Proxmox that we and a stranger, who is root, are on."""
    transport, who = way
    settings = Invocation.of(request.config).settings
    with ExitStack() as stack:
        clock: Clock = ManualClock()
        if settings.kind == "real":
            simulator, clock = None, LeapingClock()
            endpoint = endpoint_of(settings, settings.kind)
        else:
            simulator = Simulator(world)
            endpoint = _endpoint(simulator, transport, stack)
        ledger = stack.enter_context(Ledger(tmp_path / "ledger", durable=False))
        root = Calls(connect(endpoint), clock)
        if simulator is None:
            _tidy(root)  # a run before this one may have been killed
            stack.callback(_tidy, root)
        stranger = Calls(connect(_as_stranger(root, endpoint)), clock)
        if who == "weak token":
            endpoint = _as_weak_token(root, endpoint)
        elif who == "root with pools":
            root.post("pools", poolid=POOL)
        made: list[str] = []
        api = Watched(connect(endpoint), Journal(made))
        facts = discover(Calls(api, clock), kind="real", url=endpoint.url, user=endpoint.identity)
        pool = None if who == "root" else POOL
        made.clear()
        yield Site(endpoint, api, stranger, facts, ledger, clock, made, simulator, pool)


def _endpoint(simulator: Simulator, transport: str, stack: ExitStack) -> Endpoint:
    login = simulator.credentials
    if transport == "in-process":
        door = stack.enter_context(InProcess(_Handler(simulator)))
        return Endpoint(door.host, door.port, login.user, login.password)
    server = stack.enter_context(Server(simulator))
    return Endpoint("127.0.0.1", server.port, login.user, login.password, ca_file=server.ca_file)


def _as_stranger(root: Calls, endpoint: Endpoint) -> Endpoint:
    """A token of root's: all rights, and another name in the list of tasks."""
    made = root.post(f"access/users/root@pam/token/{STRANGER}", privsep=0)
    return _with_token(endpoint, "root@pam", STRANGER, made["value"])


def _tidy(root: Calls) -> None:
    """Take away what a test, and a stranger, left on a Proxmox that the next test is on too."""
    for row in root.get("cluster/resources", type="vm"):
        if int(row["vmid"]) in SPAN:
            path = f"nodes/{row['node']}/{row['type']}/{row['vmid']}"
            past = {"skiplock": 1} if row["type"] == "qemu" else {}
            root.put(f"{path}/config", protection=0, **past)
            if root.get(f"{path}/status/current")["status"] != "stopped":
                _finish(root, root.post(f"{path}/status/stop", **past))
            _finish(root, root.delete(path, purge=1, **past))
    for row in root.get("nodes"):
        for storage in root.get(f"nodes/{row['node']}/storage"):
            content = f"nodes/{row['node']}/storage/{storage['storage']}/content"
            for volume in root.get(content):
                if int(volume.get("vmid", 0)) in SPAN:
                    if volume.get("protected"):
                        root.put(f"{content}/{volume['volid']}", protected=0)
                    _finish(root, root.delete(f"{content}/{volume['volid']}"))
    ours = [row["poolid"] for row in root.get("pools") if row["poolid"].split("/")[0] == POOL]
    for poolid in sorted(ours, reverse=True):
        root.delete("pools", poolid=poolid)
    if any(row["userid"] == WEAK for row in root.get("access/users")):
        root.delete(f"access/users/{WEAK}")
    if any(row["roleid"] == ROLE for row in root.get("access/roles")):
        root.delete(f"access/roles/{ROLE}")
    if any(row["tokenid"] == STRANGER for row in root.get("access/users/root@pam/token")):
        root.delete(f"access/users/root@pam/token/{STRANGER}")


def _finish(root: Calls, upid: str | None) -> None:
    if upid is not None:
        wait(root.api, upid, timeout_s=60, clock=root.clock)


RIGHTS = (
    "VM.Allocate,VM.Audit,VM.Clone,VM.Config.Disk,VM.Config.CPU,VM.Config.Memory,"
    "VM.Config.Network,VM.Config.Options,VM.PowerMgmt,VM.Snapshot,VM.Snapshot.Rollback,"
    "VM.Backup,Datastore.AllocateSpace,Datastore.Audit,SDN.Use,Pool.Audit,Pool.Allocate"
)


def _as_weak_token(root: Calls, endpoint: Endpoint) -> Endpoint:
    """A privilege-separated token with the least rights that a sandbox needs (golden 14)."""
    root.post("access/roles", roleid=ROLE, privs=RIGHTS)
    root.post("pools", poolid=POOL)
    root.post("access/users", userid=WEAK)
    made = root.post(f"access/users/{WEAK}/token/ci", privsep=1)
    storages = {row["storage"] for row in root.get("storage")}
    for path in (f"/pool/{POOL}", "/sdn/zones/localnetwork", *(f"/storage/{s}" for s in storages)):
        for key, name in (("users", WEAK), ("tokens", f"{WEAK}!ci")):
            root.put("access/acl", path=path, roles=ROLE, **{key: name})
    return _with_token(endpoint, WEAK, "ci", made["value"])


def _with_token(endpoint: Endpoint, user: str, name: str, value: str) -> Endpoint:
    return Endpoint(
        endpoint.host,
        endpoint.port,
        user,
        token_name=name,
        token_value=value,
        ca_file=endpoint.ca_file,
    )
