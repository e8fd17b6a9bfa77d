"""Fault rules as data: what goes wrong, for which requests or tasks, how often.

The simulator and the gateway read the same rules. Texts and statuses are those that real nodes
give; ``CATALOGUE`` names them.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

from pytest_proxmox.errors import InvalidValue

# name -> status and reason phrase; ``{vmid}``, ``{storage}`` and ``{node}`` are filled in
CATALOGUE: Final[Mapping[str, tuple[int, str]]] = {
    "config-lock": (500, "can't lock file '/run/lock/lxc/pve-config-{vmid}.lock' - got timeout"),
    "storage-lock": (
        500,
        "can't lock file '/var/lock/pve-manager/pve-storage-{storage}' - got timeout",
    ),
    "cfs-lock": (500, "cfs-lock 'storage-{storage}' error: got lock request timeout"),
    "no-quorum": (500, "cluster not ready - no quorum?"),
    "not-online": (500, "pve cluster filesystem not online."),
    "no-worker": (500, "got no worker upid - start worker failed"),
    "modified": (500, "detected modified configuration - file changed by other user? Try again."),
    "storage-offline": (500, "storage '{storage}' is not online"),
    "hostname": (
        500,
        "hostname lookup '{node}' failed - failed to get address info for: {node}:"
        " Name or service not known",
    ),
    "no-route": (595, "No route to host"),
    "refused": (595, "Connection refused"),
    "timed-out": (596, "Connection timed out"),
    "broken-pipe": (596, "Broken pipe"),
    "redirections": (599, "Too many redirections"),
    "unauthorized": (401, "Authentication failed!"),
    "forbidden": (403, "Permission check failed"),
}
REQUEST_EFFECTS: Final = ("error", "drop", "hang", "latency", "expired-ticket")
TASK_EFFECTS: Final = ("slow-task", "task-warnings", "task-error", "worker-killed")
CONDITIONS: Final = (
    "node-offline",
    "no-quorum",
    "storage-full",
    "lock-held",
    "disk-left-behind",
)
EFFECTS: Final = (*REQUEST_EFFECTS, *TASK_EFFECTS, *CONDITIONS)
PHASES: Final = ("before", "after")
_NUMBER: Final = (int, float)
_WHOLE: Final = (int, type(None))
_KINDS: Final[Mapping[str, type | tuple[type, ...]]] = {  # of a rule's values that are no texts
    "vmid": _WHOLE,
    "nth": _WHOLE,
    "times": _WHOLE,
    "status": _WHOLE,
    "seed": int,
    "probability": _NUMBER,
    "seconds": _NUMBER,
    "jitter": _NUMBER,
}


def _kind(name: str) -> str:
    kind = _KINDS.get(name, str)
    return "a text" if kind is str else "a number" if kind is _NUMBER else "a whole number"


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One rule. Empty fields match everything.

    ``path`` is a pattern below ``/api2/json``: ``*`` stands for one segment, ``**`` for any
    number. ``task`` is a pattern for a task's type. ``nth`` picks one matching event, counted
    from 1; ``times`` ends the rule after that many faults. ``phase`` says whether a dropped or
    failed request had its effect (``after``) or not (``before``). ``seconds`` is a latency or a
    task's length, ``jitter`` what is added to a latency at random.
    """

    effect: str
    method: str = ""
    path: str = ""
    vmid: int | None = None
    task: str = ""
    nth: int | None = None
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    phase: str = "before"
    error: str = ""
    status: int | None = None
    text: str = ""
    seconds: float = 0.0
    jitter: float = 0.0
    node: str = ""
    storage: str = ""
    lock: str = "backup"
    id: str = field(default="", compare=False)

    @classmethod
    def parse(cls, data: Mapping[str, Any], *, origin: str = "fault rule") -> Self:
        """Return the rule that a mapping describes.

        Raises:
            InvalidValue: an unknown key, effect, phase or error name, or a wrong number.
        """
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(data) - known)
        if unknown:
            raise InvalidValue(
                f'fault rule has an unknown key "{unknown[0]}"',
                origin=origin,
                hint=f"Known are {', '.join(sorted(known))}",
            )
        if "effect" not in data:
            raise InvalidValue(
                "fault rule has no effect", origin=origin, hint=f"One of {', '.join(EFFECTS)}"
            )
        for name, value in data.items():
            if not isinstance(value, _KINDS.get(name, str)) or isinstance(value, bool):
                raise InvalidValue(
                    f"fault rule: {name} {value!r} is of the wrong kind",
                    origin=origin,
                    hint=f"Give it {_kind(name)}",
                )
        rule = cls(**data)
        rule.check(origin)
        return rule

    def check(self, origin: str) -> None:
        """Refuse values that make no sense.

        Raises:
            InvalidValue: says which.
        """
        for name, value, allowed in (
            ("effect", self.effect, EFFECTS),
            ("phase", self.phase, PHASES),
            ("error", self.error or "no-quorum", CATALOGUE),
        ):
            if value not in allowed:
                raise InvalidValue(
                    f'fault rule: {name} "{value}" is not known',
                    origin=origin,
                    hint=f"One of {', '.join(allowed)}",
                )
        if not 0 <= self.probability <= 1:
            raise InvalidValue(
                f"fault rule: probability {self.probability} is not between 0 and 1",
                origin=origin,
                hint="Give a number such as 0.25, or leave it out to let each event fail",
            )
        for name, count in (("nth", self.nth), ("times", self.times)):
            if count is not None and count < 1:
                raise InvalidValue(
                    f"fault rule: {name} {count} is below 1",
                    origin=origin,
                    hint="Give 1 or more, or leave it out",
                )

    def to_json(self) -> dict[str, Any]:
        """Return the rule as plain values, without what has its default."""
        found = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if value != f.default:
                found[f.name] = value
        return found

    def message(self, *, vmid: int | None = None) -> tuple[int, str]:
        """Return the status and the text of an ``error`` effect."""
        status, text = CATALOGUE.get(self.error, (self.status or 500, self.text))
        if self.error and self.text:
            text = self.text
        filled = text.replace("{vmid}", str(vmid or self.vmid or 100))
        filled = filled.replace("{storage}", self.storage or "local")
        return self.status or status, filled.replace("{node}", self.node or "pve")


