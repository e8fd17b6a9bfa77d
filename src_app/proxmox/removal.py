"""The one place that destroys: only what a claim proves to be ours, and to the end.

It runs on a plain thread, so that a clean-up goes on when the coroutine that asked for it is
cancelled, and works where there is no event loop.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

from src_app.proxmox.connection import Connection
from src_app.proxmox.errors import (
    CleanupIncomplete,
    ForeignGuest,
    InvalidRequest,
    ProtectedGuest,
    RequestFailed,
    StillThere,
)
from src_app.proxmox.ownership import Claim, Claims, Evidence, Verdict, judge
from src_app.proxmox.tasks import TaskWatch, Upid, demand_success

Removed = Literal["destroyed", "absent"]


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """What a clean-up found of the guests this service had made.

    ``await`` gives it back at once, so both ``service.cleanup_test_containers()`` and
    ``await service.cleanup_test_containers()`` do the work and yield the report.
    """

    destroyed: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()
    foreign: tuple[int, ...] = ()

    def __await__(self) -> Generator[None, None, CleanupReport]:
        """Return the report itself: the work is done by now."""
        yield from ()
        return self


class Remover:
    """Destroys guests that ``claims`` prove to be ours."""

    def __init__(self, connection: Connection, watch: TaskWatch, claims: Claims) -> None:
        self._connection = connection
        self._watch = watch
        self._claims = claims

    def is_free(self, vmid: int) -> bool:
        """Tell whether no guest of the cluster has this VMID; needs no right at all."""
        try:
            self._connection.get("/cluster/nextid", vmid=vmid)
        except InvalidRequest:
            return False
        return True

    def destroy(self, node: str, vmid: int, *, unprotect: bool = False) -> Removed:
        """Return once no guest has ``vmid``: destroyed now, or absent before.

        Raises:
            ForeignGuest: there is a guest, and nothing proves that this service made it.
            ProtectedGuest: it is ours and protected, and ``unprotect`` is false.
            TaskFailed: stop or destroy failed, or ended with warnings.
            StillThere: Proxmox says the VMID is still taken.
        """
        claim = self._claims.get(vmid)
        making = "" if claim is None else self._end_making(claim)
        if self.is_free(vmid):
            self._claims.drop(claim)
            return "absent"
        place = self._node_of(vmid, asked=node)
        config = self._prove(claim, place, vmid, making=making)
        if config.get("protection"):
            self._unprotect(place, vmid, allowed=unprotect)
        self._stop(place, vmid)
        self._delete(place, vmid)
        self._claims.drop(claim)
        return "destroyed"

    def destroy_all(self) -> CleanupReport:
        """Return what became of every guest this service made, the newest first.

        Raises:
            CleanupIncomplete: some of ours are left; each has its error, the others are gone.
        """
        done: dict[Removed, list[int]] = {"destroyed": [], "absent": []}
        foreign: list[int] = []
        errors: list[Exception] = []
        for claim in self._claims.newest_first():
            try:
                done[self.destroy(claim.node, claim.vmid, unprotect=True)].append(claim.vmid)
            except ForeignGuest as exc:
                foreign.append(claim.vmid)
                if exc.may_be_ours:
                    errors.append(exc)
                else:
                    self._claims.drop(claim)
            except Exception as exc:  # noqa: BLE001 - a chain of clean-ups: all are raised below
                errors.append(exc)
        if errors:
            raise CleanupIncomplete("guests that this service made are left", errors)
        return CleanupReport(tuple(done["destroyed"]), tuple(done["absent"]), tuple(foreign))

    def _end_making(self, claim: Claim) -> str:
        """Return how the task that makes the guest ended, after stopping it where it runs.

        A polite stop removes what the task had made. ``""`` where Proxmox knows no such task.
        Where the POST's answer was lost we do not know the task, so we only wait for what
        runs on that VMID: the description with the proof appears when it ends.
        """
        if claim.upid is None:
            for task in self._tasks(claim, {claim.node}, source="active"):
                self._watch.ended_blocking(Upid.parse(task["upid"]))
            return ""
        try:
            outcome = self._watch.look(claim.upid)
        except InvalidRequest:
            return ""  # a task's log is kept for a while only
        if outcome is None:
            self._connection.delete(claim.upid.path)
            outcome = self._watch.ended_blocking(claim.upid)
        return outcome.exitstatus

    def _tasks(self, claim: Claim, nodes: set[str], **query: Any) -> list[dict[str, Any]]:
        return [
            task
            for node in sorted(nodes)
            for task in self._connection.get(f"/nodes/{node}/tasks", vmid=claim.vmid, **query)
        ]

    def _node_of(self, vmid: int, *, asked: str) -> str:
        """Return the node that has the guest now: it may have been migrated.

        Raises:
            ForeignGuest: a virtual machine has the VMID, and this service makes none.
        """
        listed = self._connection.get("/cluster/resources", type="vm")
        found: dict[str, Any] = next(
            (entry for entry in listed if int(entry.get("vmid", 0)) == vmid), {}
        )
        if found.get("type", "lxc") != "lxc":
            raise ForeignGuest(vmid, because="it is a virtual machine")
        return str(found.get("node", asked))

    def _prove(self, claim: Claim | None, node: str, vmid: int, *, making: str) -> dict[str, Any]:
        """Return the guest's config once the evidence shows that it is ours."""
        if claim is None:
            refusal = self._claims.refusal(vmid)
            because = Verdict.UNCLAIMED.value + (f"; its create said: {refusal}" if refusal else "")
            raise ForeignGuest(vmid, because=because)
        config: dict[str, Any] = self._connection.get(f"/nodes/{node}/lxc/{vmid}/config")
        verdict = judge(claim, self._evidence(claim, node, config, making=making))
        if verdict is not Verdict.OURS:
            raise ForeignGuest(vmid, because=verdict.value, may_be_ours=verdict is Verdict.UNPROVEN)
        return config

    def _evidence(
        self, claim: Claim, node: str, config: dict[str, Any], *, making: str
    ) -> Evidence:
        """Return what Proxmox says, from the node that made the guest and the one that has it."""
        if claim.upid is None:
            return Evidence.read(config, making=making, tasks=[])
        since = {"since": claim.upid.starttime, "source": "all", "limit": 500}
        return Evidence.read(
            config, making=making, tasks=self._tasks(claim, {claim.node, node}, **since)
        )

    def _unprotect(self, node: str, vmid: int, *, allowed: bool) -> None:
        if not allowed:
            raise ProtectedGuest(vmid)
        self._connection.put(f"/nodes/{node}/lxc/{vmid}/config", protection=0)

    def _stop(self, node: str, vmid: int) -> None:
        path = f"/nodes/{node}/lxc/{vmid}/status"
        if self._is_stopped(path):
            return
        try:
            upid = self._connection.post(f"{path}/stop")
        except RequestFailed:
            if self._is_stopped(path):
                return  # it stopped by itself in between
            raise
        self._wait(upid, f"stopping container {vmid}")

    def _is_stopped(self, path: str) -> bool:
        return bool(self._connection.get(f"{path}/current").get("status") == "stopped")

    def _delete(self, node: str, vmid: int) -> None:
        parameters = {"purge": 1, "destroy-unreferenced-disks": 1, "force": 1}
        upid = self._connection.delete(f"/nodes/{node}/lxc/{vmid}", **parameters)
        self._wait(upid, f"destroying container {vmid}")
        if not self.is_free(vmid):
            raise StillThere(
                f"VMID {vmid} is still taken after its destroy ended well",
                origin=f"task {upid}",
                hint="Look at it on the node; it was made by this service.",
            )

    def _wait(self, upid: object, doing: str) -> None:
        """Return once the task ended clean: a warning on destroy means something is left."""
        outcome = self._watch.ended_blocking(Upid.parse(upid))
        demand_success(outcome, doing=doing)
