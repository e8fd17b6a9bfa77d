"""A pytest plugin that runs the tests in an order that is given, and writes down how they ended.

``soak`` and ``order`` load it with ``-p``; a file that an environment variable names tells what
to do, so that xdist's workers do it too.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "PYTEST_PROXMOX_ORDER_FILE"
SEED_VARIABLE = "PYTEST_PROXMOX_ORDER_SEED"
NAME = "pytest_proxmox.flaky.ordering"


def shuffled(nodeids: Sequence[str], seed: int) -> list[str]:
    """Return the tests in a random order that keeps each module's and each class's together.

    What is torn apart would make and unmake wide fixtures over and over.
    """
    draw = random.Random(seed)  # noqa: S311 - an order, not a secret
    tree: dict[str, Any] = {}
    for nodeid in nodeids:
        *groups, name = nodeid.split("::") if "[" not in nodeid else _split(nodeid)
        room = tree
        for group in groups:
            room = room.setdefault(group, {})
        room[name] = nodeid
    return _walk(tree, draw)


def _split(nodeid: str) -> list[str]:
    head, bracket, parameters = nodeid.partition("[")
    *groups, name = head.split("::")
    return [*groups, f"{name}{bracket}{parameters}"]


def _walk(room: dict[str, Any], draw: random.Random) -> list[str]:
    names = list(room)
    draw.shuffle(names)
    found: list[str] = []
    for name in names:
        below = room[name]
        found.extend(_walk(below, draw) if isinstance(below, dict) else [below])
    return found


class Ordering:
    """The hooks: ``task`` may have ``tests`` (these, in this order), ``seed`` and ``result``."""

    def __init__(self, task: dict[str, Any]) -> None:
        self._task = task
        self._collected: list[str] = []
        self._outcomes: dict[str, str] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Put the tests in order; leave out what was not asked for."""
        by_id = {item.nodeid: item for item in items}
        wanted = self._task.get("tests")
        if wanted is None and self._task.get("seed") is not None:
            wanted = shuffled(list(by_id), int(self._task["seed"]))
        if wanted is not None:
            kept = [by_id[nodeid] for nodeid in wanted if nodeid in by_id]
            names = set(wanted)
            left = [item for item in items if item.nodeid not in names]
            if left:
                config.hook.pytest_deselected(items=left)
            items[:] = kept
        self._collected = [item.nodeid for item in items]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: Sequence[str]) -> None:
        """Know the order of the workers, whose collection this process does not see."""
        self._collected = list(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how each test ended; an attempt that is tried again does not count."""
        before = self._outcomes.get(report.nodeid)
        if report.outcome == "failed":
            self._outcomes[report.nodeid] = "failed"
        elif before != "failed" and report.when == "call":
            self._outcomes[report.nodeid] = report.outcome
        elif before is None and report.outcome == "skipped":
            self._outcomes[report.nodeid] = "skipped"

    def pytest_sessionfinish(self) -> None:
        """Write down what happened."""
        told = {"collected": self._collected, "outcomes": self._outcomes}
        Path(self._task["result"]).write_text(json.dumps(told), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Read the task; without one this plugin does nothing."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    task = json.loads(Path(path).read_text(encoding="utf-8"))
    ordering = Ordering(task)
    if hasattr(config, "workerinput"):
        hook = ordering.pytest_collection_modifyitems
        config.pluginmanager.register(_WorkersPart(hook), "proxmox-ordering")
    else:
        config.pluginmanager.register(ordering, "proxmox-ordering")


class _WorkersPart:
    """What a worker does of it: the order. Its controller writes down."""

    def __init__(self, hook: Any) -> None:
        self._hook = hook

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Put the tests in order."""
        self._hook(config=config, items=items)
