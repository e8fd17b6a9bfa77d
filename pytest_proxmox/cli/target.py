"""The Proxmox that a command works on: what the environment and ``.env.test`` say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_proxmox import envfile
from pytest_proxmox.config import Settings, TargetKind, resolve, state_folder
from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.options import Sources

if TYPE_CHECKING:
    from pytest_proxmox.target.calls import Calls
    from pytest_proxmox.target.endpoint import Endpoint
    from pytest_proxmox.target.facts import TargetFacts


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


def open_target(settings: Settings) -> tuple[Calls, TargetFacts, Endpoint]:
    """Return the way to the Proxmox that is meant, what is known about it, and where it is.

    Raises:
        UserMistake: none is named, it cannot be reached, or it refuses the login.
    """
    from pytest_proxmox.clock import SystemClock
    from pytest_proxmox.target.calls import Calls
    from pytest_proxmox.target.settings import endpoint_of, visit

    kind = kind_of(settings)
    endpoint = endpoint_of(settings, kind)
    clock = SystemClock()
    api, facts = visit(settings, kind, endpoint, clock)
    return Calls(api, clock), facts, endpoint


def ledger_folder() -> Path:
    """Return the folder of this machine's ledger."""
    return state_folder(os.environ)
