"""A workspace: made, opened, saved, migrated, backed up, recovered and deleted.

Whatever happens to the process or to a file, opening it again gives either the state before or
the state after, whole; where a part was damaged, its last good copy, and the user is told.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from src_app.db import file as database
from src_app.db.store import Store
from src_app.security.cipher import Cipher
from src_app.workspace.backups import Backup, Backups
from src_app.workspace.config import WorkspaceConfig
from src_app.workspace.errors import NoWorkspace, WorkspaceExists, WorkspaceLocked
from src_app.workspace.files import Files, put, remove_tree
from src_app.workspace.lock import LOCK_WAIT_S, Lock, folder_alone
from src_app.workspace.parts import CONFIG, DATABASE, FOLDER, KEY, LOCK, SECRET, USE, Parts
from src_app.workspace.repair import Repair

LEFT_OVER = (f"{FOLDER}.new-*", f"{FOLDER}.deleted-*")  # of processes that were killed
OPEN_FOLDERS = ("terraform", "ansible")
IGNORED = "# The state and the secrets of a workspace are not for others to see.\n*\n"


class ProjectWorkspace:
    """An open workspace. ``notices`` says what was repaired or migrated when it was opened."""

    def __init__(self, root: Path, parts: Parts, *, wait_s: float = LOCK_WAIT_S) -> None:
        self.root = root
        self.parts = parts
        self.notices: tuple[str, ...] = ()
        self._use = Lock(parts.path(USE), wait_s=wait_s)
        self._wait_s = wait_s
        self._store: Store | None = None
        self._config: WorkspaceConfig | None = None

    # -- making and finding ------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        root: Path,
        config: WorkspaceConfig,
        *,
        secret: str = "",
        files: Files | None = None,
        wait_s: float = LOCK_WAIT_S,
    ) -> ProjectWorkspace:
        """Return the new workspace in the folder ``root``, open.

        All of it is there at once or nothing: it is made beside its place and renamed.

        Raises:
            WorkspaceExists: there is one.
        """
        disk = files or Files()
        disk.make_folder(root)
        with folder_alone(root):
            cls._make(root, config, secret, disk)
        return cls.load(root, files=disk, wait_s=wait_s)

    @staticmethod
    def _make(root: Path, config: WorkspaceConfig, secret: str, disk: Files) -> None:
        if (root / FOLDER).exists():
            raise WorkspaceExists.at(root)
        _sweep(root, disk)
        parts = Parts(root / f"{FOLDER}.new-{secrets.token_hex(4)}", disk)
        disk.make_folder(parts.folder)
        created = config.created or datetime.now(UTC).isoformat(timespec="seconds")
        disk.write(parts.path(".gitignore"), IGNORED.encode())
        disk.write(parts.path(KEY), secrets.token_urlsafe(48).encode(), private=True)
        disk.write(parts.path(CONFIG), config.changed({"created": created}).encode())
        if secret:
            disk.write(parts.path(SECRET), _cipher(parts).seal(secret), private=True)
        disk.migrate_database(parts.path(DATABASE), "head")
        for name in (CONFIG, DATABASE, SECRET):
            parts.keep_good(name)
        disk.replace(parts.folder, root / FOLDER)

    @classmethod
    def detect(cls, folder: Path) -> Path | None:
        """Return the workspace's root: the folder itself, or the nearest above it, or None."""
        here = folder.absolute()
        return next((p for p in (here, *here.parents) if (p / FOLDER).is_dir()), None)

    @classmethod
    def load(
        cls, folder: Path, *, files: Files | None = None, wait_s: float = LOCK_WAIT_S
    ) -> ProjectWorkspace:
        """Return the workspace of a folder, repaired and migrated where that was necessary.

        Raises:
            NoWorkspace: there is none. WorkspaceCorrupt: nothing good is left of a part.
            WorkspaceTooNew: a later console made it. WorkspaceLocked: others use it as it is.
        """
        root = cls.detect(folder)
        if root is None:
            raise NoWorkspace.at(folder)
        disk = files or Files()
        workspace = cls(root, Parts(root / FOLDER, disk), wait_s=wait_s)
        workspace._open()
        if any(True for pattern in LEFT_OVER for _ in root.glob(pattern)):
            with folder_alone(root):
                _sweep(root, disk)
        return workspace

    @staticmethod
    def list(folder: Path) -> tuple[Path, ...]:
        """Return the roots of the workspaces in a folder and in those directly in it."""
        inside = sorted(entry for entry in folder.iterdir() if entry.is_dir())
        return tuple(path for path in (folder, *inside) if (path / FOLDER).is_dir())

    # -- using -------------------------------------------------------------------------------

    @property
    def config(self) -> WorkspaceConfig:
        """The config as it was when opened, or last saved."""
        assert self._config is not None, "the workspace is closed"
        return self._config

    @property
    def store(self) -> Store:
        """The database."""
        if self._store is None:
            self._store = Store(database.url(self.parts.path(DATABASE)))
        return self._store

    @property
    def is_closed(self) -> bool:
        """Whether it was closed or deleted."""
        return self._config is None

    def lock(self) -> Lock:
        """Return the lock that a command holds while it changes something."""
        return Lock(self.parts.path(LOCK), wait_s=self._wait_s)

    def secret(self) -> str:
        """Return the token's value or the password, ``""`` where none was given."""
        path = self.parts.path(SECRET)
        return _cipher(self.parts).open(path.read_bytes()) if path.exists() else ""

    def save(self, changes: Mapping[str, Any], *, secret: str | None = None) -> WorkspaceConfig:
        """Return the config with ``changes``, once it is on the disk.

        Raises:
            InvalidInput: names each value that cannot be used; nothing is changed.
            WorkspaceLocked: another process changes the workspace.
        """
        with self.lock().alone():
            config = self.config.changed(changes)
            if secret is None:
                put(self.parts.files, self.parts.path(CONFIG), config.encode())
            else:
                staged = self.parts.stage()
                sealed = _cipher(self.parts).seal(secret)
                self.parts.files.write(staged / CONFIG, config.encode())
                self.parts.files.write(staged / SECRET, sealed, private=True)
                self.parts.commit()
                self.parts.keep_good(SECRET)
            self.parts.keep_good(CONFIG)
            self._config = config
        return config

    def keep_good(self) -> None:
        """Remember the database as it is now: what a damaged one is replaced with."""
        self.parts.keep_good(DATABASE)

    def back_up(self) -> Backup:
        """Return a new backup of config, secret and database.

        Raises:
            WorkspaceLocked: another process changes the workspace.
        """
        with self.lock().alone():
            return Backups(self.parts).make(datetime.now(UTC))

    def backups(self) -> tuple[Backup, ...]:
        """Return the backups, oldest first."""
        return Backups(self.parts).list()

    def recover(self, name: str) -> None:
        """Put a backup in the place of config, secret and database, all or nothing.

        Raises:
            WorkspaceCorrupt: the backup is damaged, or there is none of that name.
            WorkspaceLocked: another process has the workspace open.
        """
        self._close_store()
        if not self._use.try_alone():
            raise WorkspaceLocked.by("another console", self.root)
        Backups(self.parts).recover(name)
        self._open()

    def delete(self) -> None:
        """Remove the workspace; what was generated from it stays.

        Raises:
            WorkspaceLocked: another process has it open.
        """
        self._close_store()
        if not self._use.try_alone():
            raise WorkspaceLocked.by("another console", self.root)
        doomed = self.root / f"{FOLDER}.deleted-{secrets.token_hex(4)}"
        self.parts.files.replace(self.parts.folder, doomed)
        remove_tree(self.parts.files, doomed)
        self.close()

    def close(self) -> None:
        """Give the database and the locks back; closing twice is no error."""
        self._close_store()
        self._use.release()
        self._config = None

    def __enter__(self) -> ProjectWorkspace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> None:
        repair = Repair(self.parts, datetime.now(UTC))
        try:
            if self._use.try_alone():
                self._config = repair.make_whole()
                self._use.share()
            else:
                self._config = repair.demand_whole()
        except BaseException:
            self._use.release()
            raise
        self.notices = tuple(repair.notices)
        for name in OPEN_FOLDERS:
            self.parts.files.make_folder(self.root / name)

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None


def _cipher(parts: Parts) -> Cipher:
    return Cipher(parts.path(KEY).read_text(encoding="ascii"))


def _sweep(root: Path, files: Files) -> None:
    """Remove what processes left that were killed while they made or deleted a workspace."""
    for pattern in LEFT_OVER:
        for path in root.glob(pattern):
            remove_tree(files, path)
