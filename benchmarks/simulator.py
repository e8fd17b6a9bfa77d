"""The embedded Proxmox against fakepve 0.5.0 and against the floor of its own web server."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests
from proxmoxer import ProxmoxAPI

from benchmarks import peers
from benchmarks.harness import Row, at_least, at_most, compare, run, seconds
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.wire import Request
from pytest_proxmox.simulator.world import World
from pytest_proxmox.target.inprocess import InProcess

LIVES = 12
PAIRS_OF_LIVES = 61  # a life is mostly the client's own time, and a pair of them is noisy
READS = 300
GUESTS = 10_000
RESTORE_GOAL_S = 0.002  # a fixture's restore between tests
CHANGES = 5
Place = tuple[Any, str, str, str]  # client, node, storage, template


def client(server: peers.Running) -> Any:
    """Return a proxmoxer client of a server, the same for all."""
    return ProxmoxAPI(
        server.host,
        port=server.port,
        user="root@pam",
        password=server.password,
        verify_ssl=False,
        timeout=30,
    )


def wait(api: Any, node: str, upid: str) -> None:
    """Wait for a task as users do: ask until it has stopped."""
    task = api.nodes(node).tasks(upid)
    while (status := task.status.get())["status"] != "stopped":
        continue
    if status["exitstatus"] != "OK":
        raise RuntimeError(f"{upid}: {status['exitstatus']}")


def lives(place: Place) -> None:
    """Create, start, snapshot, stop and delete containers, each step waited for."""
    api, node, storage, template = place
    for vmid in range(200, 200 + LIVES):
        lxc = api.nodes(node).lxc
        made = lxc.post(vmid=vmid, ostemplate=template, rootfs=f"{storage}:1", hostname=f"c{vmid}")
        wait(api, node, made)
        wait(api, node, lxc(vmid).status.start.post())
        wait(api, node, lxc(vmid).snapshot.post(snapname="first"))
        wait(api, node, lxc(vmid).status.stop.post())
        wait(api, node, lxc(vmid).delete())


def rate(work: Callable[[], None]) -> Callable[[], float]:
    """Return a measure of how often a second something can be done."""
    measure = seconds(work)
    return lambda: 1 / measure()


def in_process(sim: Simulator, stack: ExitStack) -> Any:
    """Return a proxmoxer client whose requests never leave the process."""

    def handle(method: str, target: str, headers: Any, body: bytes) -> tuple[int, str, Any, bytes]:
        lowered = {key.lower(): value for key, value in dict(headers).items()}
        answer = sim.handle(Request(method, target, lowered, body))
        return answer.status, answer.reason, answer.headers, answer.body

    wire = stack.enter_context(InProcess(handle))
    host = wire.url.removeprefix("https://").partition(":")[0]
    login = sim.credentials
    return ProxmoxAPI(
        host,
        user=login.user,
        token_name=login.token_id.partition("!")[2],
        token_value=login.token_secret,
        verify_ssl=False,
    )


def against_fakepve(stack: ExitStack) -> list[Row]:
    """Return the rows of container life, start-up and memory."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    mine, theirs = stack.enter_context(peers.ours()), stack.enter_context(peers.fakepve(folder))
    local = in_process(Simulator(World.preset("single")), stack)
    here: Place = (client(mine), mine.node, mine.storage, mine.template)
    there: Place = (client(theirs), theirs.node, theirs.storage, theirs.template)
    inside: Place = (local, mine.node, mine.storage, mine.template)
    peer = "fakepve 0.5.0"
    return [
        compare(
            "container life over HTTPS",
            rate(lambda: lives(here)),
            rate(lambda: lives(there)),
            against=peer,
            bound=at_least(1.2),
            pairs=PAIRS_OF_LIVES,
        ),
        compare(
            "container life in-process",
            rate(lambda: lives(inside)),
            rate(lambda: lives(there)),
            against=peer,
            bound=at_least(3),
        ),
        compare(
            "start-up to first answer",
            _start(lambda: peers.ours()),
            _start(lambda: peers.fakepve(folder)),
            against=peer,
            bound=at_most(1),
        ),
        compare(
            "resident memory",
            lambda: float(mine.resident_bytes()),
            lambda: float(theirs.resident_bytes()),
            against=peer,
            bound=at_most(1),
        ),
    ]


def _start(server: Callable[[], Any]) -> Callable[[], float]:
    def measure() -> float:
        with server() as running:
            return float(running.start_s)

    return measure


