"""A removal: one pass over one guest, from "is it ours" to "its destroy ended OK".

The order is the one that a real node demands: ownership, live tasks, HA, stop, protection,
backups, destroy. A pass that finds a step done already goes on to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_proxmox.errors import ApiFailure, ForeignGuest, TaskTimeout
from pytest_proxmox.sandbox.inventory import (
    BACKUPS,
    DISKS,
    Inventory,
    Located,
    TaskRow,
    Volume,
    is_maker,
)
from pytest_proxmox.sandbox.lease import Lease, Leftover
from pytest_proxmox.sandbox.ownership import CLONING, Identity, Sighting, own_makers, prove
from pytest_proxmox.target import tasks
from pytest_proxmox.target.calls import Calls
from pytest_proxmox.target.failures import Code, Failure, Kind, judge
from pytest_proxmox.values import GuestKind, GuestRef, NodeName, Upid, Volid

UNPROVEN: Final = "it has the VMID, but when it was made is not known, so it may be somebody else's"
ROOT: Final = "root@pam"  # with a ticket: the only one who may skip a VM's lock


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a clean-up waits for what, in seconds."""

    pauses: tuple[float, ...] = (0.5, 2.0, 5.0)  # between passes; PVE itself waits 10 s for locks
    task: float = 120.0  # a stop or a destroy; PVE gives a stop 60 s
    live_task: float = 60.0  # a task that ran when we came; then it is stopped
    stopping: float = 60.0  # from the end of a stop's task to the guest's: HA takes its time
    poll: float = 0.5
    request: float = 15.0  # from a process's death to its last request's effect: PVE's locks


@dataclass(slots=True)
class Trace:
    """What the passes over one lease have found out.

    ``backups`` are those that the sandbox made and that are not yet known to be gone;
    ``leftovers`` are other things than the guest itself.
    """

    node: NodeName
    kind: GuestKind | None = None
    was_there: bool = False
    is_destroyed: bool = False
    is_free: bool = False
    makers: list[Upid] = field(default_factory=list)
    warnings: str = ""
    backups: tuple[Volid, ...] = ()
    leftovers: list[Leftover] = field(default_factory=list)


Note = Callable[[Lease, tuple[Volid, ...]], object]


