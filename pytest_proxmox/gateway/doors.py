"""Doors: a gateway put together, and the address and login by which an app comes in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from pytest_proxmox.gateway.desk import Desk, Keys
from pytest_proxmox.gateway.gateway import Gateway
from pytest_proxmox.gateway.keeper import Keeper
from pytest_proxmox.gateway.policy import Policy
from pytest_proxmox.gateway.record import Recorder
from pytest_proxmox.gateway.server import Server
from pytest_proxmox.gateway.upstream import Upstream
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.simulator.wire import Answer, Request
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.inprocess import InProcess

Transport = Literal["https", "in-process"]


@dataclass(frozen=True, slots=True)
class Door:
    """A gateway and the endpoint that leads to it."""

    gateway: Gateway
    endpoint: Endpoint


def gateway_for(
    sandbox: Sandbox, upstream: Upstream, recorder: Recorder, policy: Policy
) -> Gateway:
    """Return a gateway whose guests are the sandbox's, with fresh logins."""
    user = sandbox.facts.user.partition("!")[0]
    return Gateway(
        upstream,
        desk=Desk(Keys(user)),
        keeper=Keeper(sandbox),
        policy=policy,
        recorder=recorder,
    )


@contextmanager
def opened(gateway: Gateway, transport: Transport) -> Iterator[Door]:
    """The way into a gateway, from other processes too where the transport is https."""
    keys = gateway.desk.keys
    if transport == "in-process":
        with InProcess(_Handler(gateway)) as line:
            yield Door(gateway, Endpoint(line.host, line.port, keys.user, keys.password))
        return
    with Server(gateway.handle) as server:
        yield Door(
            gateway,
            Endpoint(server.host, server.port, keys.user, keys.password, ca_file=server.ca_file),
        )


class _Handler:
    """A gateway in the words of the in-process transport."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def __call__(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, str, tuple[tuple[str, str], ...], bytes]:
        answer: Answer = self._gateway.handle(Request(method, target, headers, body))
        delivery = answer.delivery
        if delivery is not None and delivery.hang:
            raise TimeoutError("the gateway was told to hang")
        if delivery is not None and delivery.drop:
            raise ConnectionError("the gateway was told to drop the connection")
        return answer.status, answer.reason, answer.headers, answer.body
