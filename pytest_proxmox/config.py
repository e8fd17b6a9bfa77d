"""Settings of a run: frozen once resolved, each with its source."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pytest_proxmox import spellings
from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.options import DEFAULT, OPTIONS, SECRETS, Option, Origin, Rank, Sources
from pytest_proxmox.spellings import NO_CAPS, Account, Address, Caps, Spelling
from pytest_proxmox.values import NodeName, VmidRange

TargetKind = Literal["simulator", "real", "url", "replay"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run was told, parsed; ``origins`` says for each field where it came from.

    ``host`` is the real Proxmox's, whatever ``target`` is; None means nobody named it, or
    that the target is asked (node, storages, template, bridge). Secrets are not in the repr.
    """

    target: str
    host: str | None
    port: int
    user: str
    node: NodeName | None
    storage: str | None
    backup_storage: str | None
    template: str | None
    bridge: str | None
    pool: str
    verify_ssl: bool | str
    vmid_range: VmidRange
    reaper_grace: float
    world: str
    clock: str
    transport: str
    record: str | None = None
    replay: str | None = None
    keep: float | None = None
    caps: Caps = NO_CAPS
    password: str | None = field(default=None, repr=False)
    token_name: str | None = None
    token_value: str | None = field(default=None, repr=False)
    origins: Mapping[str, Origin] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    @property
    def kind(self) -> TargetKind:
        """``simulator``, ``real``, ``replay`` for a recording, or ``url`` for a running server."""
        if self.replay is not None:
            return "replay"
        if self.target == "simulator":
            return "simulator"
        return "real" if self.target == "real" else "url"

    def origin(self, name: str) -> Origin:
        """Return where the value of the field ``name`` came from."""
        return self.origins.get(name, DEFAULT)

    def is_about_real_only(self, name: str) -> bool:
        """Whether this value describes the real Proxmox, and the target is another one.

        A file with PROXMOX_HOST describes that host in its other lines too: its node is not
        the simulator's.
        """
        if self.kind == "real" or self.host is None:
            return False
        found_there = name in _OF_TARGET and self.origin(name).rank in _ENVIRONMENTS
        return name in _OF_REAL or found_there


_OF_REAL = frozenset({"host", "port", "user", "password", "token_name", "token_value"})
_OF_TARGET = frozenset({"node", "storage", "backup_storage", "template", "bridge"})
_ENVIRONMENTS = frozenset({Rank.ENVIRONMENT, Rank.ENV_FILE})


def resolve(sources: Sources) -> Settings:
    """Return the settings that the sources give, the strongest source winning.

    Raises:
        InvalidValue: a value cannot be used, or two of them do not fit together.
    """
    parsed: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for option in (*OPTIONS, *SECRETS):
        text, origin = sources.find(option)
        origins[option.name] = origin
        spelling: Spelling = getattr(spellings, option.spelling)
        parsed[option.name] = None if text is None else spelling(text, origin.text)
    parsed["caps"] = parsed["caps"] or NO_CAPS
    _split_address(parsed, origins)
    _split_accounts(parsed, origins)
    settings = Settings(**parsed, origins=MappingProxyType(origins))
    _check(settings)
    return settings


def _split_address(parsed: dict[str, Any], origins: dict[str, Origin]) -> None:
    """``host:port`` gives the port too, unless a stronger source gives one."""
    address: Address | None = parsed["host"]
    if address is None:
        return
    parsed["host"] = address.host
    if address.port is not None and origins["port"].rank <= origins["host"].rank:
        parsed["port"], origins["port"] = address.port, origins["host"]


def _split_accounts(parsed: dict[str, Any], origins: dict[str, Origin]) -> None:
    """``user@realm!name`` gives user and token at once, in either variable."""
    user: Account = parsed["user"]
    token: Account = parsed["token_name"] or Account()
    user_origin, token_origin = origins["user"], origins["token_name"]
    parsed["user"], parsed["token_name"] = user.user, token.token_name
    if token.user is not None and user_origin.rank <= token_origin.rank:
        parsed["user"], origins["user"] = token.user, token_origin
    if token.token_name is None and user.token_name is not None:
        parsed["token_name"], origins["token_name"] = user.token_name, user_origin


def _check(settings: Settings) -> None:
    if settings.target == "real" and settings.host is None:
        raise InvalidValue(
            'target "real" has no host',
            origin=settings.origin("target").text,
            hint="Set PROXMOX_HOST or give --proxmox-host",
        )
    if settings.token_name is not None and settings.token_value is None:
        raise InvalidValue(
            f'token "{settings.token_name}" has no secret',
            origin=settings.origin("token_name").text,
            hint="Set PROXMOX_TOKEN_VALUE too",
        )
    if settings.token_value is not None and settings.token_name is None:
        raise InvalidValue(
            "a token's secret is given without the token's name",
            origin=settings.origin("token_value").text,
            hint="Set PROXMOX_TOKEN_NAME too",
        )
    _check_recordings(settings)


def _check_recordings(settings: Settings) -> None:
    """A recording is made of another Proxmox than the embedded one, and replayed in its place."""
    target = settings.origin("target")
    if settings.target == "replay" and settings.replay is None:
        raise InvalidValue(
            'target "replay" has no recording',
            origin=target.text,
            hint="Name its folder with --proxmox-replay DIR",
        )
    if settings.replay is not None and settings.record is not None:
        raise InvalidValue(
            "a replay cannot be recorded",
            origin=settings.origin("record").text,
            hint="Give either --proxmox-record or --proxmox-replay",
        )
    if settings.replay is not None and not Path(settings.replay).is_dir():
        raise InvalidValue(
            f'there is no recording in "{settings.replay}"',
            origin=settings.origin("replay").text,
            hint="Make one: pytest --proxmox real --proxmox-record DIR",
        )
    if settings.record is not None and settings.target == "simulator" and settings.host is None:
        raise InvalidValue(
            "there is nothing to record on the embedded Proxmox",
            origin=settings.origin("record").text,
            hint="Record a real one: --proxmox real",
        )


def describe(settings: Settings, *, defaults: bool = False) -> list[str]:
    """Return the header's lines: each value that somebody set, with its source.

    ``defaults`` adds what nobody set. Of a secret only the source is shown. Where a real
    Proxmox is named and is not the target, what concerns it has a line of its own.
    """
    shown = [
        option
        for option in (*OPTIONS[1:], *SECRETS)
        if settings.origin(option.name).rank > Rank.DEFAULT
        or (defaults and option.default is not None)
    ]
    aside = [option for option in shown if settings.is_about_real_only(option.name)]
    target = f"{settings.target} ({settings.origin('target').place})"
    lines = [[target, *(_shown(settings, option) for option in shown if option not in aside)]]
    if aside:
        lines.append(["real_proxmox tests", *(_shown(settings, option) for option in aside)])
    return [", ".join(line) for line in lines]


def _shown(settings: Settings, option: Option) -> str:
    value = "" if option.spelling == "secret" else f" {getattr(settings, option.name)}"
    return f"{option.name.replace('_', ' ')}{value} ({settings.origin(option.name).place})"


def state_folder(environ: Mapping[str, str], *, platform: str = sys.platform) -> Path:
    """Return where this user keeps what must outlive a run: the record of what tests hold."""
    home = Path(environ.get("HOME") or Path.home())
    if platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state")
    return base / "pytest-proxmox"
