"""Workers: tasks with a UPID, a log, locks held while they run, and an end in virtual time.

A worker is three functions under a name. What it needs later lies in ``Task.args`` as plain
values, so a running task survives a snapshot and a saved state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator.state import EMPTY, Task
from pytest_proxmox.simulator.wire import PveError
from pytest_proxmox.values import NodeName, Upid

if TYPE_CHECKING:
    from pytest_proxmox.simulator.access import Auth
    from pytest_proxmox.simulator.simulator import Simulator

FIRST_PID: Final = 1001
TICKS_PER_S: Final = 100  # ``pstart`` counts hundredths of a second since the node started
INTERRUPTED: Final = "interrupted by signal"
KILLED: Final = "unexpected status"  # the worker died without a last line in its log


class TaskDied(Exception):
    """A worker ends with this text as its exit status."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What the first part of a worker leaves: how long the rest takes, what it logged."""

    duration_s: float = 1.0
    log: tuple[str, ...] = ()


def _begin(sim: Simulator, task: Task) -> Begun:
    return Begun()


def _end(sim: Simulator, task: Task) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Worker:
    """How one kind of task works.

    ``begin`` runs at once, in the fork; ``finish`` when the time is up and returns log lines;
    ``abort`` when it is stopped politely. ``begin`` and ``finish`` raise TaskDied to fail.
    """

    begin: Callable[[Simulator, Task], Begun] = _begin
    finish: Callable[[Simulator, Task], tuple[str, ...]] = _end
    abort: Callable[[Simulator, Task], tuple[str, ...]] = _end


class Tasks:
    """The task lists of all nodes, and the engine that ends what is due."""

    def __init__(self, sim: Simulator, workers: Mapping[str, Worker]) -> None:
        self._sim = sim
        self._workers = workers
        self._tasks = sim.state.tasks
        self._running = sim.state.running
        sim.clock.on_move = self.run_until

    def start(
        self,
        node: str,
        kind: str,
        ident: str,
        auth: Auth,
        *,
        worker: str = "",
        args: Mapping[str, Any] = EMPTY,
        holds: tuple[str, ...] = (),
    ) -> str:
        """Start a worker and return its UPID.

        ``kind`` is the task's type (``vzcreate``), ``worker`` the name it is registered under
        (the type, where not given), ``holds`` the file locks it has while it runs.
        """
        task = self._fork(node, kind, ident, auth, worker or kind, args, holds)
        try:
            begun = self._workers[task.worker].begin(self._sim, task)
        except TaskDied as died:
            self._finish(task, str(died))
            return task.upid
        due = self._sim.clock.now() + self._sim.faults.task_duration(task, begun.duration_s)
        self._put(replace(task, due=due, log=task.log + begun.log))
        if self._sim.clock.mode == "instant":
            self.run_until(due)
        return task.upid

    def _fork(
        self,
        node: str,
        kind: str,
        ident: str,
        auth: Auth,
        worker: str,
        args: Mapping[str, Any],
        holds: tuple[str, ...],
    ) -> Task:
        now = self._sim.clock.now()
        pid = self._sim.count("pid", start=FIRST_PID, step=3)
        boot = self._sim.state.nodes[node].boot_time
        # a UPID must be new even if two tasks start within the same hundredth of a second
        pstart = max(int((now - boot) * TICKS_PER_S), self._sim.count("pstart"))
        self._sim.state.settings["counter.pstart"] = pstart
        upid = Upid(NodeName(node), pid, pstart, int(now), kind, ident, auth.name)
        task = Task(
            str(upid),
            node,
            kind,
            ident,
            auth.userid,
            auth.tokenid,
            pid,
            pstart,
            int(now),
            worker,
            now,
            args,
            holds=holds,
        )
        self._put(task)
        return task

    def _put(self, task: Task) -> None:
        self._tasks[task.upid] = task
        if task.running:
            self._running[task.upid] = task.due
        else:
            self._running.pop(task.upid)

    def run_until(self, moment: float) -> None:
        """End every running task that is due by then, the earliest first."""
        while self._running:
            upid, due = min(self._running.items(), key=lambda item: item[1])
            if due > moment:
                return
            self._run_out(self._tasks[upid])

    def run_to_end(self, upid: str) -> None:
        """Move the on-poll clock to the end of one task; the other modes end what is due."""
        task = self._tasks.get(upid)
        if task is None or not task.running or self._sim.clock.mode != "on-poll":
            self.run_until(self._sim.clock.now())
            return
        self._sim.clock.move_to(task.due)

    def _run_out(self, task: Task) -> None:
        forced = self._sim.faults.task_end(task)
        if forced is not None:
            self._finish(task, forced)
            return
        try:
            lines = self._workers[task.worker].finish(self._sim, task)
        except TaskDied as died:
            self._finish(self._tasks[task.upid], str(died), at=task.due)
            return
        task = self._tasks[task.upid]
        warned = sum(1 for line in (*task.log, *lines) if line.startswith("WARN"))
        status = f"WARNINGS: {warned}" if warned else "OK"
        self._finish(replace(task, log=task.log + lines), status, at=task.due)

    def _finish(self, task: Task, status: str, *, at: float | None = None) -> None:
        moment = int(self._sim.clock.now() if at is None else at)
        last = {"OK": "TASK OK", KILLED: ""}.get(status)
        if last is None:
            warned = status.startswith("WARNINGS: ")
            last = f"TASK {status}" if warned else f"TASK ERROR: {status}"
        log = (*task.log, last) if last else task.log
        self._put(replace(task, endtime=moment, exitstatus=status, log=log, holds=()))

    def log(self, upid: str, *lines: str) -> None:
        """Add lines to a running task's log."""
        task = self._tasks[upid]
        self._put(replace(task, log=task.log + lines))

    def stop(self, upid: str) -> None:
        """Stop a task politely: it cleans up behind itself and ends as interrupted."""
        task = self._tasks[upid]
        if task.running:
            lines = self._workers[task.worker].abort(self._sim, task)
            task = self._tasks[upid]
            self._finish(replace(task, log=task.log + lines), INTERRUPTED)

    def kill(self, upid: str) -> None:
        """End a worker as SIGKILL does: nothing is cleaned up, no last line is written."""
        task = self._tasks[upid]
        if task.running:
            self._finish(task, KILLED)

    def get(self, upid: str) -> Task | None:
        """Return the task, or None where there is none of that id."""
        return self._tasks.get(upid)

    def holder(self, lock: str) -> Task | None:
        """Return the running task that holds a file lock."""
        for upid in self._running:
            task = self._tasks[upid]
            if lock in task.holds:
                return task
        return None

    def require_lock(self, lock: str, path: str) -> None:
        """Refuse as PVE does after waiting for a file lock that a worker holds.

        Raises:
            PveError: ``can't lock file '…' - got timeout`` (golden README, point 5).
        """
        if self.holder(lock) is not None:
            raise PveError(500, f"can't lock file '{path}' - got timeout")
