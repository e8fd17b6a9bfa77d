"""How each setting is spelled: its text in, its value out, a mistake named with its origin.

Every function takes the text and where it came from, and raises ``InvalidValue``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.options import CLOCKS, DEFAULT_PORT, TRANSPORTS
from pytest_proxmox.values import NodeName, VmidRange, Volid

PRESETS = ("single", "cluster")

Spelling = Callable[[str, str], object]

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_HOST = r"(?P<host>\[[0-9a-fA-F:.%]+\]|[A-Za-z0-9._-]+)(:(?P<port>[0-9]+))?"
_BARE_IPV6 = r"[0-9a-fA-F.]*(:[0-9a-fA-F.]*){2,}"
_USER = r"(?P<user>[^\s:/@!]+@[A-Za-z][A-Za-z0-9._-]*)(!(?P<token>[A-Za-z][\w.-]*))?"
_WORD = r"[A-Za-z][\w.-]*"


class Address(NamedTuple):
    """A host and, where it was written with one, its port."""

    host: str
    port: int | None = None


class Account(NamedTuple):
    """A user with its realm, a token's name, or both at once: ``user@realm!name``."""

    user: str | None = None
    token_name: str | None = None


class Caps(NamedTuple):
    """What a run may use at a time; None where there is no limit."""

    guests: int | None = None
    memory_mib: int | None = None
    disk_gib: int | None = None

    def __str__(self) -> str:
        units = (("guests", self.guests, ""), ("memory", self.memory_mib, "M"))
        shown = [*units, ("disk", self.disk_gib, "G")]
        return ",".join(f"{name}={value}{unit}" for name, value, unit in shown if value is not None)


NO_CAPS = Caps()


def address(text: str, origin: str) -> Address:
    """Return the host, and the port where it is given, in ``host``, ``host:port`` or a URL."""
    bare = text.strip().removeprefix("https://").rstrip("/")
    if re.fullmatch(_BARE_IPV6, bare):
        return Address(bare)
    match = re.fullmatch(_HOST, bare)
    if match is None:
        shown = "the value" if "@" in text else f'"{text}"'  # it may hold a password
        raise InvalidValue(f"{shown} is not a host", origin=origin, hint="Write host or host:port")
    digits = match["port"]
    return Address(match["host"].strip("[]"), port(digits, origin) if digits else None)


def port(text: str, origin: str) -> int:
    """Return the port number."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535):
        raise InvalidValue(f'"{text}" is not a port', origin=origin, hint="Use 1 to 65535")
    return int(text)


def url(place: Address) -> str:
    """Return the https address of a Proxmox at ``place``."""
    host = f"[{place.host}]" if ":" in place.host else place.host
    return f"https://{host}:{place.port or DEFAULT_PORT}"


def target(text: str, origin: str) -> str:
    """Return ``simulator``, ``real``, ``replay``, or the https address of a running server."""
    if text in ("simulator", "real", "replay"):
        return text
    hint = "Use simulator, real, replay or an address such as https://127.0.0.1:8006"
    if "@" in text:  # it may hold a password
        raise InvalidValue("the target's address holds a user", origin=origin, hint=hint)
    if not text.startswith("https://") or _path(text) not in ("", "/"):
        raise InvalidValue(f'"{text}" is not a target', origin=origin, hint=hint)
    return url(address(text, origin))


def _path(text: str) -> str | None:
    """Return the path of a URL, None for what is none (an IPv6 address with one bracket)."""
    try:
        return urlsplit(text).path
    except ValueError:
        return None


def account(text: str, origin: str) -> Account:
    """Return the user in ``user@realm``, with the token's name in ``user@realm!name``."""
    match = re.fullmatch(_USER, text)
    if match is None:
        raise InvalidValue(
            f'"{text}" is not a Proxmox user',
            origin=origin,
            hint="Write it with its realm, e.g. root@pam",
        )
    return Account(match["user"], match["token"])


def token_name(text: str, origin: str) -> Account:
    """Return the token in ``name`` or in its full id ``user@realm!name``."""
    if re.fullmatch(_WORD, text):
        return Account(token_name=text)
    match = re.fullmatch(_USER, text)
    if match is None or match["token"] is None:
        shown = "the value" if "=" in text else f'"{text}"'  # name=secret, pasted as one
        raise InvalidValue(
            f"{shown} is not a token's name", origin=origin, hint="Write name or user@realm!name"
        )
    return Account(match["user"], match["token"])


