"""Making a workspace whole when it is opened: finish, recover, migrate, in this order."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from src_app.db import file as database
from src_app.security.cipher import Cipher
from src_app.workspace import config as configs
from src_app.workspace.backups import Backups
from src_app.workspace.config import WorkspaceConfig
from src_app.workspace.errors import ConfigCorrupt, WorkspaceCorrupt, WorkspaceLocked
from src_app.workspace.files import put
from src_app.workspace.parts import CONFIG, DATABASE, KEY, SECRET, Parts


class Repair:
    """One look at a workspace. ``notices`` says what was done, for its user."""

    def __init__(self, parts: Parts, now: datetime) -> None:
        self._parts = parts
        self._now = now
        self.notices: list[str] = []

    def make_whole(self) -> WorkspaceConfig:
        """Return the config of the workspace, all of whose parts are now whole and new.

        Raises:
            WorkspaceCorrupt: nothing good is left of a part. WorkspaceTooNew: made by a later one.
        """
        if self._parts.finish():
            self.notices.append("A change of the workspace that was interrupted was finished.")
        plain = self._config()
        self._database()
        if self._is_old(plain):
            plain = self._migrate(plain)
        config = configs.parse(plain)
        self._keep_good()
        return config

    def demand_whole(self) -> WorkspaceConfig:
        """Return the config of a workspace that others have open, as it is.

        Raises:
            WorkspaceLocked: it would have to be repaired or migrated first.
        """
        parts = self._parts
        locked = WorkspaceLocked.by("another console, and it must be repaired", parts.folder.parent)
        try:
            plain = _read_config(parts.path(CONFIG))
        except ConfigCorrupt as exc:
            raise locked from exc
        if parts.pending.exists() or self._is_old(plain):
            raise locked
        return configs.parse(plain)

    # -- parts -------------------------------------------------------------------------------

    def _config(self) -> dict[str, Any]:
        try:
            return _read_config(self._parts.path(CONFIG))
        except ConfigCorrupt as exc:
            damage = exc.message
        copy = self._good_copy(CONFIG, _is_config)
        if copy is None:
            raise WorkspaceCorrupt(
                f"{self._parts.path(CONFIG)} is damaged ({damage}), and no good copy of it is "
                "left. Write it anew, or move the folder away and use /init."
            )
        self._replace(CONFIG, copy, damage)
        return _read_config(self._parts.path(CONFIG))

    def _database(self) -> None:
        damage = database.damage(self._parts.path(DATABASE))
        if damage is None:
            return
        copy = self._good_copy(DATABASE, lambda path: database.damage(path) is None)
        if copy is None:
            aside = self._parts.set_aside(DATABASE)
            self._parts.files.migrate_database(self._parts.path(DATABASE), "head")
            self.notices.append(
                f"The database was damaged ({_short(damage)}) and no good copy was left: it "
                f"begins empty, the damaged one is {aside.name}. Use /sync to fill it."
            )
            return
        self._replace(DATABASE, copy, damage)

    def _replace(self, name: str, copy: Path, damage: str) -> None:
        """Put a good copy in the place of a part, and the damaged one aside."""
        kept = copy.read_bytes()
        what = copy.parent.name if copy.parent != self._parts.good else "the last good copy"
        aside = self._parts.set_aside(name)
        put(self._parts.files, self._parts.path(name), kept, private=name == DATABASE)
        self.notices.append(
            f"{name} was damaged ({_short(damage)}) and was recovered from {what}; "
            f"the damaged one is {aside.name}."
        )

    def _good_copy(self, name: str, is_good: Callable[[Path], bool]) -> Path | None:
        good = self._parts.good / name
        if good.exists() and is_good(good):
            return good
        return Backups(self._parts).newest_intact(name)

    def _keep_good(self) -> None:
        for name in (CONFIG, SECRET, DATABASE):
            good = self._parts.good / name
            path = self._parts.path(name)
            if path.exists() and (not good.exists() or _newer(path, good)):
                self._parts.keep_good(name)

    # -- versions ----------------------------------------------------------------------------

    def _is_old(self, plain: dict[str, Any]) -> bool:
        current = database.revision(self._parts.path(DATABASE))
        return configs.version_of(plain) < configs.VERSION or current != database.head()

    def _migrate(self, plain: dict[str, Any]) -> dict[str, Any]:
        """Return the new config, once config, secret and database changed together."""
        parts, files = self._parts, self._parts.files
        before = configs.version_of(plain)
        backup = Backups(parts).make(self._now)
        values, secret = configs.upgrade(plain)
        new = configs.parse(values)  # before anything is changed
        staged = parts.stage()
        files.write(staged / CONFIG, new.encode())
        files.copy_database(parts.path(DATABASE), staged / DATABASE)
        files.migrate_database(staged / DATABASE, "head")
        if secret:
            cipher = Cipher(self._key())
            files.write(staged / SECRET, cipher.seal(str(secret)), private=True)
        parts.commit()
        self.notices.append(
            f"The workspace was migrated from version {before} to {configs.VERSION}; "
            f"the backup {backup.name} holds it as it was."
        )
        return configs.decode(parts.path(CONFIG).read_bytes())

    def _key(self) -> str:
        """Return the key that secrets are sealed with, made where there is none yet."""
        path = self._parts.path(KEY)
        if not path.exists():
            put(self._parts.files, path, secrets.token_urlsafe(48).encode(), private=True)
        return path.read_text(encoding="ascii")


def _read_config(path: Path) -> dict[str, Any]:
    """Return what the config says, in whichever version.

    Raises:
        ConfigCorrupt: it is not there, cut short, or has values that cannot be used.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as exc:
        raise ConfigCorrupt("it is not there") from exc
    plain = configs.decode(data)
    configs.parse(configs.upgrade(plain)[0])
    return plain


def _is_config(path: Path) -> bool:
    try:
        _read_config(path)
    except ConfigCorrupt:
        return False
    return True


def _newer(path: Path, than: Path) -> bool:
    """Whether a part, or what SQLite keeps beside it, changed after its copy was made."""
    beside = path.with_name(path.name + "-wal")
    newest = max(p.stat().st_mtime_ns for p in (path, beside) if p.exists())
    return newest > than.stat().st_mtime_ns


def _short(damage: str) -> str:
    return damage.splitlines()[0][:120]
