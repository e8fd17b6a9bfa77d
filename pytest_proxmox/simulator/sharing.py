"""Locks that several may hold: clones read their source together, and keep writers out.

Parallel clones of one VM work (golden 11 seq 16 to 27); who changes it waits ten seconds for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pytest_proxmox.simulator import guests
from pytest_proxmox.simulator.state import Task
from pytest_proxmox.simulator.tasks import LOCK_WAIT_S, NotYet, TaskDied
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.family import Call
    from pytest_proxmox.simulator.simulator import Simulator

READER: Final = "qmclone"  # the one kind of task that shares the lock of the VM it names


def lock(vmid: int) -> str:
    """Return the file lock of a VM's configuration."""
    return guests.lock_file("qemu", vmid)


def readers(sim: Simulator, vmid: int) -> Iterator[Task]:
    """Yield the running clones of a VM."""
    for upid in list(sim.state.running):
        task = sim.state.tasks[upid]
        if task.worker == READER and task.begun and task.args["vmid"] == vmid:
            yield task


def _refusal(vmid: int) -> str:
    return f"can't lock file '{lock(vmid)}' - got timeout"


def await_writers_turn(call: Call, vmid: int) -> None:
    """Wait as a request does until nobody changes a VM or reads it for a clone.

    Raises:
        PveError: ``can't lock file '…' - got timeout`` after ten virtual seconds.
    """
    sim = call.sim
    patience = sim.clock.now() + LOCK_WAIT_S
    sim.tasks.await_lock(lock(vmid))
    while (task := next(readers(sim, vmid), None)) is not None:
        if sim.clock.mode != "on-poll" or task.due > patience:
            raise PveError(500, _refusal(vmid))
        sim.clock.move_to(task.due)


def take_writers_turn(sim: Simulator, task: Task, vmid: int) -> None:
    """Let a worker that changes a VM wait for the clones of it.

    Raises:
        NotYet: they end soon enough.
        TaskDied: they do not.
    """
    for reader in readers(sim, vmid):
        if reader.upid != task.upid:
            _wait_for(task, reader, vmid)


def take_readers_turn(sim: Simulator, task: Task, vmid: int) -> None:
    """Let a worker that clones a VM wait for whoever changes it.

    Raises:
        NotYet: that ends soon enough.
        TaskDied: it does not.
    """
    holder = sim.tasks.holder(lock(vmid))
    if holder is not None and holder.upid != task.upid:
        _wait_for(task, holder, vmid)


def _wait_for(task: Task, other: Task, vmid: int) -> None:
    if other.due > task.starttime + LOCK_WAIT_S:
        raise TaskDied(_refusal(vmid))
    raise NotYet(other.due)
