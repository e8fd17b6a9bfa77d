"""Golden containers: made once, handed out to one test after the other as if new.

A create unpacks a template, which takes seconds on a real node; a rollback to a snapshot, or a
linked clone, takes a fraction of one. Which of them a storage can do is asked on the target.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from pytest_proxmox.sandbox.guests import STEP_S, Guest
from pytest_proxmox.sandbox.inventory import Inventory
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.target import tasks

SNAPSHOT: Final = "golden"
CURRENT: Final = "current"  # PVE's own name for the state that is no snapshot


class Way(StrEnum):
    """How a golden container is handed out."""

    ROLLBACK = "rollback"
    CLONE = "clone"
    FRESH = "fresh"


class Golden:
    """One container of a session's sandbox, and the way to have it as new again and again.

    By ``rollback`` all tests get the same container, one after the other, as it was when it was
    made. By ``clone`` each gets a linked clone of its own. Where the storage can do neither,
    each gets a ``fresh`` one. ``overrides`` are those of ``Sandbox.lxc``; ``way`` insists on one.
    """

    def __init__(self, sandbox: Sandbox, *, way: Way | str | None = None, **overrides: Any) -> None:
        self._sandbox = sandbox
        self._wanted = None if way is None else Way(way)
        self._overrides = {name: value for name, value in overrides.items() if name != "start"}
        self._made: tuple[Guest, Way] | None = None

    def prepare(self) -> Way:
        """Return how the container will be handed out, after making it.

        Raises:
            ApiFailure: the target refused it, or the way that was insisted on.
            TaskFailed: it was not made.
        """
        if self._made is None:
            guest = self._sandbox.lxc(**self._overrides)
            self._made = guest, self._set_aside(guest)
        return self._made[1]

    def lxc(self, sandbox: Sandbox) -> Guest:
        """Return a running container, as new; what has to be made for it is ``sandbox``'s.

        Raises:
            ApiFailure: the target refused it.
            TaskFailed: it could not be made or started.
        """
        way = self.prepare()
        if way is Way.FRESH:
            return sandbox.lxc(**self._overrides, start=1)
        guest = self._source()
        if way is Way.CLONE:
            return sandbox.clone(guest, start=1)
        if self._is_gone(guest):
            self._made = None
            self.prepare()
            return self._source().start()
        return self._as_new(guest).start()

    def _is_gone(self, guest: Guest) -> bool:
        """Whether a test has destroyed it; the lease of what an app destroyed ends here."""
        if not self._sandbox.ledger.get(guest.lease.id).is_held:
            return True
        is_gone = Inventory(self._sandbox.calls).is_free(guest.vmid)
        if is_gone:
            self._sandbox.destroy(guest)
        return is_gone

    def _source(self) -> Guest:
        if self._made is None:
            raise RuntimeError("the golden container is not made yet")
        return self._made[0]

    def _set_aside(self, guest: Guest) -> Way:
        """Make the container into what is handed out, in the best way that the storage can."""
        way = self._wanted or self._best(guest)
        if way is Way.ROLLBACK:
            guest.snapshot(SNAPSHOT)
        elif way is Way.CLONE:
            self._sandbox.calls.post(guest.path("template"))
        else:
            self._sandbox.destroy(guest)
        return way

    def _best(self, guest: Guest) -> Way:
        if self._has(guest, "snapshot"):
            return Way.ROLLBACK
        return Way.CLONE if self._has(guest, "clone") else Way.FRESH

    def _has(self, guest: Guest, feature: str) -> bool:
        """Whether the storage of a container can do something."""
        found = self._sandbox.calls.get(guest.path("feature"), feature=feature)
        return bool(found.get("hasFeature"))

    def _as_new(self, guest: Guest) -> Guest:
        """The container as it was when it was made: no snapshot, no backup of a test's is left."""
        calls = self._sandbox.calls
        for row in calls.get(guest.path("snapshot")):
            if row["name"] not in (SNAPSHOT, CURRENT):
                upid = calls.delete(guest.path(f"snapshot/{row['name']}"))
                outcome = tasks.wait(calls.api, upid, timeout_s=STEP_S, clock=calls.clock)
                outcome.demand(f"removal of snapshot {row['name']} of {guest.ref}")
        self._drop_backups(guest)
        if calls.get(guest.path("config")).get("protection"):
            calls.put(guest.path("config"), protection=0)
        return guest.stop().rollback(SNAPSHOT)

    def _drop_backups(self, guest: Guest) -> None:
        calls, ledger = self._sandbox.calls, self._sandbox.ledger
        for volid in ledger.get(guest.lease.id).backups:
            path = f"nodes/{guest.node}/storage/{volid.storage}/content/{volid}"
            upid = calls.delete(path)
            if upid is not None:
                outcome = tasks.wait(calls.api, upid, timeout_s=STEP_S, clock=calls.clock)
                outcome.demand(f"removal of backup {volid}")
        ledger.note(guest.lease, backups=())
