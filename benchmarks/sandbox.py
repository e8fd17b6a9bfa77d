"""What the sandbox's care costs: many guests at a time, and one guest's calls against bare ones."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import PAIRS_LEAST, Row, at_most, compare, run, seconds
from pytest_proxmox.clock import SystemClock
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.target.calls import Calls
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.facts import TargetFacts, discover
from pytest_proxmox.target.session import connect
from pytest_proxmox.values import VmidRange

GUESTS = 50
SLOTS = 5
SCALE = 20
SPAN = VmidRange.parse("9000-9199")
START_S = 60.0


@dataclass
class Place:
    """A Proxmox whose tasks take time, and this machine's ledger."""

    endpoint: Endpoint
    facts: TargetFacts
    ledger: Ledger
    runs: int = 0

    def sandbox(self, run_id: str, worker: str) -> Sandbox:
        """Return one worker's sandbox, connected on its own."""
        return Sandbox(
            connect(self.endpoint),
            self.facts,
            self.ledger,
            span=SPAN,
            run=Run.here(run_id, worker=worker),
            pool="pytest",
            slots=SLOTS,
        ).open()

    def live(self, guests: int, workers: int) -> None:
        """Lease, create, start and destroy so many guests, several at a time."""
        self.runs += 1
        names = [f"w{number}" for number in range(workers)]
        sandboxes = [self.sandbox(f"run-{self.runs}", name) for name in names]

        def work(sandbox: Sandbox) -> None:
            for _ in range(guests // workers):
                sandbox.lxc(start=1).destroy()

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, sandboxes))
        for sandbox in sandboxes:
            if left := sandbox.sweep_run():
                raise RuntimeError(f"left: {left}")


@contextmanager
def _place() -> Iterator[Place]:
    """A served Proxmox, its time twenty times the wall's."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        ready = folder / "ready.json"
        command = ["serve", "--port", "0", "--clock", "real", "--scale", str(SCALE)]
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest_proxmox", *command, "--ready-file", str(ready)],
            stdout=subprocess.DEVNULL,
        )
        try:
            said = _read(ready)
            host, port = said["url"].removeprefix("https://").split(":")
            endpoint = Endpoint(
                host, int(port), said["user"], said["password"], ca_file=Path(said["ca_file"])
            )
            calls = Calls(connect(endpoint), SystemClock())
            facts = discover(calls, kind="real", url=endpoint.url, user=endpoint.identity)
            with Ledger(folder / "state") as ledger:
                yield Place(endpoint, facts, ledger)
        finally:
            process.terminate()
            process.wait()


def _read(ready: Path) -> dict[str, str]:
    clock = SystemClock()
    end = clock.monotonic() + START_S
    while not ready.exists():
        if clock.monotonic() > end:
            raise TimeoutError("pytest-proxmox serve did not start")
        clock.sleep(0.05)
    said: dict[str, str] = json.loads(ready.read_text())
    return said


def main() -> Sequence[Row]:
    """Return the row of fifty guests at five slots against one guest."""
    with _place() as place:
        return [
            compare(
                f"{GUESTS} guests, {SLOTS} at a time, --clock real --scale {SCALE}",
                seconds(lambda: place.live(GUESTS, SLOTS)),
                seconds(lambda: place.live(1, 1)),
                against="one guest",
                bound=at_most(15),
                pairs=PAIRS_LEAST,
            )
        ]


if __name__ == "__main__":
    sys.exit(run([main]))
