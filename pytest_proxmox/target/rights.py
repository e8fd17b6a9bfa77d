"""Rights: the least that a sandbox's token needs, where it needs them, and what a token has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pytest_proxmox.target.calls import Calls

ROLE: Final = "PytestSandbox"
ZONE_PATH: Final = "/sdn/zones/localnetwork"  # the bridges of a node that uses no SDN
PRIVILEGES: Final = (
    "VM.Allocate",
    "VM.Audit",
    "VM.Clone",
    "VM.Config.Disk",
    "VM.Config.CPU",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.PowerMgmt",
    "VM.Snapshot",
    "VM.Snapshot.Rollback",
    "VM.Backup",
    "Datastore.AllocateSpace",
    "Datastore.Audit",
    "SDN.Use",
    "Pool.Audit",
    "Pool.Allocate",
)
"""One role with these, on the pool, the storages and the zone: tried on a real node (golden 14)."""

# What counts on which kind of path: a role with more there gives nothing that PVE would look at.
_ON_POOL: Final = tuple(name for name in PRIVILEGES if name.startswith(("VM.", "Pool.")))
_ON_STORAGE: Final = ("Datastore.AllocateSpace", "Datastore.Audit")
_ON_ZONE: Final = ("SDN.Use",)


@dataclass(frozen=True, slots=True)
class Missing:
    """A privilege that a sandbox needs and the token does not have on this path."""

    path: str
    privilege: str

    def __str__(self) -> str:
        return f"{self.privilege} on {self.path}"


@dataclass(frozen=True, slots=True)
class Rights:
    """What a user or token may do, by path, as PVE adds it up."""

    paths: Mapping[str, frozenset[str]]

    @classmethod
    def read(cls, calls: Calls) -> Rights:
        """Return the caller's own rights.

        Raises:
            ApiFailure: they cannot be read.
        Source: GET /access/permissions; golden 14 seq 11 and 18.
        """
        found: dict[str, dict[str, Any]] = calls.get("access/permissions") or {}
        return cls({path: frozenset(privileges) for path, privileges in found.items()})

    def on(self, path: str) -> frozenset[str]:
        """Return the privileges on a path: those of the nearest path above that has an entry."""
        while path not in self.paths and path not in ("", "/"):
            path = path.rpartition("/")[0] or "/"
        return self.paths.get(path, frozenset())

    def lacking(self, pool: str, storages: Iterable[str], *, network: bool) -> list[Missing]:
        """Return what a sandbox needs below this pool and is not there; ``network``: a bridge."""
        wanted = {f"/pool/{pool}": _ON_POOL}
        wanted |= {f"/storage/{storage}": _ON_STORAGE for storage in sorted(storages)}
        if network:
            wanted[ZONE_PATH] = _ON_ZONE
        return [
            Missing(path, privilege)
            for path, privileges in wanted.items()
            for privilege in privileges
            if privilege not in self.on(path)
        ]

    def excess(self, pool: str) -> dict[str, frozenset[str]]:
        """Return what reaches beyond the sandbox, by path: rights that a test could do harm with.

        Rights below the pool are the sandbox's own; on storages and zones those that only use
        them, and everywhere those that only look. What a path has from the one above it is not
        told again.
        """
        found: dict[str, frozenset[str]] = {}
        for path in sorted(self.paths):
            beyond = self.paths[path] - _harmless(path, pool, self.paths[path])
            told = (found[above] for above in found if above in ("/", path[: len(above)]))
            if more := beyond.difference(*told):
                found[path] = more
        return found


def _harmless(path: str, pool: str, privileges: frozenset[str]) -> frozenset[str]:
    is_ours = path == f"/pool/{pool}" or path.startswith((f"/pool/{pool}/", "/storage/", "/sdn/"))
    looking = frozenset(name for name in privileges if name.endswith(".Audit"))
    return looking | frozenset(PRIVILEGES) if is_ours else looking
