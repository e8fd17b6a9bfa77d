"""The reaper: a detached process that sweeps when every process of its run has died.

It is started before a run's first create and must answer before the run goes on. Each process
of the run keeps a Unix socket open to it; the kernel closes that at the process's death, whatever
the death. After a grace in which orphaned xdist workers can still create (they live on for up to
15 s after their controller), it sweeps what dead processes hold, twice, renews the run's blocks
meanwhile, and ends when nothing is left. It dies with its PID namespace: a container that is
killed is left to the next run's sweep.

Run as ``python -I -m pytest_proxmox.sandbox.reaper``; settings, with their secrets, come over
standard input, never by arguments or environment.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import socket
import sys
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.sandbox.blocks import Blocks
from pytest_proxmox.sandbox.clearing import (
    Clearing,
    destroyer_for,
    release_what_others_cleared,
)
from pytest_proxmox.sandbox.lease import Leftover
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.pools import ANYWHERE
from pytest_proxmox.sandbox.removal import Patience
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.target.calls import Calls
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.facts import TargetFacts
from pytest_proxmox.target.session import connect

GRACE_S = 20.0  # orphaned workers can create for up to 15 s more
FIRST_CONTACT_S = 60.0  # who started us must come within this time, or is dead already
ROUNDS = 10  # tries at what does not go; with the pauses below about a quarter of an hour
PAUSE_S = 5.0  # between the two sweeps, then doubled up to two minutes
LONGEST_PAUSE_S = 120.0
BYE = b"bye\n"

_LOG = logging.getLogger("pytest_proxmox.reaper")


@dataclass(frozen=True, slots=True)
class Orders:
    """What a reaper needs to know; its text has secrets and goes through a pipe only."""

    endpoint: Endpoint
    facts: TargetFacts
    ledger: Path
    run: str
    socket: Path
    pool: str | None
    grace_s: float = GRACE_S

    def render(self) -> str:
        """Return the orders as one line."""
        return json.dumps(asdict(self), default=_plain)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the orders that ``render`` wrote."""
        said = json.loads(text)
        endpoint, facts = said["endpoint"], said["facts"]
        if endpoint["ca_file"] is not None:
            endpoint["ca_file"] = Path(endpoint["ca_file"])
        facts["found"] = frozenset(facts["found"])
        return cls(
            Endpoint(**endpoint),
            TargetFacts(**facts),
            Path(said["ledger"]),
            said["run"],
            Path(said["socket"]),
            said["pool"],
            said["grace_s"],
        )


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else str(value)


class Watch:
    """The sockets of a run's processes: who lives, who said bye, who died."""

    def __init__(self, server: socket.socket, clock: Clock, *, grace_s: float) -> None:
        self._server = server
        self._clock = clock
        self._grace_s = grace_s
        self._selector = selectors.DefaultSelector()
        self._selector.register(server, selectors.EVENT_READ)
        self._living: dict[socket.socket, bytes] = {}
        self._has_news = False

    def close(self) -> None:
        """Let go of everybody."""
        self._selector.close()
        for peer in self._living:
            peer.close()
        self._living.clear()

    @property
    def is_anybody_alive(self) -> bool:
        """Whether a process of the run is connected."""
        return bool(self._living)

    def next_death(self, first_contact_s: float = FIRST_CONTACT_S) -> bool:
        """Return True when a process has died and the grace is over, False when all said bye.

        Whoever started us may die before it connects; it has made nothing then.
        """
        if not self._living:
            self._listen(first_contact_s)
        while not self._has_news:
            if not self._living:
                self._listen(0.0)  # one that ends and one that begins may meet here
                if not self._living and not self._has_news:
                    return False
            else:
                self._listen(None)
        end = self._clock.monotonic() + self._grace_s
        while (rest_s := end - self._clock.monotonic()) > 0:
            self._listen(rest_s)
        self._has_news = False
        return True

    def _listen(self, timeout_s: float | None) -> None:
        """Take what comes; returns after the first event, or after the time."""
        for key, _ in self._selector.select(timeout_s):
            sock = key.fileobj
            if not isinstance(sock, socket.socket):
                continue
            if sock is self._server:
                self._welcome()
            else:
                self._hear(sock)

    def _welcome(self) -> None:
        peer, _ = self._server.accept()
        self._living[peer] = b""
        self._selector.register(peer, selectors.EVENT_READ)

    def _hear(self, peer: socket.socket) -> None:
        try:
            said = peer.recv(64)
        except OSError:
            said = b""
        self._living[peer] += said
        if said:
            return
        heard = self._living.pop(peer)
        self._selector.unregister(peer)
        peer.close()
        self._has_news = self._has_news or not heard.endswith(BYE)


