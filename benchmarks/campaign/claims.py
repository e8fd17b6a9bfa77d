"""Claims: two machines claim VMIDs of one Proxmox, and one of them stands still for a while.

Two runs of three processes, each run with a ledger of its own as on a machine of its own, their
clocks two minutes apart. In the middle one run is stopped (SIGSTOP) for longer than its lease,
the other one takes its blocks over, and the stopped one goes on. No VMID may ever be held twice
at a time, and the one that stood still must not be able to make anything where it lost its lease.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import ClassVar, Final

from benchmarks.campaign.ground import PARENT, Ground, laid
from pytest_proxmox.clock import SystemClock
from pytest_proxmox.errors import LeaseLost, ProxmoxTestError, RangeExhausted
from pytest_proxmox.sandbox.blocks import LEASE_S, SKEW_S
from pytest_proxmox.sandbox.heartbeat import BEAT_S, Heartbeat
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.facts import TargetFacts
from pytest_proxmox.target.session import connect
from pytest_proxmox.values import Vmid, VmidRange

SPAN: Final = VmidRange.parse("9000-9039")
RATE: Final = 300.0  # a lease of half an hour lasts six seconds: a quiet machine keeps that
REST_S: Final = 0.05
APART_S: Final = 120.0
WORKERS: Final = 3
END_S: Final = 900.0


class FastClock(SystemClock):
    """Wall time that runs fast and is set wrong; waiting is by real time."""

    def __init__(self, skew_s: float, rate: float) -> None:
        self._skew_s = skew_s
        self._rate = rate

    def now(self) -> float:
        """Return the machine's idea of the time."""
        return super().now() * self._rate + self._skew_s


@dataclass(frozen=True, slots=True)
class Claimant:
    """One process: where, as whom, how many claims; it goes on until the stop is over."""

    endpoint: Endpoint
    facts: TargetFacts
    folder: Path
    run: str
    worker: str
    skew_s: float
    claims: int
    seed: int
    rate: float
    goes_on: bool = True


@dataclass
class Tally:
    """What one process found; ``doubles`` must stay empty."""

    counts: ClassVar = ("claims", "taken_over", "refused", "lost")
    claims: int = 0
    taken_over: int = 0
    refused: int = 0
    lost: int = 0
    doubles: list[str] = field(default_factory=list)


class Referee:
    """Files in a folder, made exclusively: who holds which VMID now."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name

    def hold(self, vmid: Vmid, tally: Tally) -> None:
        """Note that a VMID is held; another holder that is not stopped is a double."""
        path = self._folder / str(int(vmid))
        try:
            with path.open("x") as file:
                file.write(self._name)
        except FileExistsError:
            holder = path.read_text()
            if (self._folder / f"stopped-{holder.partition('/')[0]}").exists():
                tally.taken_over += 1
            else:
                tally.doubles.append(f"{int(vmid)}: {self._name} beside {holder}")
            path.write_text(self._name)
        tally.claims += 1

    def let_go(self, vmid: Vmid) -> None:
        """Note that a VMID is free again, unless somebody has taken it over."""
        path = self._folder / str(int(vmid))
        with suppress(FileNotFoundError):
            if path.read_text() == self._name:
                path.unlink()


def claim(claimant: Claimant) -> None:
    """Claim and let go until enough is claimed, or until the lease is lost."""
    clock = FastClock(claimant.skew_s, claimant.rate)
    tally = Tally()
    run = Run.here(claimant.run, worker=claimant.worker)
    with Ledger(claimant.folder / claimant.run, durable=False, clock=clock) as ledger:
        sandbox = Sandbox(
            connect(claimant.endpoint),
            claimant.facts,
            ledger,
            span=SPAN,
            run=run,
            pool=PARENT,
            clock=clock,
        ).open()
        with Heartbeat(sandbox.ground, every_s=BEAT_S / claimant.rate):
            try:
                _claim(claimant, sandbox, tally)
            except LeaseLost:
                tally.lost += 1
            sandbox.close()
            sandbox.sweep_run()
    report = claimant.folder / f"tally-{claimant.run}-{claimant.worker}.json"
    report.write_text(json.dumps(asdict(tally)))


def _claim(claimant: Claimant, sandbox: Sandbox, tally: Tally) -> None:
    rng = random.Random(claimant.seed)
    referee = Referee(claimant.folder, f"{claimant.run}/{claimant.worker}")
    hungry, over = claimant.folder / "hungry", claimant.folder / "over"
    parent = multiprocessing.parent_process()
    while tally.claims < claimant.claims or (claimant.goes_on and not over.exists()):
        if parent is None or not parent.is_alive():
            return  # the campaign was killed
        held: list[Vmid] = []
        try:
            with suppress(RangeExhausted):  # the other run has the rest for now
                for _ in range(rng.randint(8, 10) if hungry.exists() else rng.randint(1, 4)):
                    held.append(sandbox.vmid())
                    referee.hold(held[-1], tally)
        except LeaseLost:
            _try_to_harm(sandbox, held, tally)
            raise
        finally:
            for vmid in held:
                referee.let_go(vmid)
        if rng.random() < 0.02 and held:
            with suppress(RangeExhausted):
                sandbox.lxc()
        sandbox.close()
        if tally.claims >= claimant.claims:  # the others have yet to do theirs
            SystemClock().sleep(REST_S)


def _try_to_harm(sandbox: Sandbox, held: list[Vmid], tally: Tally) -> None:
    """Make guests where the lease is lost, as an app would that has been told the pool before."""
    facts = sandbox.facts
    blocks = sandbox.ledger.holdings.blocks(facts.url, sandbox.run.id)
    pools = {int(vmid): block.lease_pool for block in blocks for vmid in block.span}
    # Where it held nothing at that moment, a VMID of each of its blocks is as good.
    for vmid in held or [block.span.first for block in blocks]:
        order = {"ostemplate": facts.template, "rootfs": f"{facts.storage}:1"}
        try:
            sandbox.calls.post(
                f"nodes/{facts.node}/lxc", vmid=int(vmid), pool=pools[int(vmid)], **order
            )
        except ProxmoxTestError:
            tally.refused += 1
        else:
            tally.doubles.append(f"{int(vmid)}: {sandbox.run.id} made a guest without a lease")


def campaign(claims: int, seed: int, *, rate: float = RATE) -> Tally:
    """Return what all processes together found.

    ``rate`` is how fast their clocks run: a lease that ends before a busy machine comes to renew
    it is lost, and nobody is left to take over.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.campaign.claims", "proxmoxer.backends.https"])
    rng = random.Random(seed)
    with (
        laid(rng, over_sockets=True) as ground,
        tempfile.TemporaryDirectory(prefix="claims-") as name,
    ):
        folder = Path(name)
        _run(context, ground, folder, claims, seed, rate)
        told = [Tally(**json.loads(one.read_text())) for one in folder.glob("tally-*.json")]
        doubles = [double for one in told for double in one.doubles] + ground.differences()
    sums = {name: sum(getattr(one, name) for one in told) for name in Tally.counts}
    return Tally(**sums, doubles=doubles)


