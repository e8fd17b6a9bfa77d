"""Pools: what a run's hold on the cluster is called, and what its comments say.

``pytest`` / block ``b9000-9009`` / lease ``n0123456789ab``: three levels, which is PVE's limit,
and each part starts with a letter, which is PVE's rule.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

from pytest_proxmox.values import BLOCK_SIZE, VMID_MAX, VMID_MIN, LeaseId, Vmid, VmidRange

ANYWHERE: Final = VmidRange(Vmid(VMID_MIN), Vmid(VMID_MAX))  # what a sweep looks at

_TENANT = re.compile(
    r"pytest-proxmox run=(?P<run>\S+) host=(?P<host>\S+) lease=(?P<lease>n[0-9a-f]{12})"
    r" expires=(?P<expires>\d+)"
)
_POOL = re.compile(r"(?P<parent>[^/]+)/b(?P<first>\d+)-(?P<last>\d+)(/(?P<lease>n[0-9a-f]{12}))?")


@dataclass(frozen=True, slots=True)
class Tenant:
    """Who holds a block and until when, in seconds since the epoch by the holder's clock."""

    run: str
    host: str
    lease: LeaseId
    expires: int

    @classmethod
    def parse(cls, comment: str) -> Self | None:
        """Return the tenant that a pool's comment names, None for anybody else's comment."""
        match = _TENANT.fullmatch(comment.strip())
        if match is None:
            return None
        return cls(match["run"], match["host"], LeaseId(match["lease"]), int(match["expires"]))

    def render(self) -> str:
        """Return the comment that names the tenant."""
        return (
            f"pytest-proxmox run={self.run} host={self.host}"
            f" lease={self.lease} expires={self.expires}"
        )


@dataclass(frozen=True, slots=True)
class PoolRow:
    """A block's pool, or with ``lease`` a lease's pool in it."""

    poolid: str
    span: VmidRange
    lease: LeaseId | None
    tenant: Tenant | None

    @classmethod
    def parse(cls, poolid: str, comment: str) -> Self | None:
        """Return what a pool stands for, None if it is neither block nor lease."""
        match = _POOL.fullmatch(poolid)
        if match is None:
            return None
        span = VmidRange(Vmid(int(match["first"])), Vmid(int(match["last"])))
        lease = None if match["lease"] is None else LeaseId(match["lease"])
        return cls(poolid, span, lease, Tenant.parse(comment))


def block_of(vmid: int) -> VmidRange:
    """Return the whole block of ten that a VMID is in, whatever the range says."""
    first = vmid - vmid % BLOCK_SIZE
    return VmidRange(Vmid(first), Vmid(min(first + BLOCK_SIZE - 1, VMID_MAX)))


def block_pool(parent: str, span: VmidRange) -> str:
    """Return the name of a block's pool."""
    return f"{parent}/b{span}"


def lease_pool(parent: str, span: VmidRange, lease: LeaseId) -> str:
    """Return the name of a lease's pool in its block."""
    return f"{block_pool(parent, span)}/{lease}"


def successor(lease: LeaseId) -> LeaseId:
    """Return the id of the lease that takes over from an expired one.

    Everybody who wants to take over comes to the same name, so making that pool decides who
    does: two of them cannot both succeed.
    """
    return LeaseId("n" + hashlib.sha256(lease.encode()).hexdigest()[:12])
