"""The baseline: what a run found on the target before it did anything there.

Clocks of two machines differ, so "started after our run began" is not a matter of time: a task
is after the baseline if the node started it after the newest task that the run found there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self

from pytest_proxmox.values import NodeName, Upid


@dataclass(frozen=True, slots=True)
class Baseline:
    """For each node that was online, its newest tasks: all that started in the last second."""

    newest: dict[NodeName, tuple[Upid, ...]]

    @classmethod
    def of(cls, tasks: dict[NodeName, list[Upid]]) -> Self:
        """Return the baseline of nodes with these tasks on their lists."""
        return cls({node: _newest(found) for node, found in tasks.items()})

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what ``render`` wrote."""
        return cls(
            {
                NodeName(node): tuple(Upid.parse(upid) for upid in upids)
                for node, upids in json.loads(text).items()
            }
        )

    def render(self) -> str:
        """Return the baseline as text."""
        return json.dumps(
            {node: [str(upid) for upid in found] for node, found in self.newest.items()}
        )

    def is_before(self, task: Upid) -> bool:
        """Whether the task started after the run had looked; no for a node it did not see."""
        known = self.newest.get(task.node)
        if known is None:
            return False
        if not known:
            return True
        return task.starttime > known[0].starttime or (
            task.starttime == known[0].starttime and task not in known
        )


def _newest(tasks: list[Upid]) -> tuple[Upid, ...]:
    last = max((task.starttime for task in tasks), default=0)
    return tuple(task for task in tasks if task.starttime == last)
