"""Which volumes a storage, a guest and a base image have, without looking through all of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_proxmox.simulator.state import Volume

Key = tuple[str, str]  # node, or nothing where all nodes see the same; volid
Place = tuple[str, str]  # node, or nothing; storage


class VolumeIndex:
    """Follows every change of the table of volumes, those that a restore makes included."""

    def __init__(self) -> None:
        self._used: Counter[Place] = Counter()
        self._on: defaultdict[Place, set[Key]] = defaultdict(set)
        self._of: defaultdict[int | None, set[Key]] = defaultdict(set)
        self._below: defaultdict[tuple[Place, str], set[Key]] = defaultdict(set)

    def follow(self, key: Key, before: Volume | None, after: Volume | None) -> None:
        """Hear that a volume is there, has changed, or is gone."""
        if before is not None:
            place = (key[0], before.storage)
            self._used[place] -= before.used
            self._on[place].discard(key)
            self._of[before.vmid].discard(key)
            self._below[place, before.parent or ""].discard(key)
        if after is not None:
            place = (key[0], after.storage)
            self._used[place] += after.used
            self._on[place].add(key)
            self._of[after.vmid].add(key)
            if after.parent:
                self._below[place, after.parent].add(key)

    def used(self, node: str, storage: str) -> int:
        """Return the bytes that the volumes of a storage take."""
        return self._used[node, storage]

    def on_storage(self, node: str, storage: str) -> list[Key]:
        """Return the volumes of a storage, by name."""
        return sorted(self._on.get((node, storage), ()))

    def of_guest(self, vmid: int) -> list[Key]:
        """Return what belongs to a guest anywhere, by node and name."""
        return sorted(self._of.get(vmid, ()))

    def children(self, node: str, storage: str, name: str) -> Iterable[Key]:
        """Return the volumes that rest on a base."""
        return sorted(self._below.get(((node, storage), name), ()))
