"""What storages can do, and the volumes on them: names, sizes, features, allocation.

Abilities by type follow Proxmox's public storage documentation and golden 05, 06, 11 and 16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator.state import EMPTY, GIB, MIB, Storage, Volume
from pytest_proxmox.simulator.volume_index import VolumeIndex
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

KIB: Final = 1024
_UNITS: Final = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": 1024 * GIB}


@dataclass(frozen=True, slots=True)
class Ability:
    """What a storage type can do with a guest's disks.

    ``files``: disks are files below a path; ``snapshots`` and ``linked``: the raw format can be
    snapshotted, or cloned from a base; ``subvolume``: containers get a directory, not an image.
    """

    files: bool = False
    snapshots: bool = False
    linked: bool = False
    subvolume: bool = False


ABILITIES: Final[Mapping[str, Ability]] = {
    "dir": Ability(files=True),
    "nfs": Ability(files=True),
    "cifs": Ability(files=True),
    "cephfs": Ability(files=True),
    "btrfs": Ability(files=True, snapshots=True),
    "lvm": Ability(),
    "lvmthin": Ability(snapshots=True, linked=True),
    "zfspool": Ability(snapshots=True, linked=True, subvolume=True),
    "rbd": Ability(snapshots=True, linked=True),
}


def ability(storage: Storage) -> Ability:
    """Return what a storage can do; a type nobody described can do least."""
    return ABILITIES.get(storage.type, Ability(files=bool(storage.path)))


def parse_size(text: str | float) -> int:
    """Return a size as bytes: ``8G``, ``512M``, ``100`` (bytes).

    Raises:
        ValueError: not a size.
    """
    plain = str(text).strip()
    unit = plain[-1:].upper() if plain[-1:].upper() in _UNITS else ""
    return int(float(plain[: len(plain) - len(unit)]) * _UNITS[unit])


def print_size(size: int) -> str:
    """Return a size as configurations write it: the largest unit that divides it."""
    for unit in ("T", "G", "M", "K"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return str(size)


def gib_to_bytes(gib: str | float) -> int:
    """Return what ``local:0.1`` allocates: whole MiB (golden 03: 0.1 gives 102M)."""
    return int(float(gib) * 1024) * MIB


class Volumes:
    """The volumes of one simulator."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self._table = sim.state.volumes
        self._index = VolumeIndex()
        self._table.on_change = self._index.follow

    # --- storages ---------------------------------------------------------------------------

    def storage(self, name: str, *, node: str = "") -> Storage:
        """Return a storage that can be used on a node.

        Raises:
            PveError: it does not exist, is disabled, or is not there on that node.
        """
        storage = self._sim.state.storages.get(name)
        if storage is None:
            raise PveError(500, f"storage '{name}' does not exist")
        if storage.disabled:
            raise PveError(500, f"storage '{name}' is disabled")
        if node and not self.is_on(storage, node):
            raise PveError(500, f"storage '{name}' is not available on node '{node}'")
        return storage

    def is_on(self, storage: Storage, node: str) -> bool:
        """Return whether a storage is configured for a node."""
        nodes = str(storage.config.get("nodes", ""))
        return not nodes or node in nodes.split(",")

    def node_of(self, storage: Storage, node: str) -> str:
        """Return the node part of a volume's key: none where all nodes see the same."""
        return "" if storage.shared else node

    # --- volumes ----------------------------------------------------------------------------

    def find(self, volid: str, node: str) -> Volume | None:
        """Return a volume as seen from a node."""
        return self._table.get(("", volid)) or self._table.get((node, volid))

    def listing(self, storage: Storage, node: str) -> Iterator[Volume]:
        """Yield the volumes of a storage as seen from a node, by name."""
        place = self.node_of(storage, node)
        for key in self._index.on_storage(place, storage.name):
            yield self._table[key]

    def of_guest(self, vmid: int, node: str) -> list[Volume]:
        """Return the disks that belong to a guest, on every storage, by name."""
        found = [self._table[key] for key in self._index.of_guest(vmid) if key[0] in ("", node)]
        disks = [volume for volume in found if volume.content != "backup"]
        return sorted(disks, key=lambda volume: volume.volid)

    def put(self, volume: Volume) -> Volume:
        """Store a volume, new or changed."""
        self._table[volume.node, volume.volid] = volume
        return volume

    def drop(self, volume: Volume) -> None:
        """Remove a volume."""
        self._table.pop((volume.node, volume.volid))

    def free_name(self, storage: Storage, node: str, vmid: int, *, fmt: str, base: bool) -> str:
        """Return the first disk name of a guest that is not taken on a storage."""
        place = self.node_of(storage, node)
        taken = {
            _stem(volid.partition(":")[2])
            for where, volid in self._index.of_guest(vmid)
            if where == place and volid.partition(":")[0] == storage.name
        }
        names = (disk_name(storage, vmid, number, fmt, base=base) for number in count())
        return next(name for name in names if _stem(name) not in taken)

    def allocate(
        self,
        storage: Storage,
        node: str,
        vmid: int,
        size: int,
        *,
        content: str,
        fmt: str = "raw",
        used: int = 0,
        parent: str | None = None,
        base: bool = False,
        data: Mapping[str, Any] = EMPTY,
    ) -> Volume:
        """Make a new disk of a guest and return it.

        Raises:
            PveError: the storage is full.
        """
        _, avail = self.usage(storage, node)
        if used > avail or avail == 0:
            raise PveError(500, f"storage '{storage.name}' is full: no space left on device")
        name = self.free_name(storage, node, vmid, fmt=fmt, base=base)
        if parent is not None and ability(storage).files:
            name = f"{parent}/{name}"
        return self.put(
            Volume(
                f"{storage.name}:{name}",
                self.node_of(storage, node),
                content,
                fmt,
                size,
                used,
                vmid,
                int(self._sim.clock.now()),
                parent,
                data=data,
            )
        )

    def usage(self, storage: Storage, node: str) -> tuple[int, int]:
        """Return the used and the available bytes of a storage as seen from a node."""
        taken = self._index.used(self.node_of(storage, node), storage.name)
        base = storage.size - storage.avail if storage.avail is not None else 0
        used = storage.size if self._sim.faults.is_full(storage.name) else base + taken
        used = min(used, storage.size)
        return used, storage.size - used

    def path(self, volume: Volume) -> str:
        """Return where a volume lies on its node, as logs and volume details show it."""
        storage = self._sim.state.storages[volume.storage]
        folders = {"vztmpl": "template/cache", "iso": "template/iso", "backup": "dump"}
        if ability(storage).files or storage.path:
            kind, _, rest = volume.name.partition("/")
            if kind in folders:
                return f"{storage.path}/{folders[kind]}/{rest}"
            own = "/".join(
                volume.name.split("/")[-2:]
            )  # a linked clone's name begins with its base
            return f"{storage.path}/images/{own}"
        if storage.type == "zfspool":
            return f"/{storage.config.get('pool', 'rpool/data')}/{volume.name}"
        return f"/dev/{storage.config.get('vgname', storage.name)}/{volume.name}"

    def make_base(self, volume: Volume) -> Volume:
        """Rename a disk as a template's, and return it: ``vm-`` becomes ``base-``."""
        head, slash, tail = volume.name.rpartition("/")
        renamed = head + slash + tail.replace("vm-", "base-", 1)
        if tail.startswith("subvol-"):
            renamed = volume.name
        self.drop(volume)
        return self.put(replace(volume, volid=f"{volume.storage}:{renamed}"))

    def children(self, volume: Volume) -> list[Volume]:
        """Return the linked clones of a base volume."""
        found = self._index.children(volume.node, volume.storage, volume.name)
        return [self._table[key] for key in found]


def _stem(name: str) -> str:
    """Return what is the same of a disk and a base of one number: ``100-disk-0``."""
    return name.rpartition("/")[2].partition(".")[0].partition("-")[2]


def disk_name(storage: Storage, vmid: int, number: int, fmt: str, *, base: bool = False) -> str:
    """Return the name of a guest's disk of that number on that kind of storage."""
    if fmt == "subvol":
        stem = f"subvol-{vmid}-disk-{number}"
        return f"{vmid}/{stem}.subvol" if ability(storage).files else stem
    stem = f"{'base' if base else 'vm'}-{vmid}-disk-{number}"
    return f"{vmid}/{stem}.{fmt}" if ability(storage).files else stem
