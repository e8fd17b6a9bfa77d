"""Registered singletons: set back to what they were, around each test."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.hygiene.offences import Offence

_ABSENT = object()
_CONTAINERS = (dict, list, set, bytearray)


@dataclass(frozen=True, slots=True)
class Name:
    """``package.module:Class.attribute``, as the ini key ``singletons`` spells it."""

    module: str
    path: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, origin: str) -> Name:
        """Return the name that ``text`` spells.

        Raises:
            InvalidValue: it has no colon, or a part that is no identifier.
        """
        module, _, path = text.partition(":")
        parts = tuple(path.split("."))
        if not all(part.isidentifier() for part in (*module.split("."), *parts)):
            raise InvalidValue(
                f'"{text}" names no singleton', origin=origin, hint="Write package.module:NAME"
            )
        return cls(module, parts)

    def __str__(self) -> str:
        return f"{self.module}:{'.'.join(self.path)}"

    def owner(self, *, load: bool) -> Any:
        """Return what has the last part as its attribute; None while the module is not loaded.

        Raises:
            InvalidValue: the module or a part of the path does not exist.
        """
        try:
            found = importlib.import_module(self.module) if load else sys.modules[self.module]
            for part in self.path[:-1]:
                found = getattr(found, part)
        except KeyError:
            return None
        except (ImportError, AttributeError) as exc:
            raise InvalidValue(
                f'singleton "{self}" cannot be found: {exc}',
                origin="ini key reset_singletons",
                hint="Write package.module:NAME; is the project's folder in pythonpath?",
            ) from exc
        return found


@dataclass(slots=True)
class Snapshot:
    """A value, and copies of what is in it: its items, or its attributes."""

    value: object
    content: object = None
    attributes: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, value: object) -> Snapshot:
        """Return the snapshot of a value: one level deep, and two for containers in it."""
        if isinstance(value, _CONTAINERS):
            return cls(value, value.copy())
        attributes = getattr(value, "__dict__", None)
        if isinstance(value, type) or not isinstance(attributes, dict):
            return cls(value)
        return cls(value, attributes={key: _with_copy(item) for key, item in attributes.items()})

    def is_unchanged(self, now: object) -> bool:
        """Return whether ``now`` is the same object with the same items and attributes."""
        if now is not self.value:
            return False
        if self.content is not None:
            return bool(now == self.content)
        if self.attributes or hasattr(now, "__dict__"):
            return self._has_attributes_of(now)
        return True

    def _has_attributes_of(self, now: object) -> bool:
        if isinstance(now, type):
            return True
        current = vars(now)
        return current.keys() == self.attributes.keys() and all(
            current[key] is item and (copy is None or item == copy)
            for key, (item, copy) in self.attributes.items()
        )

    def restore(self) -> object:
        """Return the value with its items and attributes as they were."""
        if self.content is not None:
            _refill(self.value, self.content)
        elif self.attributes:
            for _, (item, copy) in self.attributes.items():
                if copy is not None:
                    _refill(item, copy)
            vars(self.value).clear()
            vars(self.value).update({key: item for key, (item, _) in self.attributes.items()})
        return self.value


class SingletonWatch:
    """Restores each registered name after each test, and tells which test changed it.

    A module that no test has imported yet has nothing to set back: it is loaded when the
    run begins, so that a snapshot of its first state exists.
    """

    sets_back = True
    stirred = True

    def __init__(self, names: Sequence[Name]) -> None:
        self._names = names
        self._taken: dict[Name, Snapshot | None] = {}

    def install(self) -> None:
        """Load the modules.

        Raises:
            InvalidValue: a name does not exist.
        """
        for name in self._names:
            name.owner(load=True)

    def uninstall(self) -> None:
        """Nothing was put in place."""

    def begin(self, test: int) -> None:
        """Take a snapshot of each."""
        self._taken = {name: _snapshot(name) for name in self._names}

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Take over what a wider fixture sets."""
        before = {name: self._is_unchanged(name) for name in self._taken}
        try:
            yield
        finally:
            for name, unchanged in before.items():
                if unchanged:
                    self._taken[name] = _snapshot(name)

    def suspects(self) -> bool:
        """Return whether one differs."""
        return not all(map(self._is_unchanged, self._taken))

    def offences(self) -> Sequence[Offence]:
        """Return those that differ, set back by now."""
        offences = []
        for name, snapshot in self._taken.items():
            if not self._is_unchanged(name):
                _restore(name, snapshot)
                offences.append(Offence("singleton", str(name), f"singleton {name}"))
        return offences

    def _is_unchanged(self, name: Name) -> bool:
        snapshot, now = self._taken[name], _current(name)
        return now is _ABSENT if snapshot is None else snapshot.is_unchanged(now)


def _current(name: Name) -> object:
    owner = name.owner(load=False)
    return vars(owner).get(name.path[-1], _ABSENT) if owner is not None else _ABSENT


def _snapshot(name: Name) -> Snapshot | None:
    value = _current(name)
    return None if value is _ABSENT else Snapshot.of(value)


def _restore(name: Name, snapshot: Snapshot | None) -> None:
    owner = name.owner(load=False)
    if owner is None:
        return
    if snapshot is not None:
        setattr(owner, name.path[-1], snapshot.restore())
    elif _current(name) is not _ABSENT:
        delattr(owner, name.path[-1])


def _with_copy(item: Any) -> tuple[Any, Any]:
    return item, item.copy() if isinstance(item, _CONTAINERS) else None


def _refill(container: Any, items: Any) -> None:
    container.clear()
    if isinstance(container, (dict, set)):
        container.update(items)
    else:
        container.extend(items)
