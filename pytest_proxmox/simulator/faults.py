"""Where fault rules reach into the simulator: around a request, into a task, into conditions."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from pytest_proxmox.faults import FaultRule, FaultRules
from pytest_proxmox.simulator import wire
from pytest_proxmox.simulator.state import Task
from pytest_proxmox.simulator.wire import Answer, Delivery, PveError


class Faults(FaultRules):
    """The rules in force in one simulator. Without a rule everything works.

    ``on_change`` is called with a rule and whether it begins: a lock must show in the state.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_change: Callable[[FaultRule, bool], None] = lambda rule, begins: None

    def add(self, rule: FaultRule | None = None, /, **values: Any) -> str:
        """Put a rule in force and return its id."""
        name = super().add(rule, **values)
        self.on_change(self.rules()[-1], True)
        return name

    def remove(self, name: str) -> None:
        """End one rule."""
        ended = [rule for rule in self.rules() if rule.id == name]
        super().remove(name)
        for rule in ended:
            self.on_change(rule, False)

    def clear(self) -> None:
        """End all rules."""
        ended = self.rules()
        super().clear()
        for rule in ended:
            self.on_change(rule, False)

    # --- requests ---------------------------------------------------------------------------

    def before(self, fired: list[FaultRule], vmid: int | None) -> Answer | None:
        """Return the answer that a rule gives instead of the real one, or None."""
        for rule in fired:
            if rule.effect in ("error", "expired-ticket") and rule.phase == "before":
                return _error(rule, vmid)
            if rule.effect in ("drop", "hang") and rule.phase == "before":
                return _lost(rule)
        return None

    def after(self, fired: list[FaultRule], answer: Answer, vmid: int | None) -> Answer:
        """Return the answer as the rules let it arrive: late, cut off or replaced."""
        for rule in fired:
            if rule.effect == "latency":
                jitter = rule.jitter * random.random()  # noqa: S311 - a delay, not a secret
                delivery = Delivery(delay_s=rule.seconds + jitter)
                answer = Answer(answer.status, answer.reason, answer.headers, answer.body, delivery)
            elif rule.phase == "after" and rule.effect == "error":
                answer = _error(rule, vmid)
            elif rule.phase == "after" and rule.effect in ("drop", "hang"):
                answer = _lost(rule)
        return answer

    # --- tasks ------------------------------------------------------------------------------

    def task_duration(self, task: Task, duration_s: float) -> float:
        """Return how long this task takes, in virtual seconds."""
        if not self:
            return duration_s
        for rule in self.for_task(task.type, _vmid(task), "slow-task"):
            duration_s = rule.seconds
        return duration_s

    def task_end(self, task: Task) -> FaultRule | None:
        """Return the rule that decides how this task ends, or None."""
        if not self:
            return None
        effects = ("task-error", "task-warnings", "worker-killed")
        fired = self.for_task(task.type, _vmid(task), *effects)
        return fired[0] if fired else None

    # --- conditions -------------------------------------------------------------------------

    def is_offline(self, node: str) -> bool:
        """Return whether a node is cut off."""
        return bool(self) and any(rule.node == node for rule in self.conditions("node-offline"))

    def is_quorate(self) -> bool:
        """Return whether no rule takes the quorum away."""
        return not self.conditions("no-quorum")

    def is_full(self, storage: str) -> bool:
        """Return whether a storage must look full."""
        return any(rule.storage in ("", storage) for rule in self.conditions("storage-full"))

    def leaves_disk(self, vmid: int) -> bool:
        """Return whether destroying a guest must leave a disk behind."""
        return any(rule.vmid in (None, vmid) for rule in self.conditions("disk-left-behind"))


def _vmid(task: Task) -> int | None:
    return int(task.id) if task.id.isdigit() else None


def _error(rule: FaultRule, vmid: int | None) -> Answer:
    if rule.effect == "expired-ticket":
        return wire.bare(401, "Authentication failed!")
    status, text = rule.message(vmid=vmid)
    if status == 401 or status >= 595:
        return wire.bare(status, text)  # neither has a body (golden README, points 5 and 9)
    return wire.failure(PveError(status, text), extjs=False)


def _lost(rule: FaultRule) -> Answer:
    hang = rule.effect == "hang"
    return Answer(0, "", delivery=Delivery(drop=not hang, hang=hang))
