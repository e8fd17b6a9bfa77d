"""Leases as the Proxmox itself shows them: blocks of VMIDs, whose they are, what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_proxmox.sandbox.blocks import SKEW_S
from pytest_proxmox.sandbox.pools import PoolRow
from pytest_proxmox.target.calls import Calls


@dataclass(frozen=True, slots=True)
class Tenancy:
    """One lease's pool; ``expires`` is in seconds since the epoch, None where nobody says.

    ``guests`` are its members, e.g. ``lxc/9000 on pve``. Without ``run`` the pool's comment is
    not ours: a person made or changed it, and nothing is done with it.
    """

    poolid: str
    span: str
    run: str | None
    host: str | None
    expires: int | None
    guests: tuple[str, ...]

    def is_expired(self, now: float) -> bool:
        """Whether any machine's sweep may collect it."""
        return self.expires is not None and self.expires < now - SKEW_S

    def until(self, now: float) -> str:
        """Return how long it lasts, in words."""
        if self.expires is None:
            return "not a lease of ours"
        left_s = self.expires - now
        if left_s >= 0:
            return f"{left_s / 60:.0f} min"
        return "expired" if self.is_expired(now) else "expiring"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "pool": self.poolid,
            "vmids": self.span,
            "run": self.run,
            "host": self.host,
            "expires": self.expires,
            "guests": list(self.guests),
        }


def tenancies(calls: Calls, parent: str) -> list[Tenancy]:
    """Return the leases under the parent pool, on whichever machine, by VMID.

    Raises:
        ApiFailure: the pools cannot be read.
    """
    found = []
    for row in calls.get("pools"):
        if not str(row["poolid"]).startswith(f"{parent}/"):
            continue
        pool = PoolRow.parse(row["poolid"], row.get("comment") or "")
        if pool is not None and pool.lease is not None:
            found.append(_tenancy(calls, pool))
    return sorted(found, key=lambda one: (int(one.span.partition("-")[0]), one.poolid))


def _tenancy(calls: Calls, pool: PoolRow) -> Tenancy:
    rows = calls.get("pools", poolid=pool.poolid)
    members = [member for row in rows for member in row.get("members", ())]
    tenant = pool.tenant
    return Tenancy(
        pool.poolid,
        str(pool.span),
        None if tenant is None else tenant.run,
        None if tenant is None else tenant.host,
        None if tenant is None else tenant.expires,
        tuple(
            f"{one['type']}/{one['vmid']} on {one['node']}"
            for one in members
            if one.get("type") in ("lxc", "qemu")
        ),
    )
