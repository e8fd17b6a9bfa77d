"""The values of the database room's ini keys and mark; nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

DEFAULT_URL = "sqlite://"


class DatabaseOptions(NamedTuple):
    """The values of the ini keys."""

    metadata: str = ""
    url: str = ""
    bind: Sequence[str] = ()
    override: Sequence[str] = ()
    allow: Sequence[str] = ()
    migrations: str = ""


def resolve_transaction(args: Sequence[object], kwargs: dict[str, object]) -> bool:
    """Return the ``transaction`` of a ``db`` mark.

    Raises:
        ValueError: the mark has other arguments, or a value that is not a bool.
    """
    value = kwargs.get("transaction", True)
    if args or set(kwargs) - {"transaction"} or not isinstance(value, bool):
        raise ValueError("the mark db takes transaction=True or transaction=False, nothing else")
    return value
