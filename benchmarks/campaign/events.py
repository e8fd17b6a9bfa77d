"""Events: what can happen to a process or to the Proxmox at one call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

Sort = Literal["error", "signal", "fault", "condition", "rival", "death", "kill"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens.

    ``error`` and ``signal`` end a test, ``death`` a process as far as it can be told here, and
    ``kill`` a real one. ``fault`` and ``condition`` are rules of the embedded Proxmox: one call
    or task, or a while. A ``rival`` is somebody else who takes the VMID.
    """

    name: str
    sort: Sort
    rule: dict[str, Any] = field(default_factory=dict)


EVENTS: Final = (
    Event("test fails", "error"),
    Event("Ctrl-C", "error"),
    Event("SIGTERM", "signal"),
    Event("SIGHUP", "signal"),
    Event("SIGKILL", "kill"),
    Event("os._exit", "kill"),
    Event("process dies", "death"),
    Event("machine lost", "death"),
    Event("dropped before", "fault", {"effect": "drop", "phase": "before"}),
    Event("dropped after", "fault", {"effect": "drop", "phase": "after"}),
    Event("596 after", "fault", {"effect": "error", "error": "timed-out", "phase": "after"}),
    Event("lock timeout", "fault", {"effect": "error", "error": "config-lock"}),
    Event("login expired", "fault", {"effect": "expired-ticket"}),
    Event("slow task", "fault", {"effect": "slow-task", "seconds": 45}),
    Event("task WARNINGS", "fault", {"effect": "task-warnings", "text": "WARNINGS: 1"}),
    Event("task killed", "fault", {"effect": "worker-killed"}),
    Event("node offline", "condition", {"effect": "node-offline"}),
    Event("no quorum", "condition", {"effect": "no-quorum"}),
    Event("VMID taken", "rival"),
)
BY_NAME: Final = {event.name: event for event in EVENTS}
