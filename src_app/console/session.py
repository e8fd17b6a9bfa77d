"""One sitting at the console."""

from __future__ import annotations


class ConsoleSession:
    """What commands share while the console is open."""
