"""Where faults reach into the simulator: around a request, and into a task."""

from __future__ import annotations

from pytest_proxmox.simulator.state import Task


class Faults:
    """The rules that are in force. Without a rule everything works."""

    def task_duration(self, task: Task, duration_s: float) -> float:
        """Return how long this task takes, in virtual seconds."""
        return duration_s

    def task_end(self, task: Task) -> str | None:
        """Return the exit status forced on this task, or None for its own."""
        return None
