"""A Hypothesis state machine that leads containers through their life, on any client.

Subclass ``GuestLife``, return your client from ``make_client``, and let pytest collect its
``TestCase``: Hypothesis then looks for a sequence of steps after which your client, or the
Proxmox behind it, is not where it says it is. Needs the extra ``hypothesis``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from pytest_proxmox.errors import MissingExtra, TaskFailed

try:
    from hypothesis import strategies as st
    from hypothesis.stateful import (
        Bundle,
        RuleBasedStateMachine,
        consumes,
        initialize,
        invariant,
        multiple,
        precondition,
        rule,
    )
except ImportError as exc:
    raise MissingExtra.for_feature("pytest_proxmox.guestlife", extra="hypothesis") from exc

RUNNING, STOPPED = "running", "stopped"
NAMES = st.sampled_from(["first", "second", "third"])


class GuestClient(Protocol):
    """What the machine asks of a client. Every call returns when the work is done."""

    def free_vmid(self) -> int:
        """Return a VMID that may be used."""

    def create(self, vmid: int, hostname: str) -> None:
        """Make a stopped container."""

    def start(self, vmid: int) -> None:
        """Start a stopped container."""

    def stop(self, vmid: int) -> None:
        """Stop a running container."""

    def clone(self, vmid: int, newid: int) -> None:
        """Make a full clone of a stopped container."""

    def snapshot(self, vmid: int, name: str) -> None:
        """Take a snapshot."""

    def rollback(self, vmid: int, name: str) -> None:
        """Go back to a snapshot; the container is stopped then."""

    def delete(self, vmid: int) -> None:
        """Destroy a stopped container."""

    def statuses(self) -> dict[int, str]:
        """Return the status of every container that there is, by VMID."""

    def close(self) -> None:
        """Give back what the client holds."""


@dataclass
class _Expected:
    """What a container should be like."""

    status: str = STOPPED
    snapshots: set[str] = field(default_factory=set)


class GuestLife(RuleBasedStateMachine):
    """Creates, starts, stops, clones, snapshots and deletes, and compares after each step."""

    guests: Bundle[int] = Bundle("guests")

    def make_client(self) -> GuestClient:
        """Return a fresh client; override it."""
        raise TypeError(f"{type(self).__name__} must say what make_client() returns")

    @initialize()
    def begin(self) -> None:
        """Get a client and remember what was there before."""
        self.client = self.make_client()
        self.before = self.client.statuses()
        self.expected: dict[int, _Expected] = {}

    @rule(target=guests, name=st.sampled_from(["web", "db", "cache"]))
    def create(self, name: str) -> int:
        """Make a container."""
        vmid = self.client.free_vmid()
        self.client.create(vmid, name)
        self.expected[vmid] = _Expected()
        return vmid

    @rule(target=guests, vmid=guests)
    def clone(self, vmid: int) -> Any:
        """Clone a stopped container; a clone has no snapshots."""
        if self.expected[vmid].status != STOPPED:
            return multiple()
        newid = self.client.free_vmid()
        self.client.clone(vmid, newid)
        self.expected[newid] = _Expected()
        return newid

    @rule(vmid=guests)
    def turn(self, vmid: int) -> None:
        """Start what is stopped, stop what runs."""
        expected = self.expected[vmid]
        if expected.status == STOPPED:
            self.client.start(vmid)
            expected.status = RUNNING
        else:
            self.client.stop(vmid)
            expected.status = STOPPED

    @rule(vmid=guests, name=NAMES)
    def snapshot(self, vmid: int, name: str) -> None:
        """Take a snapshot under a name that is free."""
        expected = self.expected[vmid]
        if name not in expected.snapshots:
            self.client.snapshot(vmid, name)
            expected.snapshots.add(name)

    @rule(vmid=guests, name=NAMES)
    def rollback(self, vmid: int, name: str) -> None:
        """Go back to a snapshot that is there."""
        expected = self.expected[vmid]
        if name in expected.snapshots:
            self.client.rollback(vmid, name)
            expected.status = STOPPED

    @precondition(lambda self: bool(self.expected))
    @rule(vmid=consumes(guests))
    def delete(self, vmid: int) -> None:
        """Destroy a container, stopped first where it runs."""
        if self.expected[vmid].status == RUNNING:
            self.client.stop(vmid)
        self.client.delete(vmid)
        del self.expected[vmid]

    @invariant()
    def statuses_are_as_expected(self) -> None:
        """Every container is where the steps so far have put it, and no other has changed."""
        if not hasattr(self, "client"):
            return
        wanted = self.before | {vmid: e.status for vmid, e in self.expected.items()}
        found = self.client.statuses()
        if found != wanted:
            raise AssertionError(f"containers are {found}, but should be {wanted}")

    def teardown(self) -> None:
        """Destroy what is left and close the client."""
        if not hasattr(self, "client"):
            return
        try:
            found = self.client.statuses()
            for vmid in self.expected:
                if found.get(vmid) == RUNNING:
                    self.client.stop(vmid)
                if vmid in found:
                    self.client.delete(vmid)
        finally:
            self.client.close()


class ProxmoxerGuests:
    """``GuestClient`` on a ``proxmoxer.ProxmoxAPI``: an example, and the check of the check."""

    def __init__(self, api: Any, *, node: str, template: str, rootfs: str) -> None:
        self._api = api
        self._node = api.nodes(node)
        self._template, self._rootfs = template, rootfs

    def _wait(self, upid: str) -> None:
        task = self._node.tasks(upid)
        while (status := task.status.get())["status"] == RUNNING:
            continue
        if status["exitstatus"] != "OK":
            lines = [line["t"] for line in task.log.get()]
            raise TaskFailed(
                f"task ended: {status['exitstatus']}",
                upid=upid,
                log_tail=lines,
                hint="Mend what its log names, e.g. the template or rootfs given to this client",
            )

    def free_vmid(self) -> int:
        """Return what the cluster names as the next free id."""
        return int(self._api.cluster.nextid.get())

    def create(self, vmid: int, hostname: str) -> None:
        """Make a container from the template."""
        given = {"ostemplate": self._template, "rootfs": self._rootfs, "hostname": hostname}
        self._wait(self._node.lxc.post(vmid=vmid, **given))

    def start(self, vmid: int) -> None:
        """Start it and wait."""
        self._wait(self._node.lxc(vmid).status.start.post())

    def stop(self, vmid: int) -> None:
        """Stop it and wait."""
        self._wait(self._node.lxc(vmid).status.stop.post())

    def clone(self, vmid: int, newid: int) -> None:
        """Make a full clone and wait."""
        self._wait(self._node.lxc(vmid).clone.post(newid=newid, full=1))

    def snapshot(self, vmid: int, name: str) -> None:
        """Take a snapshot and wait."""
        self._wait(self._node.lxc(vmid).snapshot.post(snapname=name))

    def rollback(self, vmid: int, name: str) -> None:
        """Go back and wait."""
        self._wait(self._node.lxc(vmid).snapshot(name).rollback.post())

    def delete(self, vmid: int) -> None:
        """Destroy it and wait."""
        self._wait(self._node.lxc(vmid).delete(purge=1))

    def statuses(self) -> dict[int, str]:
        """Return what the node lists."""
        return {int(row["vmid"]): str(row["status"]) for row in self._node.lxc.get()}

    def close(self) -> None:
        """Nothing is held."""
