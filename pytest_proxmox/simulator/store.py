"""The simulator's state: tables of frozen values, with snapshots that cost what changed.

The live tables are plain dictionaries, so a read costs nothing extra. Each snapshot is a node
that holds the difference to its neighbour on the way to the live tables. Restoring applies the
differences along that way and turns them round, so any snapshot stays reachable from any other
(Baker's rerooting of persistent arrays). The cost follows what was changed since, never how much
there is: ten guests or ten thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_ABSENT: Final = object()
_Diff = dict[tuple[str, Any], Any]


class Table(dict[K, V], Generic[K, V]):
    """A dictionary whose changes its store can take back. Values must be immutable.

    ``version`` grows with every change, taken back or not: what was made from a table is still
    good while its version is the same. ``on_change`` is told each change: the key, what was
    there, what is there now; None stands for nothing.
    """

    __slots__ = ("_name", "_store", "on_change", "version")

    def __init__(self, name: str, store: Store) -> None:
        super().__init__()
        self._name = name
        self._store = store
        self.version = 0
        self.on_change: Callable[[K, V | None, V | None], None] | None = None

    def __setitem__(self, key: K, value: V) -> None:
        before = self.get(key, _ABSENT)
        self._store.note(self._name, key, before)
        self.version += 1
        dict.__setitem__(self, key, value)
        if self.on_change is not None:
            self.on_change(key, _or_none(before), value)

    def __delitem__(self, key: K) -> None:
        before = self[key]
        self._store.note(self._name, key, before)
        self.version += 1
        super().__delitem__(key)
        if self.on_change is not None:
            self.on_change(key, before, None)

    def pop(self, key: K, default: Any = None) -> Any:
        """Remove ``key`` and return its value, or ``default`` where it is not there."""
        if key not in self:
            return default
        value = self[key]
        del self[key]
        return value

    def replace_all(self, values: Mapping[K, V]) -> None:
        """Make the table hold exactly ``values``."""
        for key in [key for key in self if key not in values]:
            del self[key]
        for key, value in values.items():
            self[key] = value

    def put_back(self, key: K, value: Any) -> Any:
        """Set or remove without noting it; return what was there. For the store only."""
        before = self.get(key, _ABSENT)
        self.version += 1
        if value is _ABSENT:
            super().pop(key, None)
        else:
            super().__setitem__(key, value)
        if self.on_change is not None:
            self.on_change(key, _or_none(before), _or_none(value))
        return before


def _or_none(value: Any) -> Any:
    return None if value is _ABSENT else value


class _Snapshot:
    """One remembered state: ``diff`` leads from ``next`` (None: the live tables) to it."""

    __slots__ = ("diff", "next")

    def __init__(self) -> None:
        self.diff: _Diff = {}
        self.next: _Snapshot | None = None


class Store:
    """Named tables and the snapshots of all of them together."""

    def __init__(self) -> None:
        self._tables: dict[str, Table[Any, Any]] = {}
        self._snapshots: dict[str, _Snapshot] = {}
        self._newest: _Snapshot | None = None
        self._count = 0

    def table(self, name: str) -> Table[Any, Any]:
        """Return the table of that name, made empty on first use."""
        if name not in self._tables:
            self._tables[name] = Table(name, self)
        return self._tables[name]

    def tables(self) -> Mapping[str, Table[Any, Any]]:
        """Return all tables by name."""
        return self._tables

    def changes(self) -> int:
        """Return a number that grows with every change of any table."""
        return sum(table.version for table in self._tables.values())

    def note(self, name: str, key: Any, before: Any) -> None:
        """Remember what a key held before its first change since the newest snapshot."""
        if self._newest is not None:
            self._newest.diff.setdefault((name, key), before)

    def snapshot(self) -> str:
        """Return the id of a snapshot of everything as it is now."""
        fresh = _Snapshot()
        if self._newest is not None:
            self._newest.next = fresh
        self._newest = fresh
        self._count += 1
        name = f"snapshot-{self._count}"
        self._snapshots[name] = fresh
        return name

    def restore(self, name: str) -> None:
        """Make everything as it was at that snapshot; every snapshot stays usable.

        Raises:
            KeyError: there is no snapshot of that name.
        """
        way = [self._snapshots[name]]
        while (following := way[-1].next) is not None:
            way.append(following)
        nearest = way.pop()
        self._apply(nearest.diff)
        while way:
            wanted = way.pop()
            nearest.diff, nearest.next = self._apply(wanted.diff), wanted
            nearest = wanted
        nearest.diff, nearest.next = {}, None
        self._newest = nearest

    def pending(self, name: str) -> int:
        """Return how many entries going back to a snapshot would change.

        Raises:
            KeyError: there is no snapshot of that name.
        """
        step: _Snapshot | None = self._snapshots[name]
        total = 0
        while step is not None:
            total, step = total + len(step.diff), step.next
        return total

    def _apply(self, diff: _Diff) -> _Diff:
        """Apply a difference to the live tables and return its inverse."""
        inverse: _Diff = {}
        for (name, key), value in diff.items():
            inverse[name, key] = self._tables[name].put_back(key, value)
        return inverse
