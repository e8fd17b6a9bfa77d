"""The difference between the guests as they are wanted and as they are, as steps to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from src_app.db.models import WantedGuest
from src_app.db.store import Store
from src_app.proxmox.inventory import Seen, SeenGuest
from src_app.proxmox.lifecycle import GuestPlace, GuestSpec
from src_app.services.changing import ORDER, Step
from src_app.services.syncing import SyncReport

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Plan:
    """What /apply would do. ``conflicts`` cannot be done; ``drift`` happened outside."""

    steps: tuple[Step, ...] = ()
    conflicts: tuple[str, ...] = ()
    drift: Mapping[str, int] | None = None
    fulfilled: tuple[int, ...] = ()  # wanted gone, and gone

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.steps


def make_plan(store: Store, report: SyncReport) -> Plan:
    """Return the plan, from a dry run's report of the cluster as it is."""
    wanted = store.read(lambda db: db.wanted.find_many(limit=1000, order_by="vmid").data)
    steps: list[Step] = []
    conflicts: list[str] = []
    fulfilled: list[int] = []
    present = {guest.vmid: guest for guest in report.seen.guests}
    for row in wanted:
        guest = present.get(row.vmid)
        if guest is not None and guest.kind != row.kind:
            conflicts.append(
                f"{row.kind} {row.vmid} ({row.name}) is wanted, and {guest.kind} {guest.vmid} "
                f"({guest.name}) has its VMID"
            )
        elif row.absent and guest is None:
            fulfilled.append(row.vmid)
        elif guest is None:
            problem = _cannot_create(row, report.seen)
            steps += [] if problem else _creation(row)
            conflicts += [problem] if problem else []
        else:
            steps += _alteration(row, guest)
    steps.sort(key=lambda step: ORDER.index(step.action))
    drift = {name: count for name, count in report.counts().items() if name != "unchanged"}
    return Plan(tuple(steps), tuple(conflicts), drift, tuple(fulfilled))


def spec_of(row: WantedGuest) -> GuestSpec:
    """Return the spec that a wanted guest was asked for with."""
    known = {item.name for item in fields(GuestSpec)}
    values = {key: value for key, value in row.spec.items() if key in known}
    values["tags"] = tuple(values.get("tags", ()))
    return GuestSpec(**values)


def _cannot_create(row: WantedGuest, seen: Seen) -> str:
    online = sorted(node.name for node in seen.nodes if node.status == "online")
    if row.node in online:
        return ""
    told = ", ".join(online) or "none"
    return f"{row.kind} {row.vmid} ({row.name}) is wanted on {row.node}; online are: {told}"


def _creation(row: WantedGuest) -> list[Step]:
    place = GuestPlace("vm" if row.kind == "vm" else "container", row.node, row.vmid)
    steps = [Step("create", place, row.name, spec=spec_of(row))]
    if row.spec.get("started"):
        steps.append(Step("start", place, row.name))
    return steps


def _alteration(row: WantedGuest, guest: SeenGuest) -> list[Step]:
    place = GuestPlace(guest.kind, guest.node, guest.vmid)
    if row.absent:
        return [Step("delete", place, guest.name)]
    steps = []
    key = "name" if guest.kind == "vm" else "hostname"
    asked: dict[str, Any] = {"cores": row.spec.get("cores"), key: row.name or None,
                             "memory": row.spec.get("memory_mib")}  # fmt: skip
    now = {"cores": guest.cores, key: guest.name, "memory": guest.memory_bytes // MIB}
    was = {k: _told(guest, k, now) for k in asked}
    values = {k: v for k, v in asked.items() if v is not None and str(v) != str(was[k])}
    if values:
        steps.append(
            Step("configure", place, guest.name, values=values, was={k: was[k] for k in values})
        )
    started = row.spec.get("started")
    if started is not None and started != (guest.status == "running"):
        steps.append(Step("start" if started else "stop", place, guest.name))
    return steps


def _told(guest: SeenGuest, key: str, now: Mapping[str, Any]) -> Any:
    """Return a value as the config has it: a running VM shows the old one until it restarts."""
    return guest.config.get(key, now[key])
