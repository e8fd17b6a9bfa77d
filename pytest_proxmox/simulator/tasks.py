"""Workers: tasks with a UPID, a log, locks held while they run, and an end in virtual time.

A worker is three functions under a name. What it needs later lies in ``Task.args`` as plain
values, so a running task survives a snapshot and a saved state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pytest_proxmox.simulator.identity import Auth
from pytest_proxmox.simulator.state import EMPTY, Task, altered
from pytest_proxmox.simulator.wire import PveError
from pytest_proxmox.values import NodeName, Upid

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

T = TypeVar("T")
FIRST_PID: Final = 1001
TICKS_PER_S: Final = 100  # ``pstart`` counts hundredths of a second since the node started
LOCK_WAIT_S: Final = 10.0  # how long a worker, or a request, waits for a guest's file lock
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


class NotYet(Exception):
    """A worker cannot begin before this moment: somebody holds a lock that it needs."""

    def __init__(self, moment: float) -> None:
        super().__init__(moment)
        self.moment = moment


def _patience(task: Task) -> float:
    """Return until when a worker waits for its lock."""
    return task.starttime + float(task.args.get("lock_wait_s", LOCK_WAIT_S))


def _holds(lock: str, args: Mapping[str, Any]) -> bool:
    """Return whether a worker holds its lock to its end."""
    return bool(lock) and "brief" not in args


def _last_line(status: str) -> tuple[str, ...]:
    """Return what a worker writes last; one that was killed writes nothing."""
    if status == "OK":
        return ("TASK OK",)
    if status == KILLED:
        return ()
    return (f"TASK {status}" if status.startswith("WARNINGS: ") else f"TASK ERROR: {status}",)


def _warning(text: str) -> str:
    """Return a line that counts as a warning."""
    return text if text.startswith("WARN") else f"WARN: {text or 'something is odd'}"


class Tasks:
    """The task lists of all nodes, and the engine that ends what is due."""

    def __init__(self, sim: Simulator, workers: Callable[[str], Worker | None]) -> None:
        self._sim = sim
        self._worker_of = workers
        self._tasks = sim.state.tasks
        self._running = sim.state.running
        self._working = False  # whether a part of a worker runs right now
        self._waiting: list[Task] = []  # forked, and begun when the answer is out
        self.defers = False
        sim.clock.on_move = self.run_until

    def start(
        self,
        node: str,
        kind: str,
        ident: str,
        caller: Auth,
        *,
        worker: str = "",
        args: Mapping[str, Any] = EMPTY,
        lock: str = "",
        keep_lock: bool = True,
        may_defer: bool = False,
    ) -> str:
        """Start a worker and return its UPID.

        ``kind`` is the task's type (``vzcreate``), ``worker`` the name it is registered under
        (the type, where not given), ``lock`` the file lock it takes first, to hold it to its end
        or, without ``keep_lock``, only to lock the configuration instead. A worker that finds
        the lock taken waits, and dies after ten seconds.

        With ``may_defer`` it may begin a little later, with ``begin_deferred`` at the latest:
        where ``defers`` is set.
        """
        if lock and not keep_lock:
            args = {**args, "brief": True}
        task = self._fork(node, kind, ident, caller, worker or kind, args, lock)
        if may_defer and self.defers:
            self._waiting.append(task)
        else:
            self._set_going(task)
        return task.upid

    def begin_deferred(self) -> None:
        """Begin the workers that were started and not begun yet.

        As in ``start``, a mistake of the simulator's own is raised.
        """
        while self._waiting:
            self._set_going(self._waiting.pop(0))

    def _set_going(self, task: Task) -> None:
        if task.holding or self.holder(task.lock) is None:
            self._begin(task)
        else:
            self._wait_for_lock(altered(task, log=("trying to acquire lock...",)))
        if self._sim.clock.mode == "instant" and not self._working:
            self._settle()

    def _settle(self) -> None:
        """Move the instant clock until nothing runs any more."""
        while self._running:
            self._sim.clock.move_to(min(self._running.values()))

    def start_after(self, task: Task, kind: str, vmid: int, lock: str) -> str:
        """Start what a worker starts when it is done (``start=1``), for the same caller."""
        caller = Auth(task.user, task.tokenid)
        return self.start(task.node, kind, str(vmid), caller, args={"vmid": vmid}, lock=lock)

    def _begin(self, task: Task) -> None:
        """Run the first part of a worker now and set when the rest is due."""
        holding = _holds(task.lock, task.args)
        self._put(task if task.holding == holding else altered(task, holding=holding))
        try:
            begun = self._work(self._worker(task).begin, self._tasks[task.upid])
        except NotYet as later:
            self._put(altered(self._tasks[task.upid], due=later.moment, holding=False))
            return
        except TaskDied as died:
            self._finish(self._tasks[task.upid], str(died))
            return
        task = self._tasks[task.upid]
        # from when it could begin on: the clock may have jumped far beyond that
        due = task.due + self._sim.faults.task_duration(task, begun.duration_s)
        self._put(altered(task, due=due, begun=True, log=task.log + begun.log))

    def _work(self, part: Callable[[Simulator, Task], T], task: Task) -> T:
        """Run a part of a worker; what it starts goes on only when that part has returned.

        A mistake of the simulator's own ends the task as well: nobody must wait for it forever.
        """
        inner, self._working = self._working, True
        try:
            return part(self._sim, task)
        except (TaskDied, NotYet):
            raise
        except Exception as exc:
            self._finish(self._tasks[task.upid], f"internal error: {exc}")
            raise
        finally:
            self._working = inner

    def _wait_for_lock(self, task: Task) -> None:
        holder = self.holder(task.lock)
        patience = _patience(task)
        due = patience if holder is None else min(holder.due, patience)
        self._put(altered(task, due=max(due, task.due)))

    def _try_lock(self, task: Task) -> None:
        """Go on with a worker that waits for a lock: take it, wait on, or give up."""
        if self.holder(task.lock) is None:
            self._begin(altered(task, log=(*task.log, " OK")))
        elif task.due >= _patience(task):
            self._finish(task, f"can't lock file '{task.lock}' - got timeout")
        else:
            self._wait_for_lock(task)

    def _fork(
        self,
        node: str,
        kind: str,
        ident: str,
        caller: Auth,
        worker: str,
        args: Mapping[str, Any],
        lock: str,
    ) -> Task:
        now = self._sim.clock.now()
        pid = self._sim.count("pid", start=FIRST_PID, step=3)
        boot = self._sim.state.nodes[node].boot_time
        # a UPID must be new even if two tasks start within the same hundredth of a second
        pstart = self._sim.count("pstart", least=int((now - boot) * TICKS_PER_S))
        upid = Upid(NodeName(node), pid, pstart, int(now), kind, ident, caller.name)
        return Task(
            str(upid),
            node,
            kind,
            ident,
            caller.userid,
            caller.tokenid,
            pid,
            pstart,
            int(now),
            worker,
            now,
            args,
            lock=lock,
            holding=_holds(lock, args) and self.holder(lock) is None,
        )

    def _put(self, task: Task) -> None:
        self._tasks[task.upid] = task
        if not task.running:
            self._running.pop(task.upid)
        elif self._running.get(task.upid) != task.due:
            self._running[task.upid] = task.due

    def run_until(self, moment: float) -> None:
        """End every running task that is due by then, the earliest first.

        Of two that are due at once the one that has begun goes first: the other waits for it.
        """
        while self._running and not self._working:
            due, _, upid = min(map(self._turn, self._running))
            if due > moment:
                return
            self._run_out(self._tasks[upid])

    def _turn(self, upid: str) -> tuple[float, bool, str]:
        task = self._tasks[upid]
        return task.due, not task.begun, upid

    def run_to_end(self, upid: str) -> None:
        """Move the on-poll clock to the end of one task; the other modes end what is due."""
        moves = self._sim.clock.mode in ("on-poll", "instant")
        while (task := self._tasks.get(upid)) is not None and task.running and moves:
            self._sim.clock.move_to(task.due)
        self.run_until(self._sim.clock.now())

    def _run_out(self, task: Task) -> None:
        """Do what is due: take the lock that a worker waited for, or end it."""
        if not task.begun:
            self._try_lock(task)
            return
        rule = self._sim.faults.task_end(task)
        if rule is not None and rule.effect == "worker-killed":
            self._finish(task, KILLED, at=task.due)
            return
        if rule is not None and rule.effect == "task-error":
            self._abort(task, rule.text or INTERRUPTED, at=task.due)
            return
        try:
            lines = self._work(self._worker(task).finish, task)
            if rule is not None:
                lines = (*lines, _warning(rule.text))
        except TaskDied as died:
            self._finish(self._tasks[task.upid], str(died), at=task.due)
            return
        task = self._tasks[task.upid]
        warned = sum(1 for line in (*task.log, *lines) if line.startswith("WARN"))
        status = f"WARNINGS: {warned}" if warned else "OK"
        self._finish(task, status, lines, at=task.due)

    def _finish(
        self, task: Task, status: str, lines: tuple[str, ...] = (), *, at: float | None = None
    ) -> None:
        """End a task: its last lines, its exit status, the lock it held."""
        moment = int(self._sim.clock.now() if at is None else at)
        log = task.log + lines + _last_line(status)
        self._put(altered(task, endtime=moment, exitstatus=status, log=log, holding=False))

    def finish_within(self, upid: str, patience_s: float) -> None:
        """Let the on-poll clock run to a task's end where that is near enough."""
        task = self._tasks[upid]
        near = task.due <= self._sim.clock.now() + patience_s
        if task.running and near and self._sim.clock.mode == "on-poll":
            self._sim.clock.move_to(task.due)

    def log(self, upid: str, *lines: str) -> None:
        """Add lines to a running task's log."""
        task = self._tasks[upid]
        self._put(altered(task, log=task.log + lines))

    def stop(self, upid: str) -> None:
        """Stop a task politely: it cleans up behind itself and ends as interrupted."""
        task = self._tasks[upid]
        if task.running:
            self._abort(task, INTERRUPTED)

    def _abort(self, task: Task, status: str, *, at: float | None = None) -> None:
        lines = self._work(self._worker(task).abort, task) if task.begun else ()
        task = self._tasks[task.upid]
        self._finish(task, status, lines, at=at)

    def kill(self, upid: str) -> None:
        """End a worker as SIGKILL does: nothing is cleaned up, no last line is written."""
        task = self._tasks[upid]
        if task.running:
            self._finish(task, KILLED)

    def knows(self, worker: str) -> bool:
        """Return whether a worker of that name is simulated."""
        return self._worker_of(worker) is not None

    def _worker(self, task: Task) -> Worker:
        found = self._worker_of(task.worker)
        if found is None:
            raise LookupError(f"no worker is registered as {task.worker!r}")
        return found

    def get(self, upid: str) -> Task | None:
        """Return the task, or None where there is none of that id."""
        return self._tasks.get(upid)

    def holder(self, lock: str) -> Task | None:
        """Return the running task that holds a file lock."""
        for upid in self._running if lock else ():
            task = self._tasks[upid]
            if task.holding and task.lock == lock:
                return task
        return None

    def await_lock(self, lock: str) -> None:
        """Wait for a file lock as a request does: up to ten virtual seconds.

        Only the on-poll clock can wait here; with the others a taken lock is refused at once.

        Raises:
            PveError: ``can't lock file '…' - got timeout`` (golden README, point 5).
        """
        patience = self._sim.clock.now() + LOCK_WAIT_S
        while (holder := self.holder(lock)) is not None:
            if self._sim.clock.mode != "on-poll" or holder.due > patience:
                raise PveError(500, f"can't lock file '{lock}' - got timeout")
            self._sim.clock.move_to(holder.due)
