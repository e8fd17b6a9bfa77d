"""Lists as PVE writes them in one text: split at commas, semicolons and white space."""

from __future__ import annotations

import re
from typing import Final

_SEPARATORS: Final = re.compile(r"[,;\s\0]+")


def split(text: object) -> list[str]:
    """Return the words of a list; nothing given is an empty list."""
    return [word for word in _SEPARATORS.split("" if text is None else str(text)) if word]