class Removal:
    """Takes guests away, one pass at a time.

    ``note`` is told which backups of a lease's guest are still there, before the guest goes:
    afterwards a weak token cannot see them.
    """

    def __init__(
        self,
        calls: Calls,
        inventory: Inventory,
        us: Identity,
        patience: Patience,
        *,
        note: Note = lambda lease, backups: None,
    ) -> None:
        self._calls = calls
        self._inventory = inventory
        self._us = us
        self._patience = patience
        self._note = note

    def attempt(self, lease: Lease, trace: Trace) -> Failure | None:
        """Return why the guest is still there, or None: it is gone, or never was.

        Raises:
            ForeignGuest: there is a guest, and it is not proven ours.
            TaskTimeout: a task of it does not end.
        """
        try:
            located = self.find(lease, trace)
            return None if located is None else self._take_away(lease, located, trace)
        except ApiFailure as exc:
            return Failure(Kind(exc.kind), Code(exc.code), str(exc))

    # Where is it, and is it ours --------------------------------------------------------------

    def find(self, lease: Lease, trace: Trace) -> Located | None:
        """Return where the lease's guest is, None if there is none.

        Raises:
            ForeignGuest: there is one that we may not see.
        """
        if lease.kind is None and self._is_free(lease, trace):
            return None  # a VMID that a test got and made nothing with
        located = self._inventory.locate(lease.vmid)
        if located is None and not self._is_free(lease, trace):
            located = self._wait_until_visible(lease, trace)
        return located

    def _is_free(self, lease: Lease, trace: Trace) -> bool:
        trace.is_free = self._inventory.is_free(lease.vmid)
        return trace.is_free

    def _wait_until_visible(self, lease: Lease, trace: Trace) -> Located | None:
        """A create with a pool shows its guest to such a token only when it has ended."""
        rows = self._rows(lease, trace.node)
        if lease.maker == "test":  # of a clone by the test itself, the source is not known
            rows += self._inventory.running_clones(trace.node)
        for row in rows:
            if row.is_running and own_makers([row.upid], self._us):
                settle(self._calls, row.upid, self._patience)
        self._inventory.refresh()
        located = self._inventory.locate(lease.vmid)
        if located is None and not self._is_free(lease, trace):
            raise ForeignGuest(
                str(lease), f"the VMID is taken, but {self._us.user} may not see by what"
            )
        return located

    def _rows(self, lease: Lease, node: NodeName) -> list[TaskRow]:
        """The guest's tasks, and those of its source, which is where its clone is listed."""
        rows = self._inventory.tasks(node, lease.vmid)
        if lease.source is not None:
            clones = self._inventory.tasks(node, lease.source)
            rows += [row for row in clones if row.upid.type in CLONING]
        return rows

    def recognise(
        self, lease: Lease, located: Located, trace: Trace
    ) -> tuple[Sighting, dict[str, Any], list[TaskRow]]:
        """Return what a guest shows of itself, its configuration and its tasks.

        Raises:
            ForeignGuest: it is not proven ours.
        """
        rows = self._inventory.tasks(located.ref.node, lease.vmid)
        seen, config = self._inventory.sight(located, rows)
        try:
            prove(lease, seen, self._us)
        except ForeignGuest:
            # Nothing on the guest's own list: it may be a clone, listed under its source.
            more = self._clones(lease, located.ref)
            if not more:
                raise
            rows += more
            seen, config = self._inventory.sight(located, rows)
            prove(lease, seen, self._us)
        trace.makers = list(seen.makers)
        return seen, config, rows

    def _clones(self, lease: Lease, ref: GuestRef) -> list[TaskRow]:
        if lease.maker == "test":
            return self._inventory.clone_tasks(ref.node, ref.vmid)
        if lease.source is None:
            return []
        rows = self._inventory.tasks(ref.node, lease.source)
        return [row for row in rows if row.upid.type in CLONING]

    # Away with it -----------------------------------------------------------------------------

    def _take_away(self, lease: Lease, located: Located, trace: Trace) -> Failure | None:
        ref = located.ref
        trace.node, trace.kind, trace.was_there = ref.node, ref.kind, True
        seen, config, rows = self.recognise(lease, located, trace)
        live = [row.upid for row in rows if row.is_running and row.upid.type not in CLONING]
        if seen.lock is not None:
            live += [row.upid for row in self._clones(lease, ref) if row.is_running]
        if live:
            for upid in live:
                settle(self._calls, upid, self._patience)
            seen, config, rows = self.recognise(lease, located, trace)
        self._stop(ref, seen)
        if config.get("protection"):
            self._calls.put(_path(ref, "config"), protection=0)
        volumes = self._inventory.volumes(ref.node, DISKS | BACKUPS, ref.vmid)
        if stuck := self._remove_backups(lease, volumes, trace):
            return Failure(Kind.TRANSIENT, Code.UNKNOWN, f"it stays for its backups: {stuck}")
        return self._delete(ref, seen, trace, alone=not self._strangers(lease, volumes, trace))

    def _stop(self, ref: GuestRef, seen: Sighting) -> None:
        status = self._calls.get(_path(ref, "status/current"))
        if (status.get("ha") or {}).get("managed"):
            self._leave_ha(ref)
        if status.get("status") == "stopped":
            return
        try:
            upid = self._calls.post(_path(ref, "status/stop"), **self._skip_lock(ref, seen))
        except ApiFailure as exc:
            if exc.code != Code.NOT_RUNNING:
                raise
            return
        self._wait(upid)
        self._wait_until_stopped(ref)

    def _leave_ha(self, ref: GuestRef) -> None:
        kind = "ct" if ref.kind == "lxc" else "vm"
        try:
            self._calls.delete(f"cluster/ha/resources/{kind}:{int(ref.vmid)}")
        except ApiFailure as exc:
            # A weak token may not touch HA; the destroy's purge=1 takes the guest out of it.
            if exc.code not in (Code.NOT_HA_MANAGED, Code.FORBIDDEN):
                raise

    def _wait_until_stopped(self, ref: GuestRef) -> None:
        clock = self._calls.clock
        start = clock.monotonic()
        while self._calls.get(_path(ref, "status/current")).get("status") != "stopped":
            if clock.monotonic() - start > self._patience.stopping:
                return  # the destroy says what is wrong
            clock.sleep(self._patience.poll)

    def _delete(
        self, ref: GuestRef, seen: Sighting, trace: Trace, *, alone: bool
    ) -> Failure | None:
        """Destroy; ``alone`` says that no disk of somebody else has the VMID."""
        options: dict[str, Any] = {"purge": 1}
        if alone:
            options["destroy-unreferenced-disks"] = 1
        if ref.kind == "lxc":
            options["force"] = 1  # an unknown parameter for a VM
        options |= self._skip_lock(ref, seen)
        outcome = self._wait(self._calls.delete(_path(ref), **options))
        trace.is_destroyed = outcome.is_ok
        if outcome.is_ok:
            return None
        if outcome.ending is tasks.Ending.WARNINGS:
            trace.warnings = "; ".join((outcome.exitstatus or "", *outcome.log_tail))
            return None  # the guest is gone; whether its disks are is looked at next
        return judge(outcome.exitstatus or "unexpected status", write=True)

    def _skip_lock(self, ref: GuestRef, seen: Sighting) -> dict[str, Any]:
        """For a VM with a stale lock; containers have no such way through the API."""
        stale = seen.lock is not None and ref.kind == "qemu" and self._us.user == ROOT
        return {"skiplock": 1} if stale else {}

    # Volumes ----------------------------------------------------------------------------------

    def _remove_backups(self, lease: Lease, volumes: list[Volume], trace: Trace) -> str:
        """Remove the guest's backups before it, and say which of them do not go.

        Without the guest, a weak token neither sees nor deletes them.
        """
        found = [volume for volume in volumes if volume.content in BACKUPS]
        trace.leftovers = self._remove_volumes(lease, found, trace)
        failed = {left.what for left in trace.leftovers if left.reason != UNPROVEN}
        stuck = [one.volid for one in found if _name(one) in failed]
        trace.backups = tuple(volid for volid in trace.backups if volid in stuck)
        self._note(lease, trace.backups)
        return ", ".join(map(str, stuck))

    def _strangers(self, lease: Lease, volumes: list[Volume], trace: Trace) -> list[Volume]:
        since = self._since(lease, trace) if volumes else None
        disks = (volume for volume in volumes if volume.content in DISKS)
        return [one for one in disks if since is not None and (one.ctime or since) < since]

    def residue(self, lease: Lease, trace: Trace) -> list[Leftover]:
        """Return what is left of a guest that is gone, after removing what can be removed."""
        if not trace.was_there:
            rows = self._rows(lease, trace.node)
            trace.makers = [row.upid for row in rows if is_maker(row.upid, lease.vmid)]
            if self._since(lease, trace) is None:
                return []  # nothing of ours ever had this VMID
            volumes = self._inventory.volumes(trace.node, BACKUPS, lease.vmid)
            trace.leftovers = self._remove_volumes(lease, volumes, trace)
            trace.leftovers += self._remove_hidden(lease, volumes, trace)
        disks = self._inventory.volumes(trace.node, DISKS, lease.vmid)
        left = self._remove_volumes(lease, disks, trace)
        if trace.warnings and not disks:
            left.append(Leftover(f"something of {lease}", f"its destroy said {trace.warnings}"))
        return trace.leftovers + left

    def _remove_hidden(self, lease: Lease, shown: list[Volume], trace: Trace) -> list[Leftover]:
        """Remove backups that we made of a guest that is gone, and that are not shown to us."""
        seen = {volume.volid for volume in shown}
        hidden = [volid for volid in trace.backups if volid not in seen]
        left: list[Leftover] = []
        for volid in hidden:
            left += self._remove_volume(
                Volume(volid, trace.node, lease.vmid, "backup", None, is_protected=False)
            )
        return left

    def _since(self, lease: Lease, trace: Trace) -> int | None:
        """When the first guest of ours under this VMID was made, by its node's clock.

        Of a guest that is proven ours by its pool, but that a run we know nothing of made: when
        it was made itself.
        """
        own = own_makers(trace.makers, self._us)
        if lease.upid is not None:
            own.append(lease.upid)
        if own or not trace.was_there:
            return min((task.starttime for task in own), default=None)
        if not trace.makers:
            clones = self._inventory.clone_tasks(trace.node, lease.vmid)
            trace.makers = [row.upid for row in clones]
        return max((task.starttime for task in trace.makers), default=None)

    def _remove_volumes(self, lease: Lease, volumes: list[Volume], trace: Trace) -> list[Leftover]:
        """Remove what was made since the guest was; older volumes are somebody else's."""
        since = self._since(lease, trace) if volumes else None
        left: list[Leftover] = []
        for volume in volumes:
            if since is None or volume.ctime is None:
                left.append(_unproven(volume))
            elif volume.ctime >= since:
                left += self._remove_volume(volume)
        return left

    def _remove_volume(self, volume: Volume) -> list[Leftover]:
        path = f"nodes/{volume.node}/storage/{volume.volid.storage}/content/{volume.volid}"
        try:
            if volume.is_protected:
                self._calls.put(path, protected=0)
            upid = self._calls.delete(path)
            if upid is not None:
                self._wait(upid).demand(f"removal of {volume.volid}", accept_warnings=False)
        except Exception as exc:  # noqa: BLE001  # the other volumes and the guest must still go
            return [Leftover(_name(volume), str(exc), f"pvesm free {volume.volid}")]
        return []

    def _wait(self, upid: str) -> tasks.TaskOutcome:
        api, clock = self._calls.api, self._calls.clock
        return tasks.wait(api, upid, timeout_s=self._patience.task, clock=clock)


def settle(calls: Calls, upid: Upid, patience: Patience) -> None:
    """Wait for a live task, or stop it: nothing can be done to a guest beside it.

    Raises:
        TaskTimeout: it does not even stop.
    """
    try:
        tasks.wait(calls.api, upid, timeout_s=patience.live_task, clock=calls.clock)
    except TaskTimeout:
        tasks.stop(calls.api, upid, clock=calls.clock)
        tasks.wait(calls.api, upid, timeout_s=patience.live_task, clock=calls.clock)


def _unproven(volume: Volume) -> Leftover:
    return Leftover(
        _name(volume),
        UNPROVEN,
        f"pvesm free {volume.volid}",
    )


def _name(volume: Volume) -> str:
    return f"{'backup' if volume.content in BACKUPS else 'disk'} {volume.volid}"


def _path(ref: GuestRef, what: str = "") -> str:
    base = ref.path.removeprefix("/")
    return f"{base}/{what}" if what else base
