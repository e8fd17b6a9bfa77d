"""The ground of one case: a Proxmox with strangers' things in and around the range, machines."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.campaign.direct import direct
from pytest_proxmox.clock import SystemClock
from pytest_proxmox.fixtures.embedded import _Handler
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.pools import Tenant
from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.state import Pool, Volume
from pytest_proxmox.simulator.world import World
from pytest_proxmox.target.calls import Api, Calls
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.facts import TargetFacts, discover
from pytest_proxmox.target.inprocess import InProcess
from pytest_proxmox.target.session import connect
from pytest_proxmox.values import LeaseId, VmidRange

SPAN: Final = VmidRange.parse("9000-9059")
PARENT: Final = "pytest"
COMPARED: Final = ("guests", "volumes", "pools", "members", "acls", "ha", "jobs", "records")
SKEW_S: Final = 120.0
RIGHTS: Final = (
    "VM.Allocate,VM.Audit,VM.Clone,VM.Config.Disk,VM.Config.CPU,VM.Config.Memory,"
    "VM.Config.Network,VM.Config.Options,VM.PowerMgmt,VM.Snapshot,VM.Snapshot.Rollback,"
    "VM.Backup,Datastore.AllocateSpace,Datastore.Audit,SDN.Use,Pool.Audit,Pool.Allocate"
)

Picture = dict[str, dict[Any, Any]]


@dataclass
class Wire:
    """Requests of dead processes that have not arrived yet, each with its time."""

    pending: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def deliver(self, now: float) -> None:
        """Let arrive what is due."""
        due = [send for at, send in self.pending if at <= now]
        self.pending = [one for one in self.pending if one[0] > now]
        for send in due:
            send()


class MachineClock:
    """One machine's clock, apart from the Proxmox's; who sleeps on it moves both."""

    def __init__(self, simulator: Simulator, wire: Wire, skew_s: float) -> None:
        self._simulator = simulator
        self._wire = wire
        self._skew_s = skew_s

    def now(self) -> float:
        """Return the machine's idea of the time; what is due by then has arrived."""
        moment = self._simulator.clock.now()
        self._wire.deliver(moment)
        return moment + self._skew_s

    def monotonic(self) -> float:
        """Return the same: it never goes back."""
        return self.now()

    def sleep(self, duration_s: float) -> None:
        """Move the virtual time, and let arrive what was under way."""
        clock = self._simulator.clock
        clock.move_to(clock.now() + duration_s)
        self._wire.deliver(clock.now())


@dataclass
class Ground:
    """Where a case happens."""

    simulator: Simulator
    endpoint: Endpoint
    api: Api
    facts: TargetFacts
    before: Picture
    wire: Wire

    def picture(self) -> Picture:
        """Return everything on the Proxmox that a clean-up could change."""
        with self.simulator.lock:
            state = self.simulator.state
            return {name: dict(getattr(state, name)) for name in COMPARED}

    def clock(self, skew_s: float) -> MachineClock:
        """Return the clock of one more machine."""
        return MachineClock(self.simulator, self.wire, skew_s)

    def differences(self, *, pools_too: bool = True) -> list[str]:
        """Return what is not as it was before anybody of ours came."""
        now = self.picture()
        names = [name for name in COMPARED if pools_too or name != "pools"]
        return [
            f"{name} {key}: {_verb(self.before[name].get(key), now[name].get(key))}"
            for name in names
            for key in sorted({*self.before[name], *now[name]}, key=str)
            if self.before[name].get(key) != now[name].get(key)
        ]

    def plant(self, vmid: int) -> None:
        """Let a stranger make a guest now; it belongs to what was there before."""
        old = self.picture()
        self.simulator.plant(vmid=vmid, type="lxc", node=self.facts.node, config={})
        new = self.picture()
        for name in COMPARED:
            made = {key: one for key, one in new[name].items() if old[name].get(key) != one}
            self.before[name] |= made

    def remove(self, vmid: int) -> None:
        """Let root remove a guest of ours by hand, with its disks."""
        self.simulator.drop_guest(vmid)
        with self.simulator.lock:
            volumes = self.simulator.state.volumes
            for key in [key for key, one in volumes.items() if one.vmid == vmid]:
                if key not in self.before["volumes"]:
                    del volumes[key]


def _verb(before: object, now: object) -> str:
    return "left" if before is None else "gone" if now is None else f"changed to {now}"


