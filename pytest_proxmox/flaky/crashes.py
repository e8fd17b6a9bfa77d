"""Crashes of xdist's workers: tried again as the rules say, on every scheduler.

xdist's schedulers that keep groups together hand a crashed test out again by themselves, until
too many workers have died. Here they do with it what pytest-rerunfailures decides, as the other
schedulers do: https://github.com/pytest-dev/pytest-xdist/issues/650. And a worker that replaces
another one does not run its last test before it knows that there is none behind it: one that gets
a single test waits for ever. Here it is told.

A worker that becomes ready while the run seems to be over is told to end, and does not join. When
the last test then kills its own worker, the run is not over, and xdist asserts that all who collect
have joined. Nor does it expect a worker to be dead already that it sends more tests.

How often a test may be tried again is what its worker says before it runs the test, through a
socket, and nobody confirms it: a worker that dies at once may be found dead before it is heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from xdist.scheduler import (
    LoadFileScheduling,
    LoadGroupScheduling,
    LoadScheduling,
    LoadScopeScheduling,
    WorkStealingScheduling,
)

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.flaky.settings import RerunRules

LAST_WORD_S = 2.0  # how long a dead worker's last word may be on its way; it is on this machine
POLL_S = 0.005
LEAST_HELD = 2  # a worker holds its last test back until it knows what comes next


class _Joined:
    """Listens only to workers that have joined the run, and speaks to the dead in vain."""

    nodes: Any

    def add_node(self, node: Any) -> None:
        """Let a worker join. What it cannot be sent comes back with the news of its death."""
        send = node.sendcommand

        def sendcommand(name: str, **kwargs: object) -> None:
            with suppress(OSError):
                send(name, **kwargs)

        node.sendcommand = sendcommand
        super().add_node(node)  # type: ignore[misc]

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """Take what a worker collected; one that was told to end before is not waited for."""
        if node in self.nodes:
            super().add_node_collection(node, collection)  # type: ignore[misc]


class _CrashedOnce(_Joined):
    """Takes a crashed test out of its group; it comes back only when somebody asks."""

    collection: Any
    workqueue: Any
    assigned_work: Any
    registered_collections: Any

    def remove_node(self, node: Any) -> str | None:
        """Return the test that the node died of, after giving the others away."""
        crashed = self._set_aside(self.assigned_work.get(node, {}))
        rest = super().remove_node(node)  # type: ignore[misc]
        return crashed if crashed is not None else rest

    def mark_test_pending(self, item: str) -> None:
        """Let the crashed test be run again, by whoever has the rest of its group."""
        scope = self._split_scope(item)  # type: ignore[attr-defined]
        for node, work in self.assigned_work.items():
            if scope in work and not node.shutting_down:
                work[scope][item] = False
                node.send_runtest_some([self.registered_collections[node].index(item)])
                return
        self.workqueue.setdefault(scope, {})[item] = False
        self.workqueue.move_to_end(scope, last=False)

    def _reschedule(self, node: Any) -> None:
        """Give the node more to do, and let it end when there is no more."""
        if node not in self.registered_collections:
            return  # it is still starting, and is asked again when it has started
        super()._reschedule(node)  # type: ignore[misc]
        while self._waits(node) and self.workqueue:
            self._assign_work_unit(node)  # type: ignore[attr-defined]
        if self._waits(node):
            node.shutdown()

    def _waits(self, node: Any) -> bool:
        work = self.assigned_work.get(node, {})
        return not node.shutting_down and self._pending_of(work) < LEAST_HELD  # type: ignore[attr-defined]

    def _set_aside(self, workload: Any) -> str | None:
        for unit in workload.values():
            for nodeid, completed in unit.items():
                if not completed:
                    unit[nodeid] = True
                    return str(nodeid)
        return None


class _Scope(_CrashedOnce, LoadScopeScheduling):  # type: ignore[misc]
    pass


class _File(_CrashedOnce, LoadFileScheduling):  # type: ignore[misc]
    pass


class _Group(_CrashedOnce, LoadGroupScheduling):  # type: ignore[misc]
    pass


class _Steal(_Joined, WorkStealingScheduling):  # type: ignore[misc]
    pass


class _Load(_Joined, LoadScheduling):  # type: ignore[misc]
    def check_schedule(self, node: Any, duration: float = 0) -> None:
        """Give the node more to do, and let it end when there is no more."""
        if node not in self.node2collection:
            return  # it is still starting, and is asked again when it has started
        super().check_schedule(node, duration)
        waits = len(self.node2pending[node]) < LEAST_HELD
        if waits and not self.pending and not node.shutting_down:
            node.shutdown()


_SCHEDULERS = {
    "load": _Load,
    "loadscope": _Scope,
    "loadfile": _File,
    "loadgroup": _Group,
    "worksteal": _Steal,
}


class CrashHooks:
    """The hooks of the process that commands xdist's workers."""

    def __init__(self, rules: RerunRules, clock: Clock | None = None) -> None:
        self._rules = rules
        self._clock = clock if clock is not None else SystemClock()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Give xdist's own schedulers, with what they lack after a crash."""
        kind = _SCHEDULERS.get(config.getvalue("dist"))
        return None if kind is None else kind(config, log)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_handlecrashitem(self, crashitem: str, sched: Any) -> None:
        """Hear the dead worker out before pytest-rerunfailures decides about its test."""
        until = self._clock.monotonic() + LAST_WORD_S
        told = sched.config.failures_db
        while not told.get_test_reruns(crashitem) and self._clock.monotonic() < until:
            self._clock.sleep(POLL_S)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """Set the budget for crashes: this process collects nothing itself."""
        option = node.config.option
        if option.max_suite_reruns is None:
            option.max_suite_reruns = self._rules.budget(len(ids))
