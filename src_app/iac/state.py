"""What is generated from: the cluster as the database knows it, read once, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from src_app.db.models import VM, Container, Node, Storage
from src_app.db.repositories import LARGEST_PAGE, Repository, RepositoryFactory
from src_app.iac.properties import number, properties, size_bytes

MIB = 1024**2
GIB = 1024**3
VM_KIND, CONTAINER_KIND = "vm", "container"


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node."""

    name: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class GuestFacts:
    """A VM or container; ``config`` is what Proxmox lists of it, and may be empty."""

    kind: str
    vmid: int
    name: str
    node: str
    status: str = "stopped"
    cores: int = 1
    memory_bytes: int = 512 * MIB
    disk_bytes: int = 0
    is_template: bool = False
    tags: tuple[str, ...] = ()
    ostype: str | None = None
    unprivileged: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_running(self) -> bool:
        """Whether it is wanted running: a paused one is not stopped."""
        return self.status not in {"stopped", "shutdown", "unknown"} and not self.is_template

    @property
    def memory_mib(self) -> int:
        """Its memory; of a config that also lists what is current, the wanted one."""
        told = properties(self.config.get("memory", ""), "current").get("current")
        return number(told) or max(self.memory_bytes // MIB, 16)

    def numbered(self, *stems: str) -> list[tuple[str, str]]:
        """Return the config's ``net0``, ``net1`` … with their values, by stem and number."""
        found = []
        for key, value in self.config.items():
            stem = key.rstrip("0123456789")
            if stem in stems and stem != key:
                found.append((stems.index(stem), int(key[len(stem) :]), key, str(value)))
        return [(key, value) for _, _, key, value in sorted(found)]

    @property
    def disk_gib(self) -> int:
        """The size of its first disk in whole GiB, the last one begun."""
        return -(-self.disk_bytes // GIB)


@dataclass(frozen=True, slots=True)
class StorageFacts:
    """A storage of the cluster, and the nodes that see it."""

    name: str
    type: str
    content: tuple[str, ...] = ()
    shared: bool = False
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterState:
    """Everything that code is made of, sorted: the same rows give the same code."""

    nodes: tuple[NodeFacts, ...] = ()
    guests: tuple[GuestFacts, ...] = ()
    storages: tuple[StorageFacts, ...] = ()

    @classmethod
    def of(
        cls,
        nodes: Iterable[NodeFacts] = (),
        guests: Iterable[GuestFacts] = (),
        storages: Iterable[StorageFacts] = (),
    ) -> ClusterState:
        """Return the state, sorted."""
        return cls(
            tuple(sorted(nodes, key=lambda node: node.name)),
            tuple(sorted(guests, key=lambda guest: guest.vmid)),
            tuple(sorted(storages, key=lambda storage: storage.name)),
        )

    def kind(self, kind: str) -> tuple[GuestFacts, ...]:
        """Return the VMs or the containers."""
        return tuple(guest for guest in self.guests if guest.kind == kind)


def read_state(db: RepositoryFactory) -> ClusterState:
    """Return the cluster as the database knows it, without what was marked as removed."""
    guests = [_vm(row) for row in _present(db.vms)]
    guests += [_container(row) for row in _present(db.containers)]
    nodes = [NodeFacts(row.id, row.ip) for row in _present(db.nodes)]
    return ClusterState.of(nodes, guests, _storages(_present(db.storages)))


def _present(repository: Repository[Any]) -> list[Any]:
    rows: list[Any] = []
    page, more = 1, True
    while more:
        found = repository.find_many(page=page, limit=LARGEST_PAGE, where={"removed_at": None})
        rows += found.data
        page, more = page + 1, found.has_more
    return rows


def _vm(row: VM) -> GuestFacts:
    return GuestFacts(kind=VM_KIND, name=row.name, **_shared(row))


def _container(row: Container) -> GuestFacts:
    return GuestFacts(
        kind=CONTAINER_KIND,
        name=row.hostname,
        ostype=row.ostype,
        unprivileged=row.unprivileged,
        **_shared(row),
    )


def _shared(row: VM | Container) -> dict[str, Any]:
    return {
        "vmid": row.id,
        "node": row.node_id,
        "status": row.status,
        "cores": row.cores,
        "memory_bytes": row.memory_bytes,
        "disk_bytes": row.disk_bytes,
        "is_template": row.is_template,
        "tags": tuple(sorted({str(tag).lower() for tag in row.tags})),
        "config": dict(row.config),
    }


def _storages(rows: Iterable[Storage]) -> list[StorageFacts]:
    """Return one storage for all rows of one name: each node has a row of its own."""
    merged: dict[str, list[Storage]] = {}
    for row in rows:
        merged.setdefault(row.name, []).append(row)
    return [
        StorageFacts(
            name,
            same[0].type,
            tuple(sorted({str(word) for row in same for word in row.content} - {"none"})),
            any(row.shared for row in same),
            tuple(sorted(row.node_id for row in same)),
        )
        for name, same in merged.items()
    ]


def node_names(rows: Iterable[Node]) -> list[str]:
    """Return the names of nodes in their order."""
    return sorted(row.id for row in rows)


def disk_size_gib(value: str) -> int:
    """Return the size in a disk's property string in whole GiB, 0 where it tells none."""
    return -(-size_bytes(properties(value, "volume").get("size", "")) // GIB)
