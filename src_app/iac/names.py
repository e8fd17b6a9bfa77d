"""Names in generated code: valid and unique for any guest name, and the same next time."""

from __future__ import annotations

import re
import unicodedata

LONGEST_SLUG = 48
_OTHER = re.compile(r"[^a-z0-9_]+")
_PLAIN_STORAGE = re.compile(r"[a-z][a-z0-9-]*")
_KEPT = re.compile(r"[a-zA-Z0-9]")


def slug(text: str) -> str:
    """Return ``text`` in the letters that every tool accepts: ``Web-1.ä`` is ``web_1_a``.

    What begins with a digit gets an underscore before it: ``123vm`` is ``_123vm``. It may be
    empty, where nothing of the text can be kept.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    found = _OTHER.sub("_", plain)[:LONGEST_SLUG].strip("_")
    return f"_{found}" if found[:1].isdigit() else found


def guest_name(name: str, vmid: int, kind: str) -> str:
    """Return the guest's name in code. Its VMID makes it unique.

    It always has the VMID, not only where two would meet: a name must not change because
    another guest came, or Terraform would destroy the one and make the other.
    """
    return f"{slug(name) or kind}_{vmid}"


def inventory_name(name: str, vmid: int, kind: str) -> str:
    """Return the guest's name in the inventory, in the letters of host names."""
    return guest_name(name, vmid, kind).strip("_").replace("_", "-")


def storage_name(name: str) -> str:
    """Return the storage's name in code.

    ``local-lvm`` is ``local_lvm``. Storage names differ in more than that keeps (``a-b``,
    ``a_b``, ``A.b``), so any other name has its letters spelt behind a capital, which no name
    of the first sort has: a name in code belongs to one storage alone.
    """
    if _PLAIN_STORAGE.fullmatch(name):
        return name.replace("-", "_")
    return "S_" + "".join(
        letter if _KEPT.fullmatch(letter) else f"_{ord(letter):x}_" for letter in name
    )
