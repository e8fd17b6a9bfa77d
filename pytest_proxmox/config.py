"""Settings of a run: one row in a table for each, frozen once resolved, each with its source."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pytest_proxmox import spellings
from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.spellings import Account, Address, Spelling
from pytest_proxmox.values import NodeName, VmidRange

TargetKind = Literal["simulator", "real", "url"]

CLOCKS = ("on-poll", "instant", "real", "manual")
TRANSPORTS = ("https", "in-process")
ENV_FILE = ".env.test"
AUTO_ASYNCIO = "auto_asyncio"
REAL_SKIP_REASON = "Real Proxmox integration tests require PROXMOX_HOST env var"


class Rank(IntEnum):
    """How strong a source is: the strongest one that gives a value wins."""

    DEFAULT = 0
    INI = 1
    ENV_FILE = 2
    ENVIRONMENT = 3
    CLI = 4


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: ``place`` is short, for the header, ``text`` is exact."""

    rank: Rank
    place: str
    text: str


DEFAULT = Origin(Rank.DEFAULT, "default", "default")


@dataclass(frozen=True, slots=True)
class Option:
    """One setting: the flag, the ini key and the environment variables that give it.

    A secret has neither flag nor ini key, so that it cannot end up in a shell's history
    or in a committed file.
    """

    name: str
    env: tuple[str, ...]
    parse: Spelling
    help: str
    flag: str = ""
    ini: str = ""
    default: str | None = None
    metavar: str = ""

    @property
    def takes_path(self) -> bool:
        """Whether the text may be the path of a file."""
        return self.parse in (spellings.world, spellings.verification)


def _option(
    suffix: str,
    parse: Spelling,
    help: str,
    *,
    metavar: str,
    default: str | None = None,
    env: tuple[str, ...] = (),
) -> Option:
    """A row whose flag, ini key and first variable follow from its name."""
    name = suffix.replace("-", "_")
    names = (f"PROXMOX_{name.upper()}", *env)
    return Option(
        name, names, parse, help, f"--proxmox-{suffix}", f"proxmox_{name}", default, metavar
    )


_STORAGE = spellings.named("storage", r"[a-zA-Z][\w.-]*[a-zA-Z0-9]", example="local-lvm")
_BRIDGE = spellings.named("bridge", r"[a-zA-Z][\w.]*", example="vmbr0")
_POOL = spellings.named("pool", r"[a-zA-Z][\w.-]*", example="pytest")

OPTIONS: tuple[Option, ...] = (
    Option(
        "target",
        ("PROXMOX_TARGET",),
        spellings.target,
        "where tests run: the embedded simulator (default), the real Proxmox that "
        "PROXMOX_HOST names, or a running server's https:// address",
        flag="--proxmox",
        ini="proxmox_target",
        default="simulator",
        metavar="simulator|real|URL",
    ),
    _option("host", spellings.address, "the real Proxmox: host or host:port", metavar="HOST"),
    _option(
        "port",
        spellings.port,
        "its port (default: 8006)",
        metavar="PORT",
        default=str(spellings.DEFAULT_PORT),
    ),
    _option(
        "user",
        spellings.account,
        "its user (default: root@pam); password and token come from the environment only",
        metavar="USER",
        default="root@pam",
        env=("PROXMOX_USERNAME",),
    ),
    _option("node", spellings.node, "node for new guests (default: found)", metavar="NODE"),
    _option("storage", _STORAGE, "storage for disks (default: found)", metavar="STORAGE"),
    _option("backup-storage", _STORAGE, "storage for backups (default: found)", metavar="STORAGE"),
    _option("template", spellings.volume, "container template (default: found)", metavar="VOLID"),
    _option("bridge", _BRIDGE, "bridge for networks (default: found)", metavar="BRIDGE"),
    _option(
        "pool",
        _POOL,
        "parent of the pools that mark guests as ours (default: pytest)",
        metavar="POOL",
        default="pytest",
    ),
    _option(
        "verify-ssl",
        spellings.verification,
        "check the certificate: true (default), false or a file with CA certificates",
        metavar="BOOL|FILE",
        default="true",
    ),
    Option(
        "vmid_range",
        ("PROXMOX_VMID_RANGE",),
        spellings.vmid_range,
        "VMIDs that tests may lease (default: 9000-9999)",
        flag="--vmid-range",
        ini="proxmox_vmid_range",
        default="9000-9999",
        metavar="FIRST-LAST",
    ),
    _option(
        "world",
        spellings.world,
        "what the simulator starts with: a preset (default: single) or a world file",
        metavar="single|cluster|FILE",
        default="single",
    ),
    _option(
        "clock",
        spellings.one_of("clock", CLOCKS),
        "when the simulator's tasks end (default: on-poll)",
        metavar="|".join(CLOCKS),
        default="on-poll",
    ),
    _option(
        "transport",
        spellings.one_of("transport", TRANSPORTS),
        "how clients reach the simulator (default: https)",
        metavar="|".join(TRANSPORTS),
        default="https",
    ),
)