@contextmanager
def laid(rng: random.Random, *, over_sockets: bool) -> Iterator[Ground]:
    """A Proxmox for one case: one node or three, root or a weak token, strangers everywhere."""
    world = World.preset(rng.choice(("single", "single", "cluster")))
    clock = rng.choice(("on-poll", "manual")) if not over_sockets else "on-poll"
    with ExitStack() as stack:
        simulator = Simulator(world, clock=clock)
        endpoint = _door(simulator, stack, over_sockets=over_sockets)
        root = Calls(quick(connect(endpoint)), SystemClock())
        root.post("pools", poolid=PARENT)
        if rng.random() < 0.6:
            endpoint = _as_weak_token(root, endpoint)
        api = quick(connect(endpoint))
        if endpoint.token_value is not None and not over_sockets:
            api = direct(api, simulator, endpoint)
        facts = discover(
            Calls(api, SystemClock()), kind="real", url=endpoint.url, user=endpoint.identity
        )
        _settle_strangers(simulator, facts.node, rng)
        ground = Ground(simulator, endpoint, api, facts, {}, Wire())
        ground.before = ground.picture()
        yield ground


def quick(api: Api) -> Api:
    """Return the handle, which asks the environment for no proxies: a third of a call's time."""
    api._store["session"].trust_env = False  # type: ignore[attr-defined]
    return api


def _door(simulator: Simulator, stack: ExitStack, *, over_sockets: bool) -> Endpoint:
    login = simulator.credentials
    if not over_sockets:
        door = stack.enter_context(InProcess(_Handler(simulator)))
        return Endpoint(door.host, door.port, login.user, login.password)
    server = stack.enter_context(Server(simulator))
    return Endpoint("127.0.0.1", server.port, login.user, login.password, ca_file=server.ca_file)


def _as_weak_token(root: Calls, endpoint: Endpoint) -> Endpoint:
    """A privilege-separated token with the least rights that a sandbox needs."""
    root.post("access/roles", roleid="PytestSandbox", privs=RIGHTS)
    root.post("access/users", userid="pt@pve")
    made = root.post("access/users/pt@pve/token/ci", privsep=1)
    paths = [f"/pool/{PARENT}", "/sdn/zones/localnetwork"]
    paths += [f"/storage/{row['storage']}" for row in root.get("storage")]
    for path in paths:
        for key, name in (("users", "pt@pve"), ("tokens", "pt@pve!ci")):
            root.put("access/acl", path=path, roles="PytestSandbox", **{key: name})
    return replace(
        endpoint, user="pt@pve", password=None, token_name="ci", token_value=made["value"]
    )


def _settle_strangers(simulator: Simulator, node: str, rng: random.Random) -> None:
    """Guests, pools, disks and backups of others, in the range and around it."""
    inside = rng.sample(range(9000, 9012), rng.randint(1, 4))
    for vmid in (*inside, 8999, 9060, 100):
        text = rng.choice(("hands off", f"pytest-proxmox lease {LeaseId.new()} run other", ""))
        kind = rng.choice(("lxc", "qemu"))
        simulator.plant(vmid=vmid, type=kind, node=node, config={"description": text})
    state = simulator.state
    for vmid in rng.sample(range(9012, 9030), 2):
        _put_volume(simulator, node, f"local-lvm:vm-{vmid}-disk-0", "rootdir", vmid)
        name = f"local:backup/vzdump-lxc-{vmid}-2026_01_01-00_00_00.tar.zst"
        _put_volume(simulator, node, name, "backup", vmid)
    theirs = Tenant("other", "elsewhere", LeaseId.new(), int(simulator.clock.now()) + 10**6)
    with simulator.lock:
        for pool in (
            Pool("other", "not ours"),
            Pool("pytest-old/b9000-9009".replace("/", "-"), None),
            Pool(f"{PARENT}/b9030-9039", "made by hand"),
            Pool(f"{PARENT}/b9040-9049", theirs.render()),
            Pool(f"{PARENT}/b9040-9049/{theirs.lease}", theirs.render()),
            Pool(f"{PARENT}/keep", "a person's"),
        ):
            state.pools[pool.poolid] = pool
        state.members[inside[0]] = rng.choice(("other", f"{PARENT}/keep"))


def _put_volume(simulator: Simulator, node: str, volid: str, content: str, vmid: int) -> None:
    with simulator.lock:
        if volid.partition(":")[0] in simulator.state.storages:
            form = "raw" if content == "rootdir" else "tar.zst"
            volume = Volume(volid, node, content, form, 1 << 20, vmid=vmid, ctime=1_700_000_000)
            simulator.state.volumes[(node, volid)] = volume


@dataclass
class Machine:
    """A computer that runs tests: its ledger and its clock."""

    ledger: Ledger
    clock: MachineClock


def machines(ground: Ground, folder: Path, rng: random.Random, count: int) -> list[Machine]:
    """Return so many computers, their clocks up to two minutes away from the Proxmox's."""
    return [
        Machine(
            Ledger(folder / f"machine-{number}", durable=False, clock=clock),
            clock,
        )
        for number in range(count)
        for clock in [ground.clock(rng.uniform(-SKEW_S, SKEW_S))]
    ]