class Reaper:
    """Sweeps what the dead processes of one run hold."""

    def __init__(self, orders: Orders, ledger: Ledger, clock: Clock) -> None:
        self._orders = orders
        self._ledger = ledger
        self._clock = clock

    def reap(self, *, rounds: int = ROUNDS) -> list[Leftover]:
        """Return what is left after sweeping twice, and then until nothing is, or no more goes.

        Twice, because a request that a dying process had sent can take effect after the first.
        """
        pause_s = min(PAUSE_S, self._orders.grace_s)
        left: list[Leftover] = []
        for number in range(rounds):
            left = self._try()
            _LOG.info("sweep %d: %d left", number + 1, len(left))
            if number > 0 and not left:
                break
            if number < rounds - 1:
                self._clock.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        return left

    def _try(self) -> list[Leftover]:
        """One sweep; a target that does not answer is asked again in the next round."""
        try:
            if not self._is_anything_held():
                return []  # another sweep was faster, or nothing was ever made
            return self._sweep(Calls(connect(self._orders.endpoint), self._clock))
        except Exception as exc:  # noqa: BLE001  # whatever it is: the next round must come
            _LOG.exception("this sweep ended early")
            return [Leftover(f"run {self._orders.run} on {self._orders.facts.url}", str(exc))]

    def _is_anything_held(self) -> bool:
        target, run = self._orders.facts.url, self._orders.run
        blocks = self._ledger.holdings.blocks(target, run)
        held = self._ledger.leases(target, run=run)
        now = self._clock.now()
        kept = [lease.vmid for lease in held if lease.is_kept(now)]
        free = [block for block in blocks if not any(vmid in block.span for vmid in kept)]
        return bool(free or len(held) > len(kept))

    def _sweep(self, calls: Calls) -> list[Leftover]:
        """Destroy the leases of the run's dead processes, and give its blocks back."""
        facts, run = self._orders.facts, self._orders.run
        workers = self._ledger.workers(run, facts.url)
        living = {worker.worker for worker in workers if worker.is_alive}
        held = self._ledger.to_clear(facts.url, run=run)
        dead = [lease for lease in held if lease.worker not in living]
        orphans = release_what_others_cleared(calls, self._ledger, dead, self._orders.pool)
        destroyer = destroyer_for(calls, facts, self._ledger, run, None)
        left = list(destroyer.destroy_all(orphans)) if orphans else []
        if self._orders.pool is None:
            return left
        blocks = self._blocks(calls, self._orders.pool)
        if living:
            blocks.renew()
            return left
        return left + blocks.collect_run(run)

    def _blocks(self, calls: Calls, parent: str) -> Blocks:
        me = Run.here(self._orders.run, worker="reaper")
        facts = self._orders.facts
        return Blocks(
            calls,
            self._ledger,
            me,
            target=facts.url,
            span=ANYWHERE,
            parent=parent,
            sweeper=Clearing(calls, facts, self._ledger, me, Patience()),
        )


def main() -> int:
    """Detach, say that we are ready, watch, and reap if somebody died."""
    orders = Orders.parse(sys.stdin.readline())
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(orders.socket))
    server.listen()
    if os.fork():
        os._exit(0)  # whoever started us reaps this one; the grandchild belongs to init
    os.setsid()
    logging.basicConfig(
        filename=orders.ledger / f"reaper-{orders.run}.log",
        level=logging.INFO,
        format="%(asctime)s %(message)s",
    )
    with suppress(BrokenPipeError):  # who started us is dead: others may come
        sys.stdout.write(f"ready {os.getpid()}\n")
        sys.stdout.flush()
    _close_standard_streams()
    with Ledger(orders.ledger) as ledger:
        try:
            return _watch(orders, server, ledger)
        except Exception:
            _LOG.exception("the reaper of run %s ends early", orders.run)  # nobody hears stderr
            raise
        finally:
            server.close()
            ledger.set_reaper(orders.run, orders.facts.url, None, instead_of=str(orders.socket))
            orders.socket.unlink(missing_ok=True)
            orders.socket.parent.rmdir()


def _watch(orders: Orders, server: socket.socket, ledger: Ledger) -> int:
    clock = SystemClock()
    reaper = Reaper(orders, ledger, clock)
    with closing(Watch(server, clock, grace_s=orders.grace_s)) as watch:
        return _mourn(watch, reaper, orders.run)


def _mourn(watch: Watch, reaper: Reaper, run: str) -> int:
    """Sweep after each death, and once more when those that went on have ended as well.

    While they lived, what they shared with the dead one, a block half taken, was not ours to free.
    """
    left: list[Leftover] = []
    has_died = False
    while watch.next_death():
        _LOG.info("a process of run %s died", run)
        has_died = watch.is_anybody_alive
        left = _told(reaper.reap(rounds=1 if has_died else ROUNDS))
        if not has_died:
            break
    if has_died:
        left = _told(reaper.reap())
    return 1 if left else 0


def _told(left: list[Leftover]) -> list[Leftover]:
    for leftover in left:
        _LOG.error("left: %s", leftover)
    return left


def _close_standard_streams() -> None:
    """Let go of the run's pipes and terminal: it must not wait for us, nor we write to it."""
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)


if __name__ == "__main__":
    sys.exit(main())
