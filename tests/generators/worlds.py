"""Random worlds: guests whose disks, cards and secrets are known, and the rows made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from sqlalchemy.orm import Session

from src_app.db.models import VM, Container, Node, Storage

MIB = 2**20
GIB = 2**30
SECRET = "hunter2-5f4dcc3b"
STORAGE_TYPES = ("dir", "nfs", "cifs", "pbs", "zfspool", "lvm", "lvmthin", "rbd", "btrfs")
NODES = ("pve", "pve-2", "node3")

# What Proxmox's API may give as a name, and what no API gives but nothing may break on.
dns_names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
names = st.one_of(
    dns_names,
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=30),
    st.sampled_from(['${file("x")}', "%{if}", "{{ lookup('env', 'HOME') }}", 'a"b\\', "var.x"]),
)
tags = st.lists(
    st.from_regex(r"[a-z0-9_][a-z0-9_.+-]{0,8}", fullmatch=True), max_size=3, unique=True
)
storage_ids = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_.-]{0,8}[a-zA-Z0-9]", fullmatch=True)
addresses = st.integers(0, 0xFFFFFF).map(
    lambda n: f"BC:24:11:{n >> 16:02X}:{n >> 8 & 255:02X}:{n & 255:02X}"
)


@dataclass(frozen=True)
class Disk:
    """A disk, or a container's mount point."""

    key: str
    storage: str
    gib: int


@dataclass(frozen=True)
class Card:
    """A network card."""

    key: str
    bridge: str
    address: str


@dataclass(frozen=True)
class Guest:
    """A guest as the cluster has it."""

    kind: str
    vmid: int
    name: str
    node: str
    running: bool
    is_template: bool
    cores: int
    memory_mib: int
    tags: tuple[str, ...]
    disks: tuple[Disk, ...]
    cards: tuple[Card, ...]

    @property
    def config(self) -> dict[str, Any]:
        """What Proxmox lists of it, secrets included."""
        found: dict[str, Any] = {
            "cores": self.cores,
            "memory": str(self.memory_mib),
            "digest": "0" * 40,
            "description": f"password: {SECRET}",
            "cipassword": SECRET,
            "sshkeys": f"ssh-ed25519%20{SECRET}",
        }
        for disk in self.disks:
            where = ",mp=/srv" if disk.key.startswith("mp") else ""
            volume = f"{disk.storage}:vm-{self.vmid}-disk-0{where},size={disk.gib}G"
            found[disk.key] = volume
        for card in self.cards:
            name = f"name=eth{card.key[3:]},hwaddr=" if self.kind == "container" else "virtio="
            found[card.key] = f"{name}{card.address},bridge={card.bridge}"
        return found

    def listed(self) -> dict[str, Any]:
        """Return what Proxmox's list of a node's guests says of it."""
        return {
            "vmid": self.vmid,
            "name": self.name,
            "status": "running" if self.running else "stopped",
            "cpus": self.cores,
            "maxmem": self.memory_mib * MIB,
            "maxdisk": self.disks[0].gib * GIB if self.disks else 0,
            "tags": ";".join(self.tags),
            **({"template": 1} if self.is_template else {}),
        }

    def row(self) -> VM | Container:
        """Return the row that a sync makes of it."""
        shared = {
            "id": self.vmid,
            "status": "running" if self.running else "stopped",
            "cores": self.cores,
            "memory_bytes": self.memory_mib * MIB,
            "disk_bytes": self.disks[0].gib * GIB if self.disks else 0,
            "is_template": self.is_template,
            "tags": list(self.tags),
            "node_id": self.node,
            "config": self.config,
        }
        if self.kind == "vm":
            return VM(name=self.name, **shared)
        return Container(hostname=self.name or "ct", unprivileged=True, ostype="debian", **shared)


