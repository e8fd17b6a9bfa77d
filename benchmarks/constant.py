"""The floor of the simulator's benchmarks: its web server with one constant answer."""

from __future__ import annotations

import signal
import threading

from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.wire import JSON_TYPE, Answer, Request


class Constant(Simulator):
    """A simulator that looks at nothing."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._answer_to_all = Answer(200, "OK", (("content-type", JSON_TYPE),), body)

    def handle(self, request: Request) -> Answer:
        """Return the one answer."""
        return self._answer_to_all


def serve(port: int, body: bytes) -> None:
    """Serve until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    with Server(Constant(body), port=port):
        stop.wait()
