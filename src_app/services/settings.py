"""Settings that an admin changes while the manager runs; secrets are sealed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from src_app.db.repositories import RepositoryFactory
from src_app.domain.errors import InvalidInput, NotFoundError
from src_app.domain.schedules import Rule
from src_app.security.cipher import Cipher
from src_app.services.sealing import MASK


def _one_of(*words: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return check


def _count(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise ValueError("must be 0 to 9999")
    return text


def _text(text: str) -> str:
    if len(text) > 300 or any(ord(char) < 32 for char in text):
        raise ValueError("must be one printable line")
    return text


def _name(text: str) -> str:
    if text and not _NAME.fullmatch(text):
        raise ValueError("must be a name: letters, digits, dots, hyphens and underscores")
    return text


def _rule(text: str) -> str:
    try:
        return Rule.parse(text).text
    except InvalidInput as exc:
        raise ValueError(exc.fields["rule"]) from exc


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,99}")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its group, its default, what it must be; a secret is sealed and never shown."""

    group: str
    default: str
    check: Callable[[str], str]
    secret: bool = False
    variable: str | None = None


SETTINGS: Mapping[str, Setting] = {
    "mode": Setting("general", "pro", _one_of("auto", "pro")),
    "backup_rule": Setting("auto", "daily 02:00", _rule),
    "update_rule": Setting("auto", "sun 03:00", _rule),
    "keep_last": Setting("auto", "3", _count),
    "keep_daily": Setting("auto", "7", _count),
    "keep_weekly": Setting("auto", "4", _count),
    "keep_monthly": Setting("auto", "0", _count),
    # What is empty here is as the environment says; ``Work.preference`` reads them.
    "bridge": Setting("network", "", _name),
    "storage": Setting("resources", "", _name),
    "backup_storage": Setting("resources", "", _name),
    "image_storage": Setting("resources", "", _name),
    "pool": Setting("resources", "", _name),
    "proxmox_host": Setting("proxmox", "", _text, variable="PROXMOX_HOST"),
    "proxmox_port": Setting("proxmox", "", _text, variable="PROXMOX_PORT"),
    "proxmox_user": Setting("proxmox", "", _text, variable="PROXMOX_USER"),
    "proxmox_password": Setting("proxmox", "", _text, secret=True, variable="PROXMOX_PASSWORD"),
    "proxmox_token_name": Setting("proxmox", "", _text, variable="PROXMOX_TOKEN_NAME"),
    "proxmox_token_value": Setting(
        "proxmox", "", _text, secret=True, variable="PROXMOX_TOKEN_VALUE"
    ),
    "proxmox_verify_ssl": Setting("proxmox", "", _text, variable="PROXMOX_VERIFY_SSL"),
}


class Settings:
    """Reads and writes them."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    def read(self, db: RepositoryFactory, key: str) -> str:
        """Return a setting's value, its default where nobody set it."""
        known, row = _known(key), db.settings.find_by_id(key)
        if row is None:
            return known.default
        if known.secret:
            return self._cipher.open(row.sealed) if row.sealed else ""
        return row.value or ""

    def shown(self, db: RepositoryFactory) -> dict[str, str]:
        """Return all settings, secrets as stars where they are set."""
        found = {key: self.read(db, key) for key in SETTINGS}
        return {
            key: MASK if SETTINGS[key].secret and value else value for key, value in found.items()
        }

    def write(self, db: RepositoryFactory, values: Mapping[str, str]) -> None:
        """Store settings; the stars of a secret mean: leave it.

        Raises:
            InvalidInput: names each that cannot be.
        """
        checked, wrong = {}, {}
        for key, value in values.items():
            try:
                checked[key] = _known(key).check(value)
            except (ValueError, NotFoundError) as exc:
                wrong[key] = str(exc)
        if wrong:
            told = "; ".join(f"{key} {text}" for key, text in wrong.items())
            raise InvalidInput(f"Settings cannot be used: {told}", fields=wrong)
        for key, value in checked.items():
            if SETTINGS[key].secret:
                if value != MASK:
                    db.settings.upsert(key, {"sealed": self._cipher.seal(value), "value": None})
            else:
                db.settings.upsert(key, {"value": value})

    def forget(self, db: RepositoryFactory, key: str) -> None:
        """Go back to a setting's default."""
        _known(key)
        if db.settings.exists(key):
            db.settings.delete(key)

    def environment(self, db: RepositoryFactory) -> dict[str, str]:
        """Return the variables that the Proxmox settings stand for."""
        found = {
            setting.variable: self.read(db, key)
            for key, setting in SETTINGS.items()
            if setting.variable
        }
        return {name: value for name, value in found.items() if value}


def _known(key: str) -> Setting:
    if key not in SETTINGS:
        raise NotFoundError(f"There is no setting '{key[:64]}'")
    return SETTINGS[key]
