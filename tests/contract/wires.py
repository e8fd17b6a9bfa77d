"""The two ways in: the same requests through a socket and straight into the simulator."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.wire import Request
from pytest_proxmox.target.likeness import Heard

from .replay import Send

WIRES = ("https", "in-process")


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


@contextmanager
def wire(kind: str, sim: Simulator) -> Iterator[Send]:
    """Give a function that sends one request to the simulator, over HTTPS or in-process."""
    if kind == "in-process":
        yield lambda method, target, headers, body: _handle(sim, method, target, headers, body)
        return
    sim.tasks.defers = True  # as `pytest-proxmox serve` does; in-process nothing is put off
    with Server(sim) as server:
        context = ssl.create_default_context(cafile=str(server.ca_file))
        connection = http.client.HTTPSConnection(
            "127.0.0.1", server.port, context=context, timeout=60
        )

        def send(method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Heard:
            connection.request(method, target, body=body, headers=dict(headers))
            answer = connection.getresponse()
            raw = answer.read()
            if answer.getheader("connection", "").lower() == "close":
                connection.close()
            return Heard(answer.status, answer.reason, _parsed(raw))

        try:
            yield send
        finally:
            connection.close()


def _handle(
    sim: Simulator, method: str, target: str, headers: Mapping[str, str], body: bytes | None
) -> Heard:
    answer = sim.handle(Request(method, target, headers, body or b""))
    return Heard(answer.status, answer.reason, _parsed(answer.body))
