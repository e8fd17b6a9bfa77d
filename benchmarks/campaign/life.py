"""A life: the random steps that one worker takes on a Proxmox, each a test's or its app's."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pytest_proxmox.sandbox.guests import Guest
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.target.tasks import wait
from pytest_proxmox.values import Volid

STEPS: Final = (
    "container",
    "container",
    "machine",
    "clone",
    "snapshot",
    "rollback",
    "backup",
    "restore",
    "start",
    "app makes",
    "app clones",
    "destroy",
    "protect",
    "long test",
)
LONG_S: Final = 1000.0  # more than half of a lease


def steps_for(needs: Sequence[str], rng: random.Random, *, most: int = 3) -> list[str]:
    """Return a life's steps: the needed ones in their order, others in between."""
    steps = list(needs)
    for _ in range(rng.randint(0, most)):
        steps.insert(rng.randint(0, len(steps)), rng.choice(STEPS))
    return steps


class Life:
    """Takes steps with one sandbox."""

    def __init__(self, sandbox: Sandbox, rng: random.Random) -> None:
        self._sandbox = sandbox
        self._rng = rng
        self._guests: list[Guest] = []
        self._backups: list[tuple[Guest, Volid]] = []

    def take(self, steps: Sequence[str]) -> Iterator[str]:
        """Take one step at a time, naming each when it is done."""
        for step in steps:
            getattr(self, "_" + step.replace(" ", "_"))()
            yield step

    def _some(self) -> Guest:
        if not self._guests:
            self._container()
        return self._rng.choice(self._guests)

    def _still(self) -> Guest:
        """A guest that does not run, as a clone of a container demands it."""
        return self._some().stop()

    def _container(self) -> None:
        self._guests.append(self._sandbox.lxc(start=self._rng.randint(0, 1)))

    def _machine(self) -> None:
        self._guests.append(self._sandbox.vm())

    def _clone(self) -> None:
        self._guests.append(self._sandbox.clone(self._still()))

    def _snapshot(self) -> None:
        self._some().snapshot(f"snap{self._rng.randrange(10**6)}")

    def _rollback(self) -> None:
        guest, name = self._some(), f"back{self._rng.randrange(10**6)}"
        guest.snapshot(name).rollback(name)

    def _backup(self) -> None:
        guest = self._some()
        self._backups.append((guest, guest.backup()))

    def _restore(self) -> None:
        if not any(guest.kind == "lxc" for guest, _ in self._backups):
            guest = next((one for one in self._guests if one.kind == "lxc"), None)
            guest = guest or self._sandbox.lxc()
            self._backups.append((guest, guest.backup()))
        volid = next(volid for guest, volid in self._backups if guest.kind == "lxc")
        self._guests.append(self._sandbox.lxc(ostemplate=str(volid), restore=1))

    def _start(self) -> None:
        self._some().start()

    def _app_makes(self) -> None:
        sandbox, facts = self._sandbox, self._sandbox.facts
        vmid = sandbox.vmid()
        order: dict[str, Any] = {
            "vmid": int(vmid),
            "ostemplate": facts.template,
            "rootfs": f"{facts.storage}:1",
            "pool": sandbox.pool_of(vmid),
        }
        self._as_app(f"nodes/{facts.node}/lxc", order)

    def _app_clones(self) -> None:
        source, vmid = self._still(), self._sandbox.vmid()
        order = {"newid": int(vmid), "pool": self._sandbox.pool_of(vmid)}
        self._as_app(source.path("clone"), order)

    def _as_app(self, path: str, order: dict[str, Any]) -> None:
        calls = self._sandbox.calls
        upid = calls.post(path, **order)
        if self._rng.random() < 0.7:  # some apps do not wait
            wait(calls.api, upid, timeout_s=120, clock=calls.clock)

    def _destroy(self) -> None:
        guest = self._some()
        self._guests.remove(guest)
        self._backups = [pair for pair in self._backups if pair[0] is not guest]
        guest.destroy()

    def _protect(self) -> None:
        guest = self._some()
        self._sandbox.calls.put(guest.path("config"), protection=1)

    def _long_test(self) -> None:
        self._sandbox.calls.clock.sleep(LONG_S)
