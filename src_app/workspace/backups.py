"""Backups of a workspace: config, secret and database of one moment, with their checksums."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from src_app.workspace.errors import WorkspaceCorrupt
from src_app.workspace.files import remove_tree
from src_app.workspace.parts import DATABASE, PARTS, PRIVATE, Parts

MANIFEST = "manifest.json"
KEPT = 10  # backups; a migration makes one, too


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup; its name is the moment it was made at."""

    name: str
    path: Path
    size_bytes: int


class Backups:
    """The backups of one workspace."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def list(self) -> tuple[Backup, ...]:
        """Return those that were ended, oldest first."""
        folder = self._parts.backups
        found = sorted(folder.iterdir()) if folder.exists() else []
        return tuple(
            Backup(path.name, path, sum(entry.stat().st_size for entry in path.iterdir()))
            for path in found
            if (path / MANIFEST).exists() and not path.name.endswith(".new")
        )

    def make(self, at: datetime) -> Backup:
        """Return a new backup, and remove the oldest above the number that is kept."""
        files, parts = self._parts.files, self._parts
        name = self._next_name(at.strftime("%Y%m%dT%H%M%SZ"))
        making = parts.backups / f"{name}.new"
        remove_tree(files, making)
        files.make_folder(making)
        for part in PARTS:
            if not parts.path(part).exists():
                continue
            if part == DATABASE:
                files.copy_database(parts.path(part), making / part)
            else:
                data = parts.path(part).read_bytes()
                files.write(making / part, data, private=True)
        sums = {path.name: _checksum(path) for path in sorted(making.iterdir())}
        files.write(making / MANIFEST, json.dumps(sums, indent=1).encode())
        files.replace(making, parts.backups / name)
        for old in self.list()[:-KEPT]:
            remove_tree(files, old.path)
        return next(backup for backup in self.list() if backup.name == name)

    def recover(self, name: str) -> None:
        """Put a backup's parts in their places, all or nothing.

        Raises:
            WorkspaceCorrupt: there is no such backup, or it is damaged.
        """
        found = {backup.name: backup for backup in self.list()}
        if name not in found:
            told = ", ".join(found) or "none"
            raise WorkspaceCorrupt(f'There is no backup "{name}". There are: {told}.')
        for part in self.intact(found[name], strict=True):
            self._stage(found[name].path / part)
        self._parts.commit()

    def intact(self, backup: Backup, *, strict: bool = False) -> tuple[str, ...]:
        """Return the parts of a backup that are as they were when it was made.

        Raises:
            WorkspaceCorrupt: one is not, and ``strict`` is set.
        """
        try:
            sums = dict(json.loads((backup.path / MANIFEST).read_bytes()))
        except ValueError:
            sums = {}
        whole = tuple(
            name
            for name in PARTS
            if name in sums
            and (backup.path / name).exists()
            and _checksum(backup.path / name) == sums[name]
        )
        if strict and (not sums or set(whole) != set(sums)):
            bad = sorted(set(sums) - set(whole)) or [MANIFEST]
            raise WorkspaceCorrupt(f"The backup {backup.name} is damaged: {', '.join(bad)}.")
        return whole

    def newest_intact(self, part: str) -> Path | None:
        """Return the newest copy of a part that is as it was when it was backed up."""
        for backup in reversed(self.list()):
            if part in self.intact(backup):
                return backup.path / part
        return None

    def _stage(self, path: Path) -> None:
        folder = self._parts.staged
        if path.name == PARTS[0]:
            self._parts.stage()
        self._parts.files.write(folder / path.name, path.read_bytes(), private=path.name in PRIVATE)

    def _next_name(self, stamp: str) -> str:
        """Return a name behind all others, also where the clock was put back."""
        newest = max((backup.name for backup in self.list()), default="")
        if newest < stamp:
            return stamp
        head, _, number = newest.partition("-")
        return f"{head}-{int(number or 0) + 1:04}"


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
