"""Names of configuration keys: ``net0`` to ``net31``, ``rootfs``, ``unused3``."""

from __future__ import annotations

import re
from functools import lru_cache


class KeyPattern:
    """A pattern for keys that remembers its answers: the same few keys are asked about always."""

    def __init__(self, pattern: str) -> None:
        self.fullmatch = lru_cache(maxsize=2048)(re.compile(pattern).fullmatch)