def _run(
    context: ForkServerContext, ground: Ground, folder: Path, claims: int, seed: int, rate: float
) -> None:
    share = claims // (2 * WORKERS) + 1
    behind = -APART_S / 2
    first = Claimant(ground.endpoint, ground.facts, folder, "here", "", behind, share, seed, rate)
    with _at_work(context, first) as here:
        stopped = replace(first, run="there", skew_s=APART_S / 2, seed=seed + 100)
        with _at_work(context, stopped) as there:
            _until_claimed(folder, "there")
            _stand_still(there, folder, ground, rate)
            _join(there)
        (folder / "over").touch()
        done = sum(_claimed(folder, "there"))
        rest = replace(stopped, run="again", claims=max(1, (claims // 2 - done) // WORKERS + 1))
        with _at_work(context, rest) as again:
            _join(again)
        _join(here)


@contextmanager
def _at_work(context: ForkServerContext, claimant: Claimant) -> Iterator[list[ForkServerProcess]]:
    made = [
        context.Process(
            target=claim, args=(replace(claimant, worker=f"gw{n}", seed=claimant.seed + n),)
        )
        for n in range(WORKERS)
    ]
    for process in made:
        process.start()
    try:
        yield made
    finally:
        for process in made:
            if process.is_alive():
                process.kill()
            process.join()


def _until_claimed(folder: Path, run: str) -> None:
    """Wait until a run holds something."""
    clock = SystemClock()
    while not any(_holder(path) == run for path in folder.glob("9*")):
        clock.sleep(0.01)
    clock.sleep(1.0)  # in the middle of things


def _holder(path: Path) -> str:
    try:
        return path.read_text().partition("/")[0]
    except FileNotFoundError:
        return ""


def _stand_still(
    processes: list[ForkServerProcess], folder: Path, ground: Ground, rate: float
) -> None:
    """Stop a run for longer than its lease; meanwhile the other one wants all VMIDs."""
    clock = SystemClock()
    pids = [process.pid for process in processes if process.pid is not None]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    # It renewed before the stop, so its leases are over by its own clock from here on; the other
    # run, whose clock is behind, may take them over SKEW_S and that difference later.
    clock.sleep(LEASE_S / rate)
    (folder / "stopped-there").touch()
    clock.sleep((SKEW_S + APART_S) / rate + 0.5)
    (folder / "hungry").touch()
    end = clock.monotonic() + END_S
    while _has_pools(ground, "there") and clock.monotonic() < end:
        clock.sleep(0.05)
    (folder / "hungry").unlink()
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def _has_pools(ground: Ground, run: str) -> bool:
    """Whether a run still has a lease: a pool that names it."""
    with ground.simulator.lock:
        pools = list(ground.simulator.state.pools.values())
    return any(
        f"run={run} " in (pool.comment or "") for pool in pools if pool.poolid.count("/") > 1
    )


def _join(processes: list[ForkServerProcess]) -> None:
    for process in processes:
        process.join(END_S)


def _claimed(folder: Path, run: str) -> list[int]:
    paths = folder.glob(f"tally-{run}-*.json")
    return [int(json.loads(path.read_text())["claims"]) for path in paths]
