"""What a workspace does to the disk, one method an operation.

Everything goes through here, so that tests can end the process before, or in the middle of, each
single one.
"""

from __future__ import annotations

import os
from pathlib import Path

from src_app.db import file as database

PRIVATE = 0o600
MASKED = 0o666  # what the umask leaves of it


class Files:
    """The machine's disk. A change is on the disk when its method returns."""

    def sync(self, handle: int) -> None:
        """Return once an open file or folder is on the disk, a power cut or not."""
        os.fsync(handle)

    def make_folder(self, path: Path) -> None:
        """Make a folder, and those above it; one that is there is left as it is."""
        path.mkdir(parents=True, exist_ok=True)

    def write(self, path: Path, data: bytes, *, private: bool = False) -> None:
        """Write a file that nobody reads yet: killed in the middle, it is cut short."""
        handle = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE if private else MASKED
        )
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            self.sync(file.fileno())

    def replace(self, source: Path, target: Path) -> None:
        """Give ``target`` the place and content of ``source``, at once or not at all."""
        source.replace(target)
        handle = os.open(target.parent, os.O_RDONLY)
        try:
            self.sync(handle)
        finally:
            os.close(handle)

    def remove(self, path: Path) -> None:
        """Remove a file; one that is not there is no error."""
        path.unlink(missing_ok=True)

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        path.rmdir()

    def copy_database(self, source: Path, target: Path) -> None:
        """Copy a database with all that is committed, also while others write to it."""
        database.copy(source, target)

    def migrate_database(self, path: Path, revision: str) -> None:
        """Bring a database to a revision, made where it is not there."""
        database.migrate(path, revision)


def put(files: Files, path: Path, data: bytes, *, private: bool = False) -> None:
    """Give ``path`` this content: whoever reads it meanwhile finds the old or the new, whole."""
    fresh = path.with_name(path.name + ".new")
    files.write(fresh, data, private=private)
    files.replace(fresh, path)


def remove_tree(files: Files, path: Path) -> None:
    """Remove a folder and all that is in it; one that is not there is no error."""
    if not path.exists():
        return
    for entry in sorted(path.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            remove_tree(files, entry)
        else:
            files.remove(entry)
    files.remove_folder(path)
