"""Guests: what a test does with a container or a VM, each step waited for."""

from __future__ import annotations

from typing import Any, Protocol

from pytest_proxmox.errors import ApiFailure, LeftoversRemain, TaskFailed
from pytest_proxmox.sandbox import readiness
from pytest_proxmox.sandbox.lease import Lease, Leftover
from pytest_proxmox.target import tasks
from pytest_proxmox.target.calls import Calls
from pytest_proxmox.target.failures import Code, judge
from pytest_proxmox.values import GuestKind, GuestRef, NodeName, Vmid, Volid

READY_S = 60.0  # a small service on a busy node
STEP_S = 120.0  # a start, a stop, a snapshot: PVE gives the slowest of them 60 s


class Home(Protocol):
    """What a guest needs of the sandbox that made it."""

    @property
    def calls(self) -> Calls:
        """The way to the target."""

    def clone(self, guest: Guest, **overrides: Any) -> Guest:
        """Return a new guest that is the first one's clone."""

    def backup(self, guest: Guest, **overrides: Any) -> Volid:
        """Return the volume of a new backup of the guest."""

    def destroy(self, guest: Guest) -> tuple[Leftover, ...]:
        """Return what is left of the guest: nothing."""


class Guest:
    """A container or VM of the sandbox; every method waits for its task.

    They raise ``TaskFailed`` with the end of the task's log, or ``ApiFailure``.
    """

    def __init__(self, home: Home, ref: GuestRef, *, name: str, lease: Lease) -> None:
        self._home = home
        self.ref = ref
        self.name = name
        self.lease = lease

    def __repr__(self) -> str:
        return f"<Guest {self.ref}>"

    @property
    def vmid(self) -> Vmid:
        """Its id."""
        return self.ref.vmid

    @property
    def node(self) -> NodeName:
        """The node it was made on."""
        return self.ref.node

    @property
    def kind(self) -> GuestKind:
        """``lxc`` or ``qemu``."""
        return self.ref.kind

    @property
    def url(self) -> str | None:
        """The address its web server has, None while the guest has no address of its own.

        Its first IPv4 address that is not the loopback's; a VM needs the guest agent to tell.
        """
        first = next(filter(None, self._addresses()), None)
        return None if first is None else f"http://{first.partition('/')[0]}"

    def _addresses(self) -> list[str]:
        if self.kind == "lxc":
            rows = self._home.calls.get(self.path("interfaces")) or []
            return [str(row.get("inet", "")) for row in rows if row.get("name") != "lo"]
        try:
            told = self._home.calls.get(self.path("agent/network-get-interfaces"))
        except ApiFailure:
            return []  # it is off, or has no agent
        return [
            str(address.get("ip-address", ""))
            for row in told.get("result", ())
            if row.get("name") != "lo"
            for address in row.get("ip-addresses", ())
            if address.get("ip-address-type") == "ipv4"
        ]

    def wait_until(
        self,
        *,
        http: str | None = None,
        port: int | None = None,
        log: str | None = None,
        timeout_s: float = READY_S,
    ) -> Guest:
        """Return the guest itself once it answers, and all that is asked for holds.

        ``http`` is a path such as ``/health`` (asked at ``port``, else at 80) or a whole URL, and
        wants a status from 200 to 399; ``port`` alone wants an open port; ``log`` is a regular
        expression for the log of the guest's newest task.

        Raises:
            NotReady: not within ``timeout_s`` seconds; says what was wrong to the last.
        """
        conditions = readiness.Conditions(http, port, log)
        readiness.wait_until(self, self._home.calls, conditions, timeout_s=timeout_s)
        return self

    def path(self, what: str = "") -> str:
        """Return a path of the API below this guest, e.g. ``status/current``."""
        base = self.ref.path.removeprefix("/")
        return f"{base}/{what}" if what else base

    def status(self) -> str:
        """Return ``running`` or ``stopped``."""
        return str(self._home.calls.get(self.path("status/current"))["status"])

    def config(self) -> dict[str, Any]:
        """Return its configuration as PVE shows it."""
        return dict(self._home.calls.get(self.path("config")))

    def start(self) -> Guest:
        """Return the guest itself, running; one that runs already is fine."""
        return self._step("status/start", fine=Code.ALREADY_RUNNING)

    def stop(self) -> Guest:
        """Return the guest itself, switched off; one that is off already is fine."""
        return self._step("status/stop", fine=Code.NOT_RUNNING)

    def snapshot(self, name: str) -> Guest:
        """Return the guest itself, with a snapshot of this name."""
        return self._step("snapshot", snapname=name)

    def rollback(self, name: str) -> Guest:
        """Return the guest itself, as it was at the snapshot."""
        return self._step(f"snapshot/{name}/rollback")

    def clone(self, **overrides: Any) -> Guest:
        """Return a new guest that is a clone of this one; the sandbox removes it too."""
        return self._home.clone(self, **overrides)

    def backup(self, **overrides: Any) -> Volid:
        """Return the volume of a new backup; it goes when the guest goes."""
        return self._home.backup(self, **overrides)

    def destroy(self) -> None:
        """Return once nothing is left of the guest; one that is gone already is fine.

        Raises:
            LeftoversRemain: something is left; its VMID stays held.
        """
        if leftovers := self._home.destroy(self):
            raise LeftoversRemain(leftovers)

    def _step(self, what: str, *, fine: Code | None = None, **data: Any) -> Guest:
        """POST and wait; ``fine`` is the failure that means there was nothing to do."""
        calls = self._home.calls
        try:
            upid = calls.post(self.path(what), **data)
        except ApiFailure as exc:
            if exc.code != fine:
                raise
            return self
        outcome = tasks.wait(calls.api, upid, timeout_s=STEP_S, clock=calls.clock)
        try:
            outcome.demand(f"{what} of {self.ref}")
        except TaskFailed:
            if fine is None or judge(outcome.exitstatus or "").code != fine:
                raise
        return self
