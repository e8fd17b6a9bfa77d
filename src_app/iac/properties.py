"""Proxmox's property strings: ``virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1``."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)")
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_TRUE = {"1", "yes", "on", "true"}
_FALSE = {"0", "no", "off", "false"}


def properties(value: object, default_key: str) -> dict[str, str]:
    """Return the parts of a property string by name; the one without a name is ``default_key``."""
    found: dict[str, str] = {}
    for part in str(value).split(","):
        name, equals, text = part.partition("=")
        if equals:
            found[name.strip()] = text.strip()
        elif part.strip():
            found[default_key] = part.strip()
    return found


def number(value: object) -> int | None:
    """Return a whole number, or None where it is none."""
    text = str(value).strip()
    return int(text) if text.isdecimal() and text.isascii() else None


def flag(value: object) -> bool | None:
    """Return what Proxmox writes as 0 and 1, or None where it is neither."""
    text = str(value).strip().lower()
    return True if text in _TRUE else False if text in _FALSE else None


def size_bytes(value: object) -> int:
    """Return the bytes of a size such as ``8G``; 0 where it tells none."""
    found = _SIZE.fullmatch(str(value).strip())
    return round(float(found[1]) * _UNITS[found[2]]) if found else 0


def volume(value: str) -> tuple[str, str]:
    """Return the storage and the volume's name of a disk; a path has no storage."""
    name = properties(value, "volume").get("volume") or properties(value, "file").get("file", "")
    storage, colon, rest = name.partition(":")
    return (storage, rest) if colon and not name.startswith("/") else ("", name)
