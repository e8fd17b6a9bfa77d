"""Proxmox's values as types: parsed once at the edge, trusted inside.

Formats as PVE 9 documents and checks them (``pve-api/methods.json``, golden 02).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self, cast

from pytest_proxmox.errors import InvalidValue

GuestKind = Literal["lxc", "qemu"]

VMID_MIN = 100  # ids below are reserved by PVE
VMID_MAX = 999_999_999
BLOCK_SIZE = 10  # leases are taken in blocks of ten ids that start at a multiple of ten

# Texts, compiled at their first use: importing this module is part of every start of pytest.
_DIGITS = r"[0-9]{1,9}"
NODE_FORMAT = r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?"
_UPID = (
    r"UPID:(?P<node>[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)"
    r":(?P<pid>[0-9A-F]{8}):(?P<pstart>[0-9A-F]{8,9}):(?P<starttime>[0-9A-F]{8})"
    r":(?P<type>[^:\s]+):(?P<id>[^:\s]*):(?P<user>[^:\s]+):"
)
VOLID_FORMAT = r"(?P<storage>[a-zA-Z][a-zA-Z0-9_.-]*[a-zA-Z0-9]):(?P<name>\S+)"
_LEASE = r"n[0-9a-f]{12}"


class Vmid(int):
    """A guest's id, 100 to 999999999, the same cluster-wide for containers and VMs."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str | int, *, origin: str = "") -> Self:
        """Return the id written in ``text``.

        Raises:
            InvalidValue: not a whole number, or outside PVE's limits.
        """
        number = int(text) if re.fullmatch(_DIGITS, str(text)) else -1
        if not VMID_MIN <= number <= VMID_MAX:
            raise InvalidValue(
                f'"{text}" is not a VMID', origin=origin, hint=f"Use {VMID_MIN} to {VMID_MAX}"
            )
        return cls(number)


@dataclass(frozen=True, slots=True, order=True)
class VmidRange:
    """Ids from ``first`` to ``last``, both included; written ``9000-9999``."""

    first: Vmid
    last: Vmid

    @classmethod
    def parse(cls, text: str, *, origin: str = "") -> Self:
        """Return the range written as ``first-last``.

        Raises:
            InvalidValue: not two ids, or the first is above the last.
        """
        first, dash, last = text.strip().partition("-")
        if not dash:
            raise InvalidValue(
                f'VMID range "{text}" is not a range',
                origin=origin,
                hint="Write first-last, e.g. 9000-9099",
            )
        span = cls(Vmid.parse(first, origin=origin), Vmid.parse(last, origin=origin))
        if span.first > span.last:
            raise InvalidValue(
                f'VMID range "{text}" is empty',
                origin=origin,
                hint=f"Give the lower number first, e.g. {last}-{first}",
            )
        return span

    def __str__(self) -> str:
        return f"{int(self.first)}-{int(self.last)}"

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __iter__(self) -> Iterator[Vmid]:
        return map(Vmid, range(self.first, self.last + 1))

    def __contains__(self, vmid: object) -> bool:
        return isinstance(vmid, int) and self.first <= vmid <= self.last

    def blocks(self) -> Iterator[VmidRange]:
        """Yield the parts of this range that lie in one block of ten each, lowest first."""
        start = int(self.first)
        while start <= self.last:
            end = min(start - start % BLOCK_SIZE + BLOCK_SIZE - 1, int(self.last))
            yield VmidRange(Vmid(start), Vmid(end))
            start = end + 1


class NodeName(str):
    """The name of a cluster node, as ``GET /nodes`` lists it (not its DNS name)."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str, *, origin: str = "") -> Self:
        """Return the node name in ``text``.

        Raises:
            InvalidValue: empty, or with characters a node name cannot have.
        """
        if not re.fullmatch(NODE_FORMAT, text):
            raise InvalidValue(
                f'"{text}" is not a node name',
                origin=origin,
                hint="Use the short name that the Proxmox web page shows, e.g. pve",
            )
        return cls(text)


@dataclass(frozen=True, slots=True)
class GuestRef:
    """Where a guest is: its id, its kind and its node."""

    vmid: Vmid
    kind: GuestKind
    node: NodeName

    @property
    def path(self) -> str:
        """The guest's path below ``/api2/json``."""
        return f"/nodes/{self.node}/{self.kind}/{int(self.vmid)}"

    def __str__(self) -> str:
        return f"{self.kind}/{int(self.vmid)} on {self.node}"


@dataclass(frozen=True, slots=True)
class Upid:
    """A task's id: node, worker, start and what it does for whom.

    ``user`` has the token's name behind ``!`` where a token started the task.
    """

    node: NodeName
    pid: int
    pstart: int
    starttime: int
    type: str
    id: str
    user: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the task id written in ``text``.

        Raises:
            InvalidValue: not a UPID.
        """
        match = re.fullmatch(_UPID, text)
        if match is None:
            raise InvalidValue(f'"{text}" is not a UPID', hint="It starts with UPID:<node>:")
        pid, pstart, starttime = (int(match[name], 16) for name in ("pid", "pstart", "starttime"))
        return cls(
            NodeName(match["node"]),
            pid,
            pstart,
            starttime,
            match["type"],
            match["id"],
            match["user"],
        )

    def __str__(self) -> str:
        return (
            f"UPID:{self.node}:{self.pid:08X}:{self.pstart:08X}:{self.starttime:08X}"
            f":{self.type}:{self.id}:{self.user}:"
        )


@dataclass(frozen=True, slots=True, order=True)
class Volid:
    """A volume: the storage it lies on and its name there."""

    storage: str
    name: str

    @classmethod
    def parse(cls, text: str, *, origin: str = "") -> Self:
        """Return the volume id written as ``storage:name``.

        Raises:
            InvalidValue: no storage, no name, or white space.
        """
        match = re.fullmatch(VOLID_FORMAT, text)
        if match is None:
            raise InvalidValue(
                f'"{text}" is not a volume id',
                origin=origin,
                hint="Write storage:name, e.g. local:vztmpl/alpine.tar.xz",
            )
        return cls(match["storage"], match["name"])

    def __str__(self) -> str:
        return f"{self.storage}:{self.name}"


class LeaseId(str):
    """The nonce of one lease: ``n`` and twelve hexadecimal digits.

    It starts with a letter because each part of a pool's name must.
    """

    __slots__ = ()

    @classmethod
    def new(cls) -> Self:
        """Return an id that no other run has: 48 random bits."""
        return cls("n" + os.urandom(6).hex())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the lease id in ``text``.

        Raises:
            InvalidValue: not of that form.
        """
        if not re.fullmatch(_LEASE, text):
            raise InvalidValue(f'"{text}" is not a lease id', hint="It is n and 12 hex digits")
        return cls(text)


def parse_kind(text: str) -> GuestKind:
    """Return ``lxc`` or ``qemu``.

    Raises:
        InvalidValue: anything else.
    """
    if text not in ("lxc", "qemu"):
        raise InvalidValue(f'"{text}" is not a kind of guest', hint="Use lxc or qemu")
    return cast(GuestKind, text)