SECRETS: tuple[Option, ...] = (
    Option("password", ("PROXMOX_PASSWORD",), spellings.secret, "the user's password"),
    Option(
        "token_name",
        ("PROXMOX_TOKEN_NAME", "PROXMOX_TOKEN_ID"),
        spellings.token_name,
        "an API token's name, or its full id",
    ),
    Option(
        "token_value",
        ("PROXMOX_TOKEN_VALUE", "PROXMOX_TOKEN_SECRET"),
        spellings.secret,
        "an API token's secret",
    ),
)

MARKERS: tuple[tuple[str, str], ...] = (
    ("real_proxmox", "needs a real Proxmox VE; skipped unless PROXMOX_HOST names one"),
    ("integration", "may use services outside the test process"),
    ("lifecycle", "follows a guest or an app through its whole life"),
    ("critical", "must never fail: a failure stops a release"),
    ("smoke", "a quick look whether the main path works"),
    ("e2e", "drives the app in a browser"),
    ("auth", "logging in, out and staying logged in"),
    ("navigation", "moving between the app's views"),
    ("backup", "backing up and restoring"),
    ("update", "updating an app"),
    ("clone", "cloning a guest or an app"),
    ("slow", "takes longer than a few seconds"),
    ("config", "changing configuration"),
    ("canvas", "the app's own page inside the manager"),
    ("monitoring", "metrics and status over time"),
    ("settings", "the manager's settings"),
    ("vmid_range(size)", "this test needs so many VMIDs: leased together before it starts"),
    (
        "allow_leaks(pattern, ..., reason=None)",
        "this test may leave behind what the patterns (kind or kind:glob) name; none: anything",
    ),
)
TIMEOUT_MARKER = ("timeout(seconds)", "without pytest-timeout installed this does nothing")


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything a value may come from, as text; ``cli`` and ``ini`` are by option name.

    ``overridden`` names the ini keys that ``-o`` gave.
    """

    cli: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    env_file: Mapping[str, str] = field(default_factory=dict, repr=False)
    ini: Mapping[str, str] = field(default_factory=dict)
    ini_name: str = "ini file"
    overridden: frozenset[str] = frozenset()

    def find(self, option: Option) -> tuple[str | None, Origin]:
        """Return the text of the strongest source that gives this option, and that source.

        An empty variable counts as unset: CI systems expand a missing secret to "".
        """
        if option.name in self.cli:
            return self.cli[option.name], Origin(Rank.CLI, option.flag, f"option {option.flag}")
        for name in filter(self.environ.get, option.env):
            return self.environ[name], Origin(
                Rank.ENVIRONMENT, name, f"environment variable {name}"
            )
        for name in filter(self.env_file.get, option.env):
            return self.env_file[name], Origin(Rank.ENV_FILE, ENV_FILE, f"{name} in {ENV_FILE}")
        if option.name in self.ini:
            place = "-o" if option.ini in self.overridden else self.ini_name
            return self.ini[option.name], Origin(Rank.INI, place, f"ini key {option.ini}, {place}")
        return option.default, DEFAULT


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
    world: str
    clock: str
    transport: str
    password: str | None = field(default=None, repr=False)
    token_name: str | None = None
    token_value: str | None = field(default=None, repr=False)
    origins: Mapping[str, Origin] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    @property
    def kind(self) -> TargetKind:
        """``simulator``, ``real``, or ``url`` for a running server."""
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
        parsed[option.name] = None if text is None else option.parse(text, origin.text)
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
    value = "" if option.parse is spellings.secret else f" {getattr(settings, option.name)}"
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