def verification(text: str, origin: str) -> bool | str:
    """Return whether certificates are checked, or the file of CA certificates to check with."""
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    if Path(text).is_file():
        return text
    raise InvalidValue(
        f'"{text}" is neither true nor false nor a file',
        origin=origin,
        hint="Use true, false or the path of a file with CA certificates",
    )


def secret(text: str, origin: str) -> str:
    """Return the text as it is: whatever it holds is never shown."""
    return text


def node(text: str, origin: str) -> NodeName:
    """Return the node's name."""
    return NodeName.parse(text, origin=origin)


def vmid_range(text: str, origin: str) -> VmidRange:
    """Return the range written as ``first-last``."""
    return VmidRange.parse(text, origin=origin)


def grace(text: str, origin: str) -> float:
    """Return the seconds, from 0 to an hour."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise InvalidValue(
            f'"{text}" is not a number of seconds',
            origin=origin,
            hint="Use 0 to 3600; with fewer than 20, xdist workers that lost their controller may "
            "still be making guests",
        )
    return seconds


def folder(text: str, origin: str) -> str:
    """Return the path of a folder, which may have to be made."""
    if Path(text).exists() and not Path(text).is_dir():
        raise InvalidValue(f'"{text}" is no folder', origin=origin, hint="Name a folder")
    return text


def keeping(text: str, origin: str) -> float:
    """Return for how many seconds the guests of failed tests live on."""
    match = re.fullmatch(r"failed(=(?P<number>\d{1,5})(?P<unit>[smhd]))?", text)
    if match is None:
        raise InvalidValue(
            f'"{text}" does not say what to keep', origin=origin, hint="Write failed or failed=30m"
        )
    if match["number"] is None:
        return 1800.0
    return float(match["number"]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match["unit"]]


def caps(text: str, origin: str) -> Caps:
    """Return the limits in ``guests=20,memory=16G,disk=100G``; each of them may be left out."""
    found: dict[str, int] = {}
    for part in text.split(","):
        match = re.fullmatch(
            r"\s*(guests=(?P<guests>\d{1,6})|memory=(?P<memory>\d{1,7})(?P<unit>[MG])"
            r"|disk=(?P<disk>\d{1,7})G)\s*",
            part,
        )
        if match is None:
            raise InvalidValue(
                f'"{part}" is no cap', origin=origin, hint="Write guests=20,memory=16G,disk=100G"
            )
        if match["guests"]:
            found["guests"] = int(match["guests"])
        elif match["memory"]:
            found["memory_mib"] = int(match["memory"]) * (1024 if match["unit"] == "G" else 1)
        else:
            found["disk_gib"] = int(match["disk"])
    return Caps(**found)


def volume(text: str, origin: str) -> str:
    """Return a volume id, checked to be ``storage:name``."""
    return str(Volid.parse(text, origin=origin))


def world(text: str, origin: str) -> str:
    """Return a preset's name, or the path of a world file that can be read."""
    if text in PRESETS or (Path(text).is_file() and os.access(text, os.R_OK)):
        return text
    problem = "cannot be read" if Path(text).exists() else "does not exist"
    raise InvalidValue(
        f'world "{text}" is no preset, and a file of that name {problem}',
        origin=origin,
        hint=f"Use {', '.join(PRESETS)} or the path of a world file",
    )


def named(what: str, pattern: str, *, example: str) -> Spelling:
    """Return the spelling of a name that ``pattern`` matches as a whole."""

    def parse(text: str, origin: str) -> str:
        if re.fullmatch(pattern, text, re.ASCII):
            return text
        raise InvalidValue(
            f'"{text}" is not the name of a {what}',
            origin=origin,
            hint=f"Write one such as {example}",
        )

    return parse


def one_of(what: str, choices: tuple[str, ...]) -> Spelling:
    """Return the spelling of a word from a list."""

    def parse(text: str, origin: str) -> str:
        if text in choices:
            return text
        raise InvalidValue(
            f'"{text}" is not a {what}', origin=origin, hint=f"Use {', '.join(choices)}"
        )

    return parse


storage = named("storage", r"[a-zA-Z][\w.-]*[a-zA-Z0-9]", example="local-lvm")
bridge = named("bridge", r"[a-zA-Z][\w.]*", example="vmbr0")
pool = named("pool", r"[a-zA-Z][\w.-]*", example="pytest")
clock = one_of("clock", CLOCKS)
transport = one_of("transport", TRANSPORTS)
