"""A simulator's state as JSON: for ``--state FILE`` and for the control plane.

A file is written beside the last good one and takes its place in one step, so a process that is
killed while it writes loses nothing that was saved before.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.simulator import state

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FORMAT: Final = 1
INTERVAL_S: Final = 1.0
_LOG: Final = logging.getLogger(__name__)
CLASS: Final = "~class"
TUPLE: Final = "~tuple"
SET: Final = "~set"
_CLASSES: Final = {
    kind.__name__: kind
    for kind in (
        state.Node,
        state.Storage,
        state.Volume,
        state.Snapshot,
        state.Guest,
        state.Task,
        state.Pool,
        state.User,
        state.Token,
        state.AclEntry,
        state.Seen,
    )
}


def dump(sim: Simulator) -> dict[str, Any]:
    """Return the whole state, the clock included, as JSON values."""
    with sim.lock:
        tables = {
            name: [[_encode(key), _encode(value)] for key, value in table.items()]
            for name, table in sim.state.store.tables().items()
        }
        return {"format": FORMAT, "now": sim.clock.now(), "tables": tables}


def load(sim: Simulator, data: Any, *, origin: str) -> None:
    """Make the simulator's state what ``data`` says, or leave it untouched.

    Raises:
        InvalidValue: ``data`` is no state, or a part of it is damaged; says which.
    """
    tables, now = _read(sim, data, origin)
    with sim.lock:
        for name, values in tables.items():
            sim.state.store.table(name).replace_all(values)
        sim.clock.set((now, sim.clock.mark()[1]))


def _read(sim: Simulator, data: Any, origin: str) -> tuple[dict[str, dict[Any, Any]], float]:
    """Decode everything before anything is changed."""
    if not isinstance(data, Mapping) or not isinstance(data.get("tables"), Mapping):
        raise _damaged(origin, "(top level)", "is no saved state")
    if data.get("format") != FORMAT:
        raise _damaged(origin, "format", f"is {data.get('format')!r}, not {FORMAT}")
    now = data.get("now")
    if isinstance(now, bool) or not isinstance(now, (int, float)):
        raise _damaged(origin, "now", f"{now!r} is no time")
    known = sim.state.store.tables()
    for name in data["tables"]:
        if name not in known:
            raise _damaged(origin, f"tables.{name}", "is not a known table")
    return {name: _table(origin, name, data["tables"].get(name, [])) for name in known}, float(now)


def _table(origin: str, name: str, rows: Any) -> dict[Any, Any]:
    if not isinstance(rows, list):
        raise _damaged(origin, f"tables.{name}", "is not a list")
    found = {}
    for number, row in enumerate(rows):
        where = f"tables.{name}[{number}]"
        try:
            key, value = row
            found[_decode(key)] = _decode(value)
        except (ValueError, TypeError, KeyError) as exc:
            raise _damaged(origin, where, f"cannot be read: {exc}") from exc
    return found


def _damaged(origin: str, where: str, problem: str) -> InvalidValue:
    return InvalidValue(
        f"state: {where} {problem}",
        origin=origin,
        hint="Mend that place, or start without the file; it was left as it is",
    )


def _encode(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        found = {f.name: _encode(getattr(value, f.name)) for f in fields(value)}
        return {CLASS: type(value).__name__, **found}
    if isinstance(value, Mapping):
        return {key: _encode(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return {TUPLE: [_encode(item) for item in value]}
    if isinstance(value, frozenset):
        return {SET: sorted(value)}
    if isinstance(value, list):
        return [_encode(item) for item in value]
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if TUPLE in value:
        return tuple(_decode(item) for item in value[TUPLE])
    if SET in value:
        return frozenset(value[SET])
    found = {key: _decode(item) for key, item in value.items() if key != CLASS}
    return _CLASSES[value[CLASS]](**found) if CLASS in value else found


class StateFile:
    """A file that keeps a simulator's state over restarts."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def restore_into(self, sim: Simulator) -> bool:
        """Load the file into the simulator; return False where there is none yet.

        Raises:
            InvalidValue: the file cannot be read or is damaged; it stays as it is.
        """
        origin = f"option --state, {self.path}"
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return False
        except (OSError, UnicodeDecodeError) as exc:
            raise _damaged(origin, "the file", f"cannot be read: {exc}") from exc
        try:
            data = json.loads(text)
        except ValueError as exc:
            raise _damaged(origin, "the file", f"is not JSON: {exc}") from exc
        load(sim, data, origin=origin)
        return True

    def save(self, sim: Simulator) -> None:
        """Write the state; the last good file stays until the new one is whole.

        Raises:
            OSError: the folder cannot be written to.
        """
        text = json.dumps(dump(sim), separators=(",", ":"))
        handle, name = tempfile.mkstemp(prefix=self.path.name, dir=self.path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(name, self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


class Autosave:
    """Saves a simulator's state whenever it changed, at most once a second; a context manager."""

    def __init__(self, sim: Simulator, file: StateFile) -> None:
        self._sim = sim
        self._file = file
        self._stopped = threading.Event()
        self._saved = -1
        self._thread = threading.Thread(target=self._run, name="pytest-proxmox-state", daemon=True)

    def __enter__(self) -> Self:
        self._save_if_changed()
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._save_if_changed()

    def _run(self) -> None:
        while not self._stopped.wait(INTERVAL_S):
            try:
                self._save_if_changed()
            except OSError as exc:
                _LOG.error("the state was not saved to %s: %s", self._file.path, exc)

    def _save_if_changed(self) -> None:
        changes = self._sim.state.store.changes()
        if changes != self._saved:
            self._file.save(self._sim)
            self._saved = changes
