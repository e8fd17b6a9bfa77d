"""Hostnames as Proxmox accepts them, and the app ids made from them."""

from __future__ import annotations

import re

from src_app.domain.errors import InvalidInput

SHORTEST, LONGEST = 3, 63
RULE = f"must have {SHORTEST} to {LONGEST} letters, digits and inner dashes"
_HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


def parse_hostname(text: str) -> str:
    """Return the hostname in lower case.

    Raises:
        InvalidInput: Proxmox would refuse it.
    """
    hostname = text.strip().lower()
    fits = SHORTEST <= len(hostname) <= LONGEST
    if not (fits and _HOSTNAME.fullmatch(hostname)):
        raise InvalidInput(f'Hostname "{text}" {RULE}', fields={"hostname": RULE})
    return hostname


def app_id(catalog_id: str, hostname: str) -> str:
    """Return the id of an app: its kind and its hostname."""
    return f"{catalog_id}-{hostname}"
