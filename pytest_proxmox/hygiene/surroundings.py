"""The environment variables and the working directory: what a test changes and leaves changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

from pytest_proxmox.hygiene.offences import Offence
from pytest_proxmox.hygiene.places import Trail

_CURRENT_TEST = "PYTEST_CURRENT_TEST"  # pytest's own, different in each phase
_CURRENT_TEST_KEYS = (_CURRENT_TEST, _CURRENT_TEST.encode())

Variables = dict[Any, Any]


class EnvironWatch:
    """Environment variables. What was left changed is set back, so that one test pays for it.

    They are compared only after ``os.environ`` was written to, which is noted; and as the
    operating system has them: decoding 50 variables costs 30 times as much.
    """

    sets_back = True

    def __init__(self) -> None:
        self._trails: dict[str, Trail] = {}
        self._environ = os.environ
        self._given = self._variables()

    @property
    def stirred(self) -> bool:
        """Whether a variable was written, or ``os.environ`` replaced."""
        return bool(self._trails) or os.environ is not self._environ

    def install(self) -> None:
        """Note where a variable is set or deleted."""
        self._set, self._delete = os._Environ.__setitem__, os._Environ.__delitem__
        setter, deleter, trails = self._set, self._delete, self._trails

        def __setitem__(environ: os._Environ[Any], key: Any, value: Any) -> None:
            if key != _CURRENT_TEST:
                trails[key] = Trail(skip=1)
            setter(environ, key, value)

        def __delitem__(environ: os._Environ[Any], key: Any) -> None:
            if key != _CURRENT_TEST:
                trails[key] = Trail(skip=1)
            deleter(environ, key)

        os._Environ.__setitem__ = __setitem__  # type: ignore[method-assign]
        os._Environ.__delitem__ = __delitem__  # type: ignore[method-assign]

    def uninstall(self) -> None:
        """Give ``os.environ`` its own methods back."""
        os._Environ.__setitem__ = self._set  # type: ignore[method-assign]
        os._Environ.__delitem__ = self._delete  # type: ignore[method-assign]

    def begin(self, test: int) -> None:
        """Take the variables as they are."""
        self._trails.clear()
        self._given = self._variables()

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Take over what a wider fixture changes."""
        before = self._variables()
        try:
            yield
        finally:
            for key, (_, value) in _differences(before, self._variables()).items():
                _put(self._given, key, value)

    def suspects(self) -> bool:
        """Return whether a variable differs."""
        if os.environ is not self._environ:
            return True
        return bool(self._trails) and bool(_differences(self._given, self._variables()))

    def offences(self) -> Sequence[Offence]:
        """Return the changed variables, by name only: values hold secrets. Sets them back."""
        offences = []
        if os.environ is not self._environ:
            os.environ = self._environ  # noqa: B003 - the object itself, which a test replaced
            offences.append(Offence("environ", "os.environ", "os.environ was replaced"))
        for key, (old, new) in _differences(self._given, self._variables()).items():
            name = os.fsdecode(key)
            trail = self._trails.get(name)
            if trail is not None and trail.is_anybodys:
                _put(self._given, key, new)
                continue
            verb = "was set" if old is None else "was deleted" if new is None else "was changed"
            offences.append(
                Offence(
                    "environ",
                    name,
                    f"environment variable {name} {verb}",
                    trail.place if trail else None,
                )
            )
            _restore(name, old)
        return offences

    def _variables(self) -> Variables:
        data: Variables = self._environ._data  # type: ignore[attr-defined]
        return data.copy()


class CwdWatch:
    """The working directory, set back as the environment is."""

    sets_back = True
    stirred = True

    def __init__(self) -> None:
        self._trail: Trail | None = None
        self._given: str | None = None
        self._is_known = False

    def install(self) -> None:
        """Note where ``os.chdir`` and ``os.fchdir`` are called."""
        self._originals = {
            name: getattr(os, name) for name in ("chdir", "fchdir") if hasattr(os, name)
        }
        for name, original in self._originals.items():
            setattr(os, name, self._noting(original))

    def _noting(self, original: Callable[[Any], None]) -> Callable[[Any], None]:
        @wraps(original)
        def noted(path: Any) -> None:
            self._trail = Trail(skip=1)
            self._is_known = False
            original(path)

        return noted

    def uninstall(self) -> None:
        """Give ``os`` its own functions back."""
        for name, original in self._originals.items():
            setattr(os, name, original)

    def begin(self, test: int) -> None:
        """Take the directory as it is: nobody went elsewhere since it was last looked at."""
        if not self._is_known:
            self._trail = None
            self._given = _directory()
            self._is_known = True

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Take over where a wider fixture goes."""
        before = _directory()
        try:
            yield
        finally:
            now = _directory()
            if now != before:
                self._given = now

    def suspects(self) -> bool:
        """Return whether the directory differs."""
        return _directory() != self._given

    def offences(self) -> Sequence[Offence]:
        """Return the change, and undo it where the old directory still exists."""
        now = _directory() or "a removed folder"
        if now == self._given:
            return []
        self._is_known = False
        if self._given is not None and os.path.isdir(self._given):
            self._originals["chdir"](self._given)
        what = f"the working directory was changed from {self._given} to {now}"
        return [Offence("cwd", now, what, self._trail.place if self._trail else None)]


def _differences(before: Mapping[Any, Any], now: Mapping[Any, Any]) -> dict[Any, tuple[Any, Any]]:
    return {
        key: (before.get(key), now.get(key))
        for key in {*before, *now}
        if before.get(key) != now.get(key) and key not in _CURRENT_TEST_KEYS
    }


def _put(variables: Variables, key: Any, value: Any) -> None:
    if value is None:
        variables.pop(key, None)
    else:
        variables[key] = value


def _restore(name: str, value: Any) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = os.fsdecode(value)


def _directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # somebody removed it
        return None
