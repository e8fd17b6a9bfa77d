"""What was asked of a simulator: the latest requests, secrets removed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, overload

if TYPE_CHECKING:
    from pytest_proxmox.simulator.pipeline import Trace
    from pytest_proxmox.simulator.wire import Answer

KEPT: Final = 10_000
SECRET_WORDS: Final = ("password", "secret", "ticket", "token", "key")
HIDDEN: Final = "***"
# plain values only: a tuple of them is none of the garbage collector's business
_Entry = tuple[str, str, str, Mapping[str, Any], str, int, str, float]


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One request that was answered; secrets in ``params`` are replaced by ``***``.

    ``path`` is below ``/api2/json``, ``template`` its pattern in the API, empty where there is
    none; ``at`` is wall time in seconds since the epoch.
    """

    method: str
    path: str
    template: str
    params: Mapping[str, Any]
    user: str
    status: int
    reason: str
    at: float


class Calls(Sequence[CallRecord]):
    """The latest ten thousand requests, the oldest first.

    A record is made when somebody looks: most are never looked at, and each would cost a fifth
    of answering its request.
    """

    def __init__(self) -> None:
        self._entries: deque[_Entry] = deque(maxlen=KEPT)
        self.total = 0
        """How many there ever were, also those that are not kept any more."""

    def add(self, method: str, trace: Trace, answer: Answer, at: float) -> None:
        """Keep a request, what it turned out to be, its answer, and when that was."""
        self.total += 1
        self._entries.append(
            (
                method,
                trace.path,
                trace.template,
                trace.params,
                trace.auth.name,
                answer.status,
                answer.reason,
                at,
            )
        )

    def clear(self) -> None:
        """Forget all but how many there were."""
        self._entries.clear()

    def since(self, total: int) -> list[CallRecord]:
        """Return those that came after ``total`` was what it was then, as far as they are kept."""
        entries = list(self._entries)
        return [_record(entry) for entry in entries[max(0, len(entries) - self.total + total) :]]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[CallRecord]:
        return map(_record, list(self._entries))

    @overload
    def __getitem__(self, index: int) -> CallRecord: ...

    @overload
    def __getitem__(self, index: slice) -> list[CallRecord]: ...

    def __getitem__(self, index: int | slice) -> CallRecord | list[CallRecord]:
        found = list(self._entries)[index]
        return [_record(e) for e in found] if isinstance(found, list) else _record(found)

    def __repr__(self) -> str:
        return f"<{len(self)} calls>"


def _record(entry: _Entry) -> CallRecord:
    method, path, template, given, name, status, reason, at = entry
    params = {
        key: HIDDEN if any(word in key.lower() for word in SECRET_WORDS) else value
        for key, value in given.items()
    }
    return CallRecord(method, path, template, params, name, status, reason, at)