def path_pattern(pattern: str) -> re.Pattern[str]:
    """Return what a path pattern matches: ``*`` one segment, ``**`` any number of them."""
    parts = []
    for part in pattern.strip("/").split("/"):
        parts.append(".*" if part == "**" else re.escape(part).replace(r"\*", "[^/]*"))
    return re.compile("/" + "/".join(parts))


_VMID_IN_PATH: Final = re.compile(r"/(?:lxc|qemu)/(\d+)(?:/|$)")


def vmid_of(path: str) -> int | None:
    """Return the VMID in a path, or None."""
    match = _VMID_IN_PATH.search(path)
    return int(match[1]) if match else None


class _Armed:
    """A rule with how often it matched and fired."""

    def __init__(self, rule: FaultRule) -> None:
        self.rule = rule
        self.matched = 0
        self.fired = 0
        self._path = path_pattern(rule.path) if rule.path else None
        self._task = re.compile(re.escape(rule.task).replace(r"\*", ".*")) if rule.task else None
        self._random = random.Random(rule.seed)  # noqa: S311 - faults, not secrets

    def hits_request(self, method: str, path: str, vmid: int | None) -> bool:
        rule = self.rule
        if rule.method and rule.method.upper() != method:
            return False
        if self._path is not None and not self._path.fullmatch(path):
            return False
        return rule.vmid in (None, vmid) and self._draw()

    def hits_task(self, kind: str, vmid: int | None) -> bool:
        if self._task is not None and not self._task.fullmatch(kind):
            return False
        return self.rule.vmid in (None, vmid) and self._draw()

    def _draw(self) -> bool:
        """Count a match and say whether the rule fires at it."""
        self.matched += 1
        rule = self.rule
        if rule.nth is not None and self.matched != rule.nth:
            return False
        if rule.times is not None and self.fired >= rule.times:
            return False
        if rule.probability < 1 and self._random.random() >= rule.probability:
            return False
        self.fired += 1
        return True


