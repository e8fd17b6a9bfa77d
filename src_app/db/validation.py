"""Field-level validation: what a row must be before the database is asked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from src_app.db import words
from src_app.db.errors import FieldError, ValidationError

Check = Callable[[Any], str | None]  # None when the value is fine, else what it must be
BIGGEST = 2**63 - 1  # what a BIGINT column holds


@dataclass(frozen=True, slots=True)
class Field:
    """One field's rules."""

    check: Check
    required: bool = False
    nullable: bool = False


def whole(low: int, high: int = BIGGEST) -> Check:
    """Return the check for a whole number from ``low`` to ``high``."""
    wanted = f"must be {low} to {high}" if high < BIGGEST else f"must be {low} or more"

    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return "must be a whole number"
        return None if low <= value <= high else wanted

    return check


def number(low: float) -> Check:
    """Return the check for a finite number of at least ``low``."""

    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "must be a number"
        return None if low <= value < float("inf") else f"must be {low:g} or more"

    return check


def text(longest: int, *, shortest: int = 1) -> Check:
    """Return the check for a text of ``shortest`` to ``longest`` characters."""

    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return "must be text"
        if "\x00" in value:
            return "must not have NUL characters"  # PostgreSQL stores none
        if shortest == 1 and not value.strip():
            return "must not be empty"
        if not shortest <= len(value) <= longest:
            return f"must have {shortest} to {longest} characters"
        return None

    return check


def pattern(longest: int, regex: str, wanted: str) -> Check:
    """Return the check for a text that matches ``regex``."""
    compiled, plain = re.compile(regex), text(longest)

    def check(value: Any) -> str | None:
        return plain(value) or (None if compiled.fullmatch(value) else wanted)

    return check


def choice(allowed: tuple[str, ...]) -> Check:
    """Return the check for one of a list of words."""
    wanted = f"must be one of {', '.join(allowed)}"
    return lambda value: None if isinstance(value, str) and value in allowed else wanted


def choices(allowed: tuple[str, ...]) -> Check:
    """Return the check for a list of words."""
    wanted = f"must be a list of {', '.join(allowed)}"

    def check(value: Any) -> str | None:
        fine = isinstance(value, list) and all(isinstance(v, str) and v in allowed for v in value)
        return None if fine else wanted

    return check


def boolean(value: Any) -> str | None:
    """Check for a bool."""
    return None if isinstance(value, bool) else "must be true or false"


def mapping(value: Any) -> str | None:
    """Check for a JSON object."""
    fine = isinstance(value, dict) and all(isinstance(key, str) for key in value)
    return None if fine else "must be an object with text keys"


def labels(value: Any) -> str | None:
    """Check for a list of texts."""
    fine = isinstance(value, list) and all(isinstance(item, str) and item for item in value)
    return None if fine else "must be a list of texts"


