"""The parts of a workspace on the disk, and how several of them change together.

A change of more than one part is made ready in a folder; renaming that folder to ``pending``
is the moment from which it counts. Whoever opens the workspace then puts the parts in their
places, however often it is interrupted.
"""

from __future__ import annotations

from pathlib import Path

from src_app.workspace.files import Files, put, remove_tree

FOLDER = ".proxmox"
CONFIG, DATABASE, SECRET, KEY = "config.yml", "state.db", "secret", "key"
LOCK, USE = "lock", "use"
PARTS = (CONFIG, DATABASE, SECRET)
PRIVATE = frozenset({SECRET, KEY, DATABASE})
SIDE_FILES = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a database


class Parts:
    """The folder ``.proxmox`` of a workspace."""

    def __init__(self, folder: Path, files: Files) -> None:
        self.folder = folder
        self.files = files

    def path(self, name: str) -> Path:
        """Return where a part lies."""
        return self.folder / name

    @property
    def good(self) -> Path:
        """Where the last good copies of the parts lie."""
        return self.folder / "good"

    @property
    def pending(self) -> Path:
        """Where parts wait that have been decided upon."""
        return self.folder / "pending"

    @property
    def staged(self) -> Path:
        """Where parts are made ready."""
        return self.folder / "staged"

    @property
    def backups(self) -> Path:
        """Where the backups lie, a folder each."""
        return self.folder / "backups"

    def stage(self) -> Path:
        """Return an empty folder to make parts ready in."""
        remove_tree(self.files, self.staged)
        self.files.make_folder(self.staged)
        return self.staged

    def commit(self) -> None:
        """Decide upon what was made ready, and put it in its place."""
        self.files.replace(self.staged, self.pending)
        self.finish()

    def finish(self) -> bool:
        """Put what was decided upon in its place; whether there was anything."""
        if not self.pending.exists():
            return False
        if (self.pending / DATABASE).exists():
            for suffix in SIDE_FILES:  # they belong to the database that goes
                self.files.remove(self.path(DATABASE + suffix))
        for name in PARTS:
            if (self.pending / name).exists():
                self.files.replace(self.pending / name, self.path(name))
        remove_tree(self.files, self.pending)
        return True

    def keep_good(self, name: str) -> None:
        """Remember a part as it is: it was just found to be whole."""
        self.files.make_folder(self.good)
        if name == DATABASE:
            fresh = self.good / f"{name}.new"
            self.files.copy_database(self.path(name), fresh)
            self.files.replace(fresh, self.good / name)
        elif self.path(name).exists():
            put(self.files, self.good / name, self.path(name).read_bytes(), private=name in PRIVATE)

    def set_aside(self, name: str) -> Path:
        """Return where a damaged part was put: nothing is thrown away."""
        number = 1
        while (aside := self.folder / f"{name}.damaged-{number}").exists():
            number += 1
        if self.path(name).exists():
            self.files.replace(self.path(name), aside)
        if name == DATABASE:
            for suffix in SIDE_FILES:
                self.files.remove(self.path(name + suffix))
        return aside
