"""A comparison: one contract script on a node and on its twin, answer by answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from pytest_proxmox.errors import TaskTimeout
from pytest_proxmox.target import tasks
from pytest_proxmox.target.likeness import Heard, unlikeness

if TYPE_CHECKING:
    from pytest_proxmox.cli.contract import Script, Step
    from pytest_proxmox.clock import Clock
    from pytest_proxmox.target.calls import Api

TASK_S: Final = 300.0  # a backup on a slow storage; a node that is stuck longer is the finding
PREFIX: Final = "/api2/json"
# A VM's own random numbers, and the versions and the time that it was made with.
_ITS_OWN: Final = frozenset({"smbios1", "vmgenid", "meta", "running-machine", "running-qemu"})

Forward = Callable[[str, str, Mapping[str, str], bytes], tuple[int, str, Any, bytes]]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the embedded Proxmox answers otherwise: ``depth`` is status, reason, body or task."""

    script: str
    step: str
    call: str
    depth: str
    what: str


@dataclass
class Side:
    """One of the two: the way to it, and the names of what a script made there."""

    forward: Forward
    api: Api
    clock: Clock
    names: dict[str, str] = field(default_factory=dict)

    def ask(self, step: Step) -> Heard:
        """Return its answer to a step; none is an answer too."""
        path = step.path.format_map({key: quote(text) for key, text in self.names.items()})
        filled = {key: text.format_map(self.names) for key, text in step.params.items()}
        query = urlencode({key: text for key, text in filled.items() if text})
        target, headers, body = PREFIX + path, {}, b""
        if step.method in ("GET", "DELETE"):
            target += f"?{query}" if query else ""
        else:
            headers, body = {"content-type": "application/x-www-form-urlencoded"}, query.encode()
        try:
            status, reason, _, raw = self.forward(step.method, target, headers, body)
        except (ConnectionError, TimeoutError) as exc:
            return Heard(0, f"{type(exc).__name__}", None)
        heard = Heard(status, reason, _parsed(raw))
        if step.keep:
            self.names[step.keep] = _first_volid(heard)
        return heard

    def ending(self, upid: str) -> str:
        """Return how a task ended, once it has."""
        try:
            outcome = tasks.wait(self.api, upid, timeout_s=TASK_S, clock=self.clock)
        except TaskTimeout:
            return f"still running after {TASK_S:.0f} s"
        return outcome.exitstatus or "no last word"


def compare(
    script: Script, node: Side, twin: Side, *, tell: Callable[[str], object]
) -> Iterator[Difference]:
    """Yield each difference, in the order of the steps; ``tell`` is given each step before it."""
    vmids = {node.names["vmid"], node.names["second"]}
    for step in script.steps:
        tell(f"{script.name}: {step.what}")
        call = f"{step.method} {step.path.format_map({**node.names, 'backup': '…'})}"
        theirs, ours = node.ask(step), twin.ask(step)
        found = unlikeness(_stable(theirs), _stable(ours), vmids)
        if found is not None:
            yield Difference(script.name, step.what, call, *found)
        # Each waits for its own task, also where the other gave none: the next step needs it ended.
        endings = [
            "" if upid is None else side.ending(upid)
            for side, upid in ((node, _upid(theirs)), (twin, _upid(ours)))
        ]
        if all(endings) and _ended(endings[0], node) != _ended(endings[1], twin):
            what = f"{endings[1]!r} for {endings[0]!r}"
            yield Difference(script.name, step.what, call, "task", what)


def _ended(ending: str, side: Side) -> str:
    """An exit status without what only this side calls so."""
    return ending.replace(side.names.get("backup") or "\0", "BACKUP")


def _upid(heard: Heard) -> str | None:
    data = heard.body.get("data") if isinstance(heard.body, dict) else None
    return data if isinstance(data, str) and data.startswith("UPID:") else None


def _first_volid(heard: Heard) -> str:
    data = heard.body.get("data") if isinstance(heard.body, dict) else None
    rows = data if isinstance(data, list) else []
    return next((str(row["volid"]) for row in rows if "volid" in row), "none")


def _stable(heard: Heard) -> Heard:
    return Heard(heard.status, heard.reason, _without_its_own(heard.body))


def _without_its_own(body: Any) -> Any:
    if isinstance(body, list):
        return [_without_its_own(one) for one in body if not _is_its_own(one)]
    if not isinstance(body, dict):
        return body
    return {key: "…" if key in _ITS_OWN else _without_its_own(value) for key, value in body.items()}


def _is_its_own(row: Any) -> bool:
    """Whether it is a row of ``pending`` about such a field."""
    return isinstance(row, dict) and row.get("key") in (*_ITS_OWN, "digest")


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
