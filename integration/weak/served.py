"""A served Proxmox as the app's suite looks at an embedded one: from outside, as its root."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any
from urllib.parse import urlsplit

import requests
from proxmoxer.core import ResourceException

from integration.serving import Served
from pytest_proxmox.clock import SystemClock

NODE = "pve"
LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Call:
    """A request that the app sent."""

    method: str
    path: str
    status: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A container."""

    name: str
    config: dict[str, Any]
    running: bool


@dataclass
class Wire:
    """What this process sends to Proxmox: what it was, and what shall not get there."""

    calls: list[Call] = field(default_factory=list)
    refusals: list[tuple[str, str, int, str]] = field(default_factory=list)

    def add(self, *, effect: str, method: str, path: str, status: int, text: str) -> None:
        """Answer requests of one kind with an error from now on, as if Proxmox had."""
        assert effect == "error"
        self.refusals.append((method, path, status, text))

    def refusal(self, method: str, path: str) -> requests.Response | None:
        """Return the answer for a request that must not get through, else None."""
        for wanted, pattern, status, text in self.refusals:
            if method == wanted and fnmatch(path, pattern):
                answer = requests.Response()
                answer.status_code, answer.reason = status, text
                return answer
        return None


@dataclass
class ServedView:
    """What is there, and what the app asked for."""

    served: Served
    wire: Wire = field(default_factory=Wire)

    @property
    def calls(self) -> Sequence[Call]:
        """The app's requests, oldest first."""
        return self.wire.calls

    @property
    def faults(self) -> Wire:
        """Makes requests fail."""
        return self.wire

    @property
    def clock(self) -> ServedView:
        """Its time; ``advance`` waits for it."""
        return self

    def advance(self, seconds: float) -> None:
        """Return when so much of the server's time has passed."""
        clock, time = SystemClock(), self.served.api.nodes(NODE).time
        until = time.get()["time"] + seconds
        while time.get()["time"] < until:
            clock.sleep(LOOK_S)

    def vmids(self) -> set[int]:
        """Return the VMIDs of all containers, as their node knows them now."""
        return {int(row["vmid"]) for row in self.served.api.nodes(NODE).lxc.get()}

    def guest(self, vmid: int) -> Seen | None:
        """Return a container, or None."""
        lxc = self.served.api.nodes(NODE).lxc(vmid)
        try:
            config, status = lxc.config.get(), lxc.status.current.get()
        except ResourceException:
            return None
        return Seen(str(config.get("hostname")), config, status["status"] == "running")

    def clear(self, first: int, last: int) -> None:
        """Remove the containers of a span, and all archives."""
        node = self.served.api.nodes(NODE)
        for vmid in sorted(number for number in self.vmids() if first <= number <= last):
            self._done(node.lxc(vmid).delete(force=1, purge=1))
        for row in node.storage("local").content.get(content="backup"):
            if row.get("protected"):
                node.storage("local").content(row["volid"]).put(protected=0)
            self._done(node.storage("local").content(row["volid"]).delete())

    def _done(self, upid: str | None) -> None:
        if upid is None:
            return
        clock, task = SystemClock(), self.served.api.nodes(NODE).tasks(upid).status
        while task.get()["status"] != "stopped":
            clock.sleep(LOOK_S)


@contextmanager
def tapped(monkeypatch: Any) -> Iterator[Wire]:
    """Yield the wire, through which everything goes that is sent inside the block."""
    wire, send = Wire(), requests.Session.send

    def sent(session: requests.Session, request: Any, **given: Any) -> requests.Response:
        path = urlsplit(str(request.url)).path.removeprefix("/api2/json")
        refusal = wire.refusal(request.method, path)
        answer = send(session, request, **given) if refusal is None else refusal
        wire.calls.append(Call(request.method, path, answer.status_code))
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(requests.Session, "send", sent)
        yield wire