class FaultRules:
    """The rules in force, from any thread.

    ``fail``, ``drop``, … are short for ``add`` with that effect; each returns the rule's id.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: dict[str, _Armed] = {}
        self._count = 0

    def add(self, rule: FaultRule | None = None, /, **values: Any) -> str:
        """Put a rule in force and return its id.

        Raises:
            InvalidValue: a value of the rule is wrong.
        """
        given = rule.to_json() if rule is not None else values
        with self._lock:
            self._count += 1
            name = str(given.get("id") or f"fault-{self._count}")
            self._armed[name] = _Armed(FaultRule.parse({**given, "id": name}))
        return name

    def remove(self, name: str) -> None:
        """End one rule.

        Raises:
            KeyError: there is none of that id.
        """
        with self._lock:
            del self._armed[name]

    def clear(self) -> None:
        """End all rules."""
        with self._lock:
            self._armed.clear()

    def rules(self) -> list[FaultRule]:
        """Return the rules in force, the oldest first."""
        with self._lock:
            return [armed.rule for armed in self._armed.values()]

    def fired(self, name: str) -> int:
        """Return how often a rule fired.

        Raises:
            KeyError: there is none of that id.
        """
        with self._lock:
            return self._armed[name].fired

    def __bool__(self) -> bool:
        return bool(self._armed)

    # --- what a simulator or a gateway asks -------------------------------------------------

    def for_request(self, method: str, path: str) -> list[FaultRule]:
        """Return the rules that fire at this request; asking counts as the request."""
        vmid = vmid_of(path)
        return self._firing(REQUEST_EFFECTS, lambda a: a.hits_request(method, path, vmid))

    def for_task(self, kind: str, vmid: int | None, *effects: str) -> list[FaultRule]:
        """Return the rules with one of these effects that fire at this task."""
        return self._firing(effects, lambda a: a.hits_task(kind, vmid))

    def _firing(self, effects: tuple[str, ...], hits: Callable[[_Armed], bool]) -> list[FaultRule]:
        if not self._armed:
            return []
        with self._lock:
            return [a.rule for a in self._armed.values() if a.rule.effect in effects and hits(a)]

    def conditions(self, effect: str) -> list[FaultRule]:
        """Return the rules that make a condition hold, e.g. ``node-offline``."""
        if not self._armed:
            return []
        with self._lock:
            return [a.rule for a in self._armed.values() if a.rule.effect == effect]

    # --- short forms ------------------------------------------------------------------------

    def fail(self, method: str = "", path: str = "", *, error: str = "", **more: Any) -> str:
        """Answer with an error: a name of the catalogue, or ``status`` and ``text``."""
        return self.add(effect="error", method=method, path=path, error=error, **more)

    def drop(self, method: str = "", path: str = "", *, phase: str = "before", **more: Any) -> str:
        """Cut the connection, before the effect or after it."""
        return self.add(effect="drop", method=method, path=path, phase=phase, **more)

    def hang(self, method: str = "", path: str = "", **more: Any) -> str:
        """Never answer."""
        return self.add(effect="hang", method=method, path=path, **more)

    def delay(self, seconds: float, method: str = "", path: str = "", **more: Any) -> str:
        """Answer late, by real seconds."""
        return self.add(effect="latency", seconds=seconds, method=method, path=path, **more)

    def slow_task(self, task: str, seconds: float, **more: Any) -> str:
        """Make tasks of a type take that many virtual seconds."""
        return self.add(effect="slow-task", task=task, seconds=seconds, **more)

    def end_task(self, task: str, text: str, **more: Any) -> str:
        """Make tasks of a type end with an error text, their effect undone."""
        return self.add(effect="task-error", task=task, text=text, **more)

    def warn_task(self, task: str, text: str = "WARN: something is odd", **more: Any) -> str:
        """Make tasks of a type end with ``WARNINGS: 1``, their effect done."""
        return self.add(effect="task-warnings", task=task, text=text, **more)

    def kill_worker(self, task: str, **more: Any) -> str:
        """Kill the workers of a type: ``unexpected status``, locks and volumes stay."""
        return self.add(effect="worker-killed", task=task, **more)