@dataclass(frozen=True)
class World:
    """A cluster."""

    guests: tuple[Guest, ...]
    storages: tuple[tuple[str, str, tuple[str, ...]], ...]

    def answers(self) -> dict[str, Any]:
        """Return what Proxmox answers to each request that a sync makes."""
        found: dict[str, Any] = {
            "/cluster/status": [],
            "/cluster/resources": [],
            "/nodes": [{"node": name, "status": "online", "maxcpu": 8} for name in NODES],
        }
        for node in NODES:
            for wire, kind in (("qemu", "vm"), ("lxc", "container")):
                here = [g for g in self.guests if (g.node, g.kind) == (node, kind)]
                found[f"/nodes/{node}/{wire}"] = [guest.listed() for guest in here]
                for guest in here:
                    key = "name" if kind == "vm" else "hostname"
                    config = {**guest.config, key: guest.name, "tags": guest.listed()["tags"]}
                    config |= {"template": 1} if guest.is_template else {}
                    found[f"/nodes/{node}/{wire}/{guest.vmid}/config"] = config
            found[f"/nodes/{node}/storage"] = [
                {"storage": name, "type": kind, "content": "images,backup", "active": 1}
                for name, kind, nodes in self.storages
                if node in nodes
            ]
        return found

    def rows(self) -> list[Any]:
        """Return all rows, parents first."""
        nodes = [Node(id=name, ip=f"10.0.0.{place}") for place, name in enumerate(NODES, 1)]
        storages = [
            Storage(name=name, type=kind, content=["images", "backup"], node_id=node)
            for name, kind, nodes in self.storages
            for node in nodes
        ]
        return [*nodes, *(guest.row() for guest in self.guests), *storages]


def _disks(kind: str) -> st.SearchStrategy[tuple[Disk, ...]]:
    keys = ["rootfs", "mp0", "mp3"] if kind == "container" else ["scsi0", "virtio1", "sata10"]
    disk = st.builds(
        Disk, st.sampled_from(keys), st.sampled_from(["local-lvm", "a_b"]), st.integers(1, 99)
    )
    unique = st.lists(disk, max_size=3, unique_by=lambda item: item.key)
    return unique.map(tuple)


def _cards() -> st.SearchStrategy[tuple[Card, ...]]:
    card = st.builds(
        Card,
        st.sampled_from(["net0", "net1", "net10"]),
        st.sampled_from(["vmbr0", "lan"]),
        addresses,
    )
    return st.lists(card, max_size=2, unique_by=lambda item: item.key).map(tuple)


@st.composite
def guests(draw: st.DrawFn, vmid: int, naming: st.SearchStrategy[str]) -> Guest:
    """A guest with that id."""
    kind = draw(st.sampled_from(["vm", "container"]))
    is_template = draw(st.booleans())
    return Guest(
        kind=kind,
        vmid=vmid,
        name=draw(naming) or ("" if kind == "vm" else "ct"),
        node=draw(st.sampled_from(NODES)),
        running=not is_template and draw(st.booleans()),
        is_template=is_template,
        cores=draw(st.integers(1, 64)),
        memory_mib=draw(st.integers(16, 65536)),
        tags=tuple(sorted(draw(tags))),
        disks=draw(_disks(kind)),
        cards=draw(_cards()),
    )


@st.composite
def worlds(
    draw: st.DrawFn, naming: st.SearchStrategy[str] = dns_names, last_vmid: int = 120
) -> World:
    """A cluster of a few guests and storages."""
    vmids = draw(st.lists(st.integers(100, last_vmid), max_size=3, unique=True))
    somewhere = st.sets(st.sampled_from(NODES), min_size=1).map(sorted).map(tuple)
    storage = st.tuples(storage_ids, st.sampled_from(STORAGE_TYPES), somewhere)
    return World(
        tuple(draw(guests(vmid, naming)) for vmid in vmids),
        tuple(draw(st.lists(storage, max_size=2, unique_by=lambda item: item[0]))),
    )


def store(session: Session, rows: Iterable[Any]) -> None:
    """Write rows; those that they refer to are there already."""
    session.add_all(rows)
    session.flush()
