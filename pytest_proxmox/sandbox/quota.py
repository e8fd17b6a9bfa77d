"""The quota: what one run may use of a Proxmox at a time; its workers wait for one another.

A guest counts from before its create until nothing is left of it. Who would wait for itself is
told at once: a test that needs more than the caps allow never gets it.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from pytest_proxmox.clock import Clock
from pytest_proxmox.errors import OverCap
from pytest_proxmox.sandbox.book import Book
from pytest_proxmox.sandbox.lease import Lease
from pytest_proxmox.spellings import NO_CAPS, Caps

MEMORY_MIB: Final = 512  # what PVE gives a guest that does not say
QUEUE_S: Final = 900.0  # the longest tests take 15 min
POLL_S: Final = 0.5

_DISK: Final = re.compile(r"(rootfs|mp\d+|(scsi|virtio|sata|ide)\d+|efidisk0)")
_NEW: Final = re.compile(r"[^:,]+:(\d+(?:\.\d+)?)(?:,|$)")  # storage:GiB, a disk to be made
_SIZE: Final = re.compile(r"\bsize=(\d+(?:\.\d+)?)([KMGT]?)")
_GIB: Final = {"": 1 / 2**30, "K": 1 / 2**20, "M": 1 / 2**10, "G": 1.0, "T": 2.0**10}


@dataclass(frozen=True, slots=True)
class Demand:
    """What one guest uses; its disks as far as they are known."""

    memory_mib: int = MEMORY_MIB
    disk_gib: float = 0.0

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Return what a create asks for, or what a configuration has."""
        memory = re.match(r"(?:current=)?(\d+)", str(settings.get("memory", MEMORY_MIB)))
        disks = [str(value) for key, value in settings.items() if _DISK.fullmatch(key)]
        return cls(int(memory[1]) if memory else MEMORY_MIB, sum(map(_gib, disks)))


def _gib(disk: str) -> float:
    if new := _NEW.match(disk):
        return float(new[1])
    size = _SIZE.search(disk)
    return float(size[1]) * _GIB[size[2]] if size else 0.0


@dataclass(frozen=True, slots=True)
class _Sum:
    guests: int = 0
    memory_mib: int = 0
    disk_gib: float = 0.0

    def plus(self, demand: Demand) -> _Sum:
        return _Sum(
            self.guests + 1, self.memory_mib + demand.memory_mib, self.disk_gib + demand.disk_gib
        )

    def exceeds(self, caps: Caps) -> str:
        """Which cap, and by how much, empty where all is well."""
        for name, wanted, cap, unit in (
            ("guests", self.guests, caps.guests, ""),
            ("memory", self.memory_mib, caps.memory_mib, " MiB"),
            ("disk", self.disk_gib, caps.disk_gib, " GiB"),
        ):
            if cap is not None and wanted > cap:
                return f"{name}: {wanted:g}{unit} are needed at a time, and the cap is {cap}{unit}"
        return ""


class Quota:
    """What the guests of each run use, in the ledger's file."""

    def __init__(self, book: Book, clock: Clock) -> None:
        self._book = book
        self._clock = clock

    def hold(self, lease: Lease, demand: Demand, caps: Caps) -> None:
        """Return once the guest fits under the caps; until its lease is released it counts.

        Raises:
            OverCap: what this worker itself holds leaves no room for it, or others did not make
                room in a quarter of an hour.
        """
        if caps == NO_CAPS:
            return
        start = self._clock.monotonic()
        while (over := self._take(lease, demand, caps)) != "":
            waited_s = self._clock.monotonic() - start
            if waited_s > QUEUE_S:
                raise OverCap(f"{over}; other workers made no room in {waited_s / 60:.0f} min")
            self._clock.sleep(POLL_S)

    def _take(self, lease: Lease, demand: Demand, caps: Caps) -> str:
        """Count the guest, or say which cap others' guests would take it over."""
        with self._book.writing() as db:
            mine = _sum(db, lease, "AND l.worker = ?", lease.worker)
            if over := mine.plus(demand).exceeds(caps):
                raise OverCap(over)
            if over := _sum(db, lease).plus(demand).exceeds(caps):
                return over
            db.execute(
                "INSERT OR REPLACE INTO demands (lease, memory_mib, disk_gib) VALUES (?, ?, ?)",
                (lease.id, demand.memory_mib, demand.disk_gib),
            )
        return ""


def _sum(db: sqlite3.Connection, lease: Lease, more: str = "", *values: str) -> _Sum:
    """What the other guests of the lease's run use on its target."""
    row = db.execute(
        "SELECT COUNT(*), COALESCE(SUM(d.memory_mib), 0), COALESCE(SUM(d.disk_gib), 0)"  # noqa: S608
        " FROM demands d JOIN leases l ON l.id = d.lease"
        f" WHERE l.run = ? AND l.target = ? AND l.state <> 'released' AND l.id <> ? {more}",
        (lease.run, lease.target, lease.id, *values),
    ).fetchone()
    return _Sum(*row)
