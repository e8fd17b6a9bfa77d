"""What VMs and containers have in common as Terraform: sizes, start order, names servers, notes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from src_app.iac.hcl import Attribute, Block, Comment, Expression, Item, Value, attributes
from src_app.iac.properties import flag, number, properties, size_bytes
from src_app.iac.state import GIB, GuestFacts

# What Proxmox lists beside the settings, or sets by itself; a note about it would be noise.
SILENT = frozenset(
    {"digest", "meta", "vmgenid", "smbios1", "lock", "parent", "snaptime", "pending", "snapshots"}
)


def block(kind: str, values: Mapping[str, Value | None], *inner: Block) -> Block | None:
    """Return a block of what is known, or None where nothing is."""
    body: tuple[Item, ...] = (*attributes(values), *inner)
    return Block(kind, body=body) if body else None


def kept(items: Iterable[Item | None]) -> tuple[Item, ...]:
    """Return the items that are there."""
    return tuple(item for item in items if item is not None)


def switch(guest: GuestFacts, key: str, *, default: bool = False) -> bool | None:
    """Return a setting that is on or off; ``default`` is Proxmox's own, None without a config."""
    told = flag(guest.config.get(key, ""))
    return (default if guest.config else None) if told is None else told


def text(guest: GuestFacts, key: str) -> str | None:
    """Return a setting as it stands, or None where there is none."""
    value = guest.config.get(key)
    return None if value in (None, "") else str(value)


def whole(guest: GuestFacts, key: str) -> int | None:
    """Return a setting as a whole number, or None where it is none."""
    return number(guest.config.get(key, ""))


def decimal(value: object) -> int | float | None:
    """Return a number as short as it can be written, or None where it is none."""
    try:
        told = float(str(value))
    except ValueError:
        return None
    if not 0 <= told < 1e9:
        return None
    return int(told) if told.is_integer() else told


def gib(value: object) -> int | None:
    """Return a size in whole GiB, the last one begun, or None where none is told."""
    return -(-size_bytes(value) // GIB) or None


def startup(guest: GuestFacts) -> Block | None:
    """Return the order in which guests start; without a number the provider knows none."""
    told = properties(guest.config.get("startup", ""), "order")
    if number(told.get("order", "")) is None:
        return None
    return block(
        "startup",
        {
            "order": told["order"],
            "up_delay": told.get("up"),
            "down_delay": told.get("down"),
        },
    )


def dns(guest: GuestFacts) -> Block | None:
    """Return the name servers and the search domain."""
    servers = str(guest.config.get("nameserver", "")).replace(",", " ").split()
    return block(
        "dns",
        {"domain": text(guest, "searchdomain"), "servers": [*servers] if servers else None},
    )


def ip_config(told: Mapping[str, str]) -> Block:
    """Return one interface's addresses; an empty block keeps the place of one without any."""
    return Block(
        "ip_config",
        body=kept(
            (
                _address("ipv4", told.get("ip"), told.get("gw")),
                _address("ipv6", told.get("ip6"), told.get("gw6")),
            )
        ),
    )


def _address(kind: str, address: str | None, gateway: str | None) -> Block | None:
    if address in (None, "", "manual"):
        return None
    return block(kind, {"address": address, "gateway": gateway})


def lifecycle(ignored: Iterable[str]) -> Block:
    """Return what keeps Terraform from destroying a guest, and from undoing what is not told."""
    return Block(
        "lifecycle",
        body=(
            Attribute("prevent_destroy", True),
            Attribute("ignore_changes", [Expression(name) for name in ignored]),
        ),
    )


class Telling:
    """Which of a guest's settings the code tells, so that it can say which it does not."""

    def __init__(self, guest: GuestFacts, settings: Iterable[str]) -> None:
        self._guest = guest
        self._told = {*settings, *SILENT}
        self._parts: set[str] = set()

    def tell(self, key: str, parts: Mapping[str, str], known: Iterable[str]) -> None:
        """Note that a setting is told, but for those of its parts that are not ``known``."""
        self._told.add(key)
        self._parts |= {f"{key} {name}" for name in set(parts) - set(known)}

    def note(self) -> Comment | None:
        """Return the names of what the code does not tell; never what it holds."""
        left = sorted({key for key in self._guest.config if key not in self._told} | self._parts)
        names = ", ".join(re.sub(r"[^\w .+-]", "?", name) for name in left)
        return Comment(f"Not told here, and left as it is: {names}") if left else None


def tags(guest: GuestFacts) -> list[Value]:
    """Return the tags as Proxmox sorts them, so that none is seen as a change."""
    return [*guest.tags]


def strings(values: Iterable[Any]) -> list[Value]:
    """Return texts as a list."""
    return [str(value) for value in values]
