"""The Proxmox that a command works on: what the environment and ``.env.test`` say."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_proxmox import envfile
from pytest_proxmox.config import Settings, TargetKind, resolve, state_folder
from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.options import Sources


def settings_here() -> Settings:
    """Return the settings of the environment and of this folder's ``.env.test``.

    Raises:
        InvalidValue: a value cannot be used.
    """
    return resolve(Sources(environ=os.environ, env_file=envfile.read(Path.cwd())))


def kind_of(settings: Settings) -> TargetKind:
    """Return which Proxmox is meant: the one at PROXMOX_TARGET's address, else PROXMOX_HOST.

    Raises:
        InvalidValue: neither is given.
    """
    if settings.kind == "url":
        return "url"
    if settings.host is None:
        raise InvalidValue(
            "no Proxmox is named",
            hint="Set PROXMOX_HOST, or PROXMOX_TARGET to an https:// address",
        )
    return "real"


def ledger_folder() -> Path:
    """Return the folder of this machine's ledger."""
    return state_folder(os.environ)
