"""What the mark ``proxmox_faults`` asks for: which faults, and what the test may raise then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pytest

from pytest_proxmox.errors import InvalidValue

MARK: Final = "proxmox_faults"
# name -> the rules of one fault, each of which has an n-th call of its own
FAULTS: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "drop-before": ({"effect": "drop", "phase": "before"},),
    "drop-after": ({"effect": "drop", "phase": "after"},),
    "596": ({"effect": "error", "error": "timed-out", "phase": "after"},),
    "lock": tuple(
        {"effect": "error", "error": "config-lock", "method": method}
        for method in ("POST", "PUT", "DELETE")
    ),
    "warnings": ({"effect": "task-warnings", "text": "WARN: a fault of the sweep"},),
}


@dataclass(frozen=True, slots=True)
class Order:
    """What a mark asks for: the faults, and the exceptions that the test may end with."""

    faults: tuple[str, ...]
    may_raise: tuple[type[BaseException], ...] = ()

    @classmethod
    def of(cls, mark: pytest.Mark, origin: str) -> Order:
        """Return what ``@pytest.mark.proxmox_faults(each_call=…, may_raise=…)`` says.

        Raises:
            InvalidValue: an argument is not known, or not of its kind.
        """
        given = dict(mark.kwargs)
        wanted = given.pop("each_call", tuple(FAULTS))
        may_raise = given.pop("may_raise", ())
        names = wanted.split(",") if isinstance(wanted, str) else wanted
        names = tuple(str(name).strip() for name in names)
        unknown = [name for name in names if name not in FAULTS]
        if mark.args or given or unknown or not names:
            what = unknown[0] if unknown else next(iter(given), "what was given")
            raise InvalidValue(
                f'the mark {MARK} does not know "{what}"',
                origin=origin,
                hint=f"Use each_call= with some of {', '.join(FAULTS)}, and may_raise=",
            )
        kinds = may_raise if isinstance(may_raise, tuple) else (may_raise,)
        if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
            raise InvalidValue(
                f"may_raise of the mark {MARK} is no exception",
                origin=origin,
                hint="Give a class or a tuple of classes",
            )
        return cls(names, kinds)


def check(item: pytest.Item) -> None:
    """Refuse a mark that means nothing.

    Raises:
        InvalidValue: says which of its arguments.
    """
    if (mark := item.get_closest_marker(MARK)) is not None:
        Order.of(mark, item.nodeid)