def against_floor(stack: ExitStack) -> list[Row]:
    """Return the rows of one cheap read: over HTTPS and in-process."""
    sim = Simulator(World.preset("single"))
    sim.plant(vmid=100)
    local = in_process(sim, stack)
    body = json.dumps({"data": local.nodes("pve").lxc(100).config.get()}).encode()
    floor = stack.enter_context(peers.constant(body))
    mine = stack.enter_context(peers.ours())
    wait(client(mine), "pve", _one_guest(client(mine), mine))
    canned = _canned(body, stack)
    return [
        compare(
            "config.get over HTTPS",
            _reads(_token_client(client(mine), mine)),
            _reads(_floor_client(floor)),
            against="a constant answer",
            bound=at_most(1.15),
            pairs=15,
        ),
        compare(
            "config.get in-process",
            _reads(local),
            _reads(canned),
            against="a canned adapter",
            bound=at_most(1.4),
            pairs=15,
        ),
    ]


def _one_guest(api: Any, server: peers.Running) -> str:
    made: str = api.nodes("pve").lxc.post(
        vmid=100, ostemplate=server.template, rootfs=f"{server.storage}:1"
    )
    return made


def _token_client(api: Any, server: peers.Running) -> Any:
    made = api.access.users("root@pam").token("bench").post(privsep=0)
    return ProxmoxAPI(
        server.host,
        port=server.port,
        user="root@pam",
        token_name="bench",
        token_value=made["value"],
        verify_ssl=False,
    )


def _floor_client(server: peers.Running) -> Any:
    return ProxmoxAPI(
        server.host,
        port=server.port,
        user="root@pam",
        token_name="bench",
        token_value="none",
        verify_ssl=False,
    )


def _canned(body: bytes, stack: ExitStack) -> Any:
    """Return a client whose every request is answered by a plain requests adapter."""

    class Canned(requests.adapters.BaseAdapter):
        def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
            answer = requests.Response()
            answer.status_code, answer.reason = 200, "OK"
            answer.headers["content-type"] = "application/json;charset=UTF-8"
            answer.raw = None
            answer._content = body
            answer.url, answer.request = request.url, request
            return answer

        def close(self) -> None:
            """Nothing is open."""

    api = ProxmoxAPI(
        "canned.invalid", user="root@pam", token_name="x", token_value="y", verify_ssl=False
    )
    api._store["session"].mount("https://", Canned())
    return api


def _reads(api: Any) -> Callable[[], float]:
    config = api.nodes("pve").lxc(100).config

    def work() -> None:
        for _ in range(READS):
            config.get()

    return seconds(work)


def big_world(stack: ExitStack) -> list[Row]:
    """Return the rows of ten thousand guests: one list, snapshot and restore."""
    small, large = _world_of(10), _world_of(GUESTS)
    headers = _login(large)
    request = Request("GET", "/api2/json/cluster/resources", headers)
    data = json.loads(large.handle(request).body)
    many = 50
    return [
        compare(
            "/cluster/resources of 10,000 guests",
            seconds(lambda: large.handle(request)),
            seconds(lambda: json.dumps(data)),
            against="dumping the same JSON",
            bound=at_most(1.2),
            pairs=15,
        ),
        compare(
            "snapshot and restore, 10,000 guests",
            seconds(lambda: _round_trips(large, many)),
            seconds(lambda: _round_trips(small, many)),
            against="the same with 10 guests",
            bound=at_most(1.5),
            pairs=15,
        ),
        compare(
            "restore between tests, 10,000 guests",
            lambda: seconds(lambda: _round_trips(large, many))() / many,
            lambda: RESTORE_GOAL_S,
            against="2 ms",
            bound=at_most(1),
        ),
    ]


def _world_of(count: int) -> Simulator:
    guests = [{"vmid": 1000 + n, "status": "running" if n % 2 else "stopped"} for n in range(count)]
    world = World.parse({**World.preset("single").data, "guests": guests}, origin="benchmark")
    return Simulator(world)


def _login(sim: Simulator) -> dict[str, str]:
    login = sim.credentials
    return {"authorization": f"PVEAPIToken={login.token_id}={login.token_secret}"}


def _round_trips(sim: Simulator, count: int) -> None:
    """Change a handful of guests and take it back, as the fixture does round a test."""
    headers = _login(sim)
    mark = sim.snapshot()
    for _ in range(count):
        for vmid in range(1000, 1000 + CHANGES):
            path = f"/api2/json/nodes/pve/lxc/{vmid}/config"
            form = headers | {"content-type": "application/x-www-form-urlencoded"}
            sim.handle(Request("PUT", path, form, b"memory=256"))
        sim.restore(mark)


def main() -> Sequence[Row]:
    """Return all rows."""
    with ExitStack() as stack:
        return [*against_floor(stack), *big_world(stack), *against_fakepve(stack)]


if __name__ == "__main__":
    began = time.perf_counter()
    code = run([main])
    print(f"measured in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    sys.exit(code)
