"""The inventory: what the target shows of guests, tasks and volumes, read for one round.

Answers become values here. Lists that serve several guests (guests of the cluster, storages of
a node) are read once and kept until ``refresh``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from pytest_proxmox.errors import ApiFailure, InvalidValue
from pytest_proxmox.sandbox.baseline import Baseline
from pytest_proxmox.sandbox.ownership import CLONING, MAKING, Sighting
from pytest_proxmox.target.calls import Calls
from pytest_proxmox.target.failures import Code, judge
from pytest_proxmox.values import GuestRef, NodeName, Upid, Vmid, Volid, parse_kind

DISKS = frozenset({"images", "rootdir"})
BACKUPS = frozenset({"backup"})
DESTROYING = frozenset({"vzdestroy", "qmdestroy"})


@dataclass(frozen=True, slots=True)
class Located:
    """Where the cluster's list has a guest; ``pool`` may be up to 10 s late."""

    ref: GuestRef
    pool: str | None
    is_template: bool


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task on a node's list; ``status`` is its exit status, None while it runs."""

    upid: Upid
    status: str | None

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.status is None

    @property
    def when(self) -> tuple[int, int]:
        """What orders the tasks of one node by their starts."""
        return self.upid.starttime, self.upid.pstart

    def has_destroyed(self, vmid: Vmid) -> bool:
        """Whether what had the VMID was gone after it: what is there now came later."""
        is_destroy = self.upid.type in DESTROYING and self.upid.id == str(int(vmid))
        return is_destroy and self.status is not None and judges_as_done(self.status)

    def can_have_made(self, vmid: Vmid, *, half_made: bool) -> bool:
        """Whether a guest can come from this task, if it is on the list of guest or source.

        A create that failed has made nothing, unless its worker was killed or could not clean
        up; one that failed because the VMID was taken shows that somebody else was first.
        """
        if not is_maker(self.upid, vmid):
            return False
        if self.status in (None, "unexpected status") or judges_as_done(self.status):
            return True
        return half_made and judge(self.status).code != Code.VMID_TAKEN


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of a guest on a storage; ``ctime`` is by the node's clock, where it is known."""

    volid: Volid
    node: NodeName
    vmid: Vmid
    content: str
    ctime: int | None
    is_protected: bool