def address(value: Any) -> str | None:
    """Check for an IP address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return "must be an IP address"
    return None


NODE_NAME = pattern(
    63, r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?", "must be letters, digits and inner dashes"
)
HOSTNAME = pattern(
    63,
    r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?",
    "must be letters, digits and inner dashes, as Proxmox accepts it",
)
DNS_NAME = pattern(
    253,
    r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*",
    "must be a DNS name",
)
STORAGE_NAME = pattern(
    100,
    r"[a-zA-Z][a-zA-Z0-9_.-]*[a-zA-Z0-9]",
    "must begin with a letter, as Proxmox names storages",
)
UPID = pattern(
    255,
    r"UPID:[^:]+:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:[^:\s]+:[^:\s]*:[^:\s]+:",
    "must be a UPID",
)
BYTES = Field(whole(0))
VMID = whole(100, 999_999_999)

_GUEST: dict[str, Field] = {
    "id": Field(VMID, required=True),
    "node_id": Field(NODE_NAME, required=True),
    "status": Field(choice(words.GUEST_STATUS)),
    "cores": Field(whole(1, 8192)),
    "memory_bytes": BYTES,
    "disk_bytes": BYTES,
    "uptime_s": BYTES,
    "is_template": Field(boolean),
    "tags": Field(labels),
}

RULES: Mapping[str, Mapping[str, Field]] = {
    "node": {
        "id": Field(NODE_NAME, required=True),
        "status": Field(choice(words.NODE_STATUS)),
        "ip": Field(address, nullable=True),
        "version": Field(text(32), nullable=True),
        "cpu_count": Field(whole(0, 2**31 - 1)),
        "cpu_usage": Field(number(0)),  # a share of all cores: PVE may report a little over 1
        "memory_bytes": BYTES,
        "memory_used_bytes": BYTES,
        "uptime_s": BYTES,
    },
    "vm": {**_GUEST, "name": Field(DNS_NAME, required=True)},
    "container": {
        **_GUEST,
        "hostname": Field(DNS_NAME, required=True),
        "ostype": Field(text(32), nullable=True),
        "unprivileged": Field(boolean),
    },
    "storage": {
        "name": Field(STORAGE_NAME, required=True),
        "node_id": Field(NODE_NAME, required=True),
        "type": Field(choice(words.STORAGE_TYPE), required=True),
        "content": Field(choices(words.STORAGE_CONTENT)),
        "shared": Field(boolean),
        "active": Field(boolean),
        "total_bytes": BYTES,
        "used_bytes": BYTES,
    },
    "task": {
        "id": Field(UPID, required=True),
        "node_id": Field(NODE_NAME, required=True),
        "type": Field(text(32), required=True),
        "status": Field(choice(words.TASK_STATUS)),
        "exitstatus": Field(text(10_000), nullable=True),
        "vmid": Field(VMID, nullable=True),
        "user": Field(text(100), required=True),
    },
    "snapshot": {
        "resource_type": Field(choice(words.RESOURCE_TYPE), required=True),
        "resource_id": Field(text(255), required=True),
        "resource_data": Field(mapping, required=True),
        "change_type": Field(choice(words.CHANGE_TYPE), required=True),
    },
    "user": {
        "username": Field(
            pattern(50, r"[a-z0-9_-]{3,50}", "must be 3 to 50 of a-z, 0-9, _ and -"), required=True
        ),
        "email": Field(
            pattern(254, r"[^@\s]+@[^@\s]+\.[^@\s]+", "must be an e-mail address"), nullable=True
        ),
        "password_hash": Field(text(255), required=True),
        "role": Field(choice(words.ROLE)),
        "is_active": Field(boolean),
    },
    "app": {
        "id": Field(text(128), required=True),
        "catalog_id": Field(text(64), required=True),
        "name": Field(text(100), required=True),
        "hostname": Field(HOSTNAME, required=True),
        "node": Field(NODE_NAME, nullable=True),
        "status": Field(choice(words.APP_STATUS)),
        "vmid": Field(VMID, nullable=True),
        "cores": Field(whole(1, 16)),
        "memory_mib": Field(whole(128, 32_768)),
        "disk_gib": Field(whole(1, 500)),
        "config": Field(mapping),
        "environment": Field(mapping),
        "owner_id": Field(whole(1), required=True),
    },
    "backup": {
        "storage": Field(STORAGE_NAME, required=True),
        "status": Field(choice(words.BACKUP_STATUS)),
        "size_bytes": BYTES,
        "app_name": Field(text(100), required=True),
        "app_hostname": Field(HOSTNAME, required=True),
        "owner_id": Field(whole(1), required=True),
    },
}


def problems(entity: str, values: Mapping[str, Any], *, partial: bool = False) -> list[FieldError]:
    """Return what is wrong with ``values``; ``partial`` for an update, which may leave out any."""
    found = []
    for name, rule in RULES[entity].items():
        if name not in values:
            if rule.required and not partial:
                found.append(FieldError(name, "is missing"))
            continue
        value = values[name]
        if value is None:
            if not rule.nullable:
                found.append(FieldError(name, "is missing"))
            continue
        if (wrong := rule.check(value)) is not None:
            found.append(FieldError(name, wrong))
    return found


def validate(entity: str, values: Mapping[str, Any], *, partial: bool = False) -> None:
    """Return when ``values`` can be stored.

    Raises:
        ValidationError: names every field that cannot.
    """
    found = problems(entity, values, partial=partial)
    if found:
        raise ValidationError(entity, found)
