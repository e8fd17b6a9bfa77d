"""The table of options, and the sources that give their values, as text.

Each start of pytest loads this, also where the plugin is not used: what parses is elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

ENV_FILE = ".env.test"
AUTO_ASYNCIO = "auto_asyncio"
DEFAULT_PORT = 8006  # where pveproxy listens
CLOCKS = ("on-poll", "instant", "real", "manual")
TRANSPORTS = ("https", "in-process")
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Rank(IntEnum):
    """How strong a source is: the strongest one that gives a value wins."""

    DEFAULT = 0
    INI = 1
    ENV_FILE = 2
    ENVIRONMENT = 3
    CLI = 4


class Origin(NamedTuple):
    """Where a value came from: ``place`` is short, for the header, ``text`` is exact."""

    rank: Rank
    place: str
    text: str


DEFAULT = Origin(Rank.DEFAULT, "default", "default")


class Option(NamedTuple):
    """One setting: the flag, the ini key and the environment variables that give it.

    A secret has neither flag nor ini key, so that it cannot end up in a shell's history
    or in a committed file. ``spelling`` names the function in ``spellings`` that parses its
    text: only a run that gives or uses a value loads it.
    """

    name: str
    env: tuple[str, ...]
    spelling: str
    help: str
    flag: str = ""
    ini: str = ""
    default: str | None = None
    metavar: str = ""

    @property
    def takes_path(self) -> bool:
        """Whether the text may be the path of a file."""
        return self.spelling in ("world", "verification")


def _option(
    suffix: str,
    spelling: str,
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
        name, names, spelling, help, f"--proxmox-{suffix}", f"proxmox_{name}", default, metavar
    )


OPTIONS: tuple[Option, ...] = (
    Option(
        "target",
        ("PROXMOX_TARGET",),
        "target",
        "where tests run: the embedded simulator (default), the real Proxmox that "
        "PROXMOX_HOST names, a recording, or a running server's https:// address",
        flag="--proxmox",
        ini="proxmox_target",
        default="simulator",
        metavar="simulator|real|replay|URL",
    ),
    _option("host", "address", "the real Proxmox: host or host:port", metavar="HOST"),
    _option(
        "port",
        "port",
        "its port (default: 8006)",
        metavar="PORT",
        default=str(DEFAULT_PORT),
    ),
    _option(
        "user",
        "account",
        "its user (default: root@pam); password and token come from the environment only",
        metavar="USER",
        default="root@pam",
        env=("PROXMOX_USERNAME",),
    ),
    _option("node", "node", "node for new guests (default: found)", metavar="NODE"),
    _option("storage", "storage", "storage for disks (default: found)", metavar="STORAGE"),
    _option("backup-storage", "storage", "storage for backups (default: found)", metavar="STORAGE"),
    _option("template", "volume", "container template (default: found)", metavar="VOLID"),
    _option("bridge", "bridge", "bridge for networks (default: found)", metavar="BRIDGE"),
    _option(
        "pool",
        "pool",
        "parent of the pools that mark guests as ours (default: pytest)",
        metavar="POOL",
        default="pytest",
    ),
    _option(
        "verify-ssl",
        "verification",
        "check the certificate: true (default), false or a file with CA certificates",
        metavar="BOOL|FILE",
        default="true",
    ),
    Option(
        "vmid_range",
        ("PROXMOX_VMID_RANGE",),
        "vmid_range",
        "VMIDs that tests may lease (default: 9000-9999)",
        flag="--vmid-range",
        ini="proxmox_vmid_range",
        default="9000-9999",
        metavar="FIRST-LAST",
    ),
    _option(
        "reaper-grace",
        "grace",
        "seconds between the death of a process of the run and the clean-up after it (default: 20)",
        metavar="SECONDS",
        default="20",
    ),
    _option(
        "world",
        "world",
        "what the simulator starts with: a preset (default: single) or a world file",
        metavar="single|cluster|FILE",
        default="single",
    ),
    _option(
        "clock",
        "clock",
        "when the simulator's tasks end (default: on-poll)",
        metavar="|".join(CLOCKS),
        default="on-poll",
    ),
    _option(
        "transport",
        "transport",
        "how clients reach the simulator, or the gateway before a real one (default: https)",
        metavar="|".join(TRANSPORTS),
        default="https",
    ),
    _option(
        "record",
        "folder",
        "keep there what the real Proxmox was asked and answered, without secrets",
        metavar="DIR",
    ),
    _option("replay", "folder", "answer from a recording, without a Proxmox", metavar="DIR"),
    _option(
        "keep",
        "keeping",
        "let the guests of failed tests live, for 30 min or as long as is said",
        metavar="failed[=30m]",
    ),
    _option(
        "caps",
        "caps",
        "what a run may use at a time: guests, memory and disk of its node; workers wait",
        metavar="guests=N,memory=N,disk=N",
    ),
)

SECRETS: tuple[Option, ...] = (
    Option("password", ("PROXMOX_PASSWORD",), "secret", "the user's password"),
    Option(
        "token_name",
        ("PROXMOX_TOKEN_NAME", "PROXMOX_TOKEN_ID"),
        "token_name",
        "an API token's name, or its full id",
    ),
    Option(
        "token_value",
        ("PROXMOX_TOKEN_VALUE", "PROXMOX_TOKEN_SECRET"),
        "secret",
        "an API token's secret",
    ),
)


class Sources(NamedTuple):
    """Everything a value may come from, as text; ``cli`` and ``ini`` are by option name.

    ``overridden`` names the ini keys that ``-o`` gave.
    """

    cli: Mapping[str, str] = _NOTHING
    environ: Mapping[str, str] = _NOTHING
    env_file: Mapping[str, str] = _NOTHING
    ini: Mapping[str, str] = _NOTHING
    ini_name: str = "ini file"
    overridden: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Sources(cli={self.cli!r}, ini={self.ini!r})"  # the others hold passwords

    @property
    def is_silent(self) -> bool:
        """Whether nobody gave any value: each is its default."""
        return all(self.find(option)[1] is DEFAULT for option in (*OPTIONS, *SECRETS))

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