class Inventory:
    """Reads one target; every method costs at most one call per node or storage it names."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._guests: dict[Vmid, Located] | None = None
        self._storages: dict[str, list[dict[str, Any]]] = {}

    def refresh(self) -> None:
        """Forget the list of guests, so that the next look is a fresh one."""
        self._guests = None

    def locate(self, vmid: Vmid) -> Located | None:
        """Return where the guest is, cluster-wide; None also where we may not see it."""
        if self._guests is None:
            rows = self._calls.get("cluster/resources", type="vm")
            self._guests = {found.ref.vmid: found for found in map(_located, rows)}
        return self._guests.get(vmid)

    def is_free(self, vmid: Vmid) -> bool:
        """Whether no guest of the cluster has this VMID; needs no right at all."""
        try:
            self._calls.get("cluster/nextid", vmid=int(vmid))
        except ApiFailure as exc:
            if exc.code == Code.VMID_TAKEN:
                return False
            raise
        return True

    def sight(
        self, located: Located, tasks: Collection[TaskRow]
    ) -> tuple[Sighting, dict[str, Any]]:
        """Return what the guest shows of itself, and its configuration."""
        config = self._calls.get(located.ref.path.lstrip("/") + "/config")
        vmid, lock = located.ref.vmid, config.get("lock")
        gone = max((row.when for row in tasks if row.has_destroyed(vmid)), default=(0, 0))
        makers = (
            row
            for row in tasks
            if row.can_have_made(vmid, half_made=lock == "create") and row.when > gone
        )
        sighting = Sighting(
            ref=located.ref,
            pool=located.pool,
            description=str(config.get("description", "")),
            lock=lock,
            makers=tuple(row.upid for row in makers),
        )
        return sighting, config

    def tasks(self, node: NodeName, vmid: Vmid) -> list[TaskRow]:
        """Return the tasks of a guest on a node, running ones too, newest first."""
        rows = self._calls.get(f"nodes/{node}/tasks", vmid=int(vmid), source="all")
        return list(_task_rows(rows))

    def running(self, node: NodeName) -> list[Upid]:
        """Return the tasks that run on a node."""
        rows = self._calls.get(f"nodes/{node}/tasks", source="active")
        return [row.upid for row in _task_rows(rows) if row.is_running]

    def members(self, poolid: str) -> list[GuestRef]:
        """Return the guests in a pool; none where there is no such pool."""
        try:
            rows = self._calls.get("pools", poolid=poolid)
        except ApiFailure as exc:
            if exc.code != Code.NO_POOL:
                raise
            return []
        members = [row for pool in rows for row in pool.get("members", ())]
        return [_located(row).ref for row in members if row.get("type") in ("lxc", "qemu")]

    def baseline(self) -> Baseline:
        """Return the newest tasks of every node that is online."""
        found = {}
        for node in self.nodes():
            rows = self._calls.get(f"nodes/{node}/tasks", source="all")
            found[node] = [row.upid for row in _task_rows(rows)]
        return Baseline.of(found)

    def nodes(self) -> list[NodeName]:
        """Return the nodes that are online."""
        rows = self._calls.get("nodes")
        return sorted(NodeName(row["node"]) for row in rows if row.get("status") == "online")

    def volumes(
        self, node: NodeName, uses: frozenset[str], vmid: Vmid | None = None
    ) -> list[Volume]:
        """Return the guests' volumes on a node's storages, of one VMID or of all.

        ``uses`` is ``DISKS``, ``BACKUPS`` or both.
        """
        wanted = {} if vmid is None else {"vmid": int(vmid)}
        found: list[Volume] = []
        for storage in self.storages(node, uses):
            rows = self._calls.get(f"nodes/{node}/storage/{storage}/content", **wanted)
            found += [_volume(row, node) for row in rows if row.get("vmid") is not None]
        return [volume for volume in found if volume.content in uses]

    def storages(self, node: NodeName, uses: frozenset[str]) -> list[str]:
        """Return the node's enabled storages that can hold one of these contents."""
        if node not in self._storages:
            self._storages[node] = self._calls.get(f"nodes/{node}/storage", enabled=1)
        return sorted(
            str(row["storage"])
            for row in self._storages[node]
            if row.get("active") and uses & set(str(row.get("content", "")).split(","))
        )

    def clone_tasks(self, node: NodeName, vmid: Vmid) -> list[TaskRow]:
        """Return the clone tasks of a node whose log says that they made ``vmid``.

        A clone's task is listed under its source, so the guest's own list does not have it.
        """
        made: list[TaskRow] = []
        for kind in sorted(CLONING):
            rows = self._calls.get(f"nodes/{node}/tasks", typefilter=kind, source="all")
            made += [row for row in _task_rows(rows) if self._names(row.upid, vmid)]
        return made

    def running_clones(self, node: NodeName) -> list[TaskRow]:
        """Return the clones that go on at a node; their logs may not name the new guest yet."""
        made: list[TaskRow] = []
        for kind in sorted(CLONING):
            rows = self._calls.get(f"nodes/{node}/tasks", typefilter=kind, source="active")
            made += [row for row in _task_rows(rows) if row.is_running]
        return made

    def _names(self, upid: Upid, vmid: Vmid) -> bool:
        lines = self._calls.get(f"nodes/{upid.node}/tasks/{upid}/log", limit=0)
        named = re.compile(rf"\bwith ID {int(vmid)}\b|\b(vm|subvol|basevol)-{int(vmid)}-")
        return any(named.search(str(line.get("t", ""))) for line in lines)


def judges_as_done(status: str) -> bool:
    """Whether a task with this exit status did what it was for, warnings or not."""
    return status == "OK" or status.startswith("WARNINGS")


def is_maker(upid: Upid, vmid: Vmid) -> bool:
    """Whether a task on a guest's list, or a clone that named it, can have made the guest."""
    return (upid.type in MAKING and upid.id == str(int(vmid))) or (
        upid.type in CLONING and upid.id != str(int(vmid))
    )


def _located(row: dict[str, Any]) -> Located:
    ref = GuestRef(Vmid(row["vmid"]), parse_kind(row["type"]), NodeName(row["node"]))
    return Located(ref, row.get("pool"), bool(row.get("template")))


def _task_rows(rows: list[dict[str, Any]]) -> Iterator[TaskRow]:
    for row in rows:
        try:
            upid = Upid.parse(row["upid"])
        except InvalidValue:
            continue  # a task of a future PVE that no guest of ours can come from
        # A running task says RUNNING on the list of all, and has no end (golden 03 seq 80).
        yield TaskRow(upid, str(row.get("status")) if "endtime" in row else None)


def _volume(row: dict[str, Any], node: NodeName) -> Volume:
    return Volume(
        volid=Volid.parse(row["volid"]),
        node=node,
        vmid=Vmid(row["vmid"]),
        content=str(row.get("content")),
        ctime=row.get("ctime"),
        is_protected=bool(row.get("protected")),
    )
