"""Records: what went over the wire, without secrets, in memory and, where asked for, on disk."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.target.redaction import Redaction

KEPT: Final = 10_000
FORMAT: Final = 1
PATTERN: Final = "exchanges-*.jsonl"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, secrets replaced by ``***``.

    ``path`` is below ``/api2/json``; ``data`` is the answer's JSON, or its text where it has
    none. ``test`` is the node id of the test that ran, ``at`` seconds since the epoch. ``note``
    says what the gateway did instead of forwarding it: a refusal or a fault.
    """

    method: str
    path: str
    params: Mapping[str, Any]
    status: int
    reason: str
    data: Any = None
    test: str = ""
    at: float = 0.0
    seconds: float = 0.0
    note: str = ""
    door: str = "app"

    @property
    def is_write(self) -> bool:
        """Whether it may have changed something."""
        return self.method not in ("GET", "HEAD")

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value}" for name, value in self.params.items())
        shown = f"{self.method} {self.path}" + (f" ({given})" if given else "")
        answer = f"{self.status} {self.reason}".strip() if self.status else "no answer"
        return f"{shown}: {answer}" + (f" [{self.note}]" if self.note else "")


class Recorder:
    """Keeps the latest exchanges, and writes all that were forwarded into ``folder``.

    ``test`` is what the next exchanges are counted to. ``head`` is what a replay must know.
    """

    def __init__(
        self,
        redaction: Redaction,
        *,
        folder: Path | None = None,
        worker: str = "main",
        head: Mapping[str, Any] | None = None,
    ) -> None:
        self.test = ""
        self._redaction = redaction
        self._kept: deque[Exchange] = deque(maxlen=KEPT)
        self._lock = threading.Lock()
        self._file: TextIO | None = None
        if folder is not None:
            self._file = _begin(folder, worker, dict(head or {}))

    def add(self, exchange: Exchange, *, to_disk: bool = True) -> None:
        """Keep an exchange; ``to_disk`` says that it belongs into the recording."""
        shown = Exchange(
            **{
                **{name: getattr(exchange, name) for name in exchange.__slots__},
                "path": self._redaction.text(exchange.path),
                "params": self._redaction.data(dict(exchange.params)),
                "reason": self._redaction.text(exchange.reason),
                "data": self._redaction.data(exchange.data, path=exchange.path),
                "test": self.test,
            }
        )
        with self._lock:
            self._kept.append(shown)
            if self._file is not None and to_disk:
                self._file.write(json.dumps(asdict(shown)) + "\n")
                self._file.flush()

    def of_test(self, test: str) -> list[Exchange]:
        """Return what was exchanged during a test, oldest first."""
        with self._lock:
            return [one for one in self._kept if one.test == test]

    def __len__(self) -> int:
        return len(self._kept)

    def all(self) -> list[Exchange]:
        """Return the latest exchanges, oldest first."""
        with self._lock:
            return list(self._kept)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _begin(folder: Path, worker: str, head: dict[str, Any]) -> TextIO:
    """Open this process's file; recordings of earlier runs in the folder are replaced."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(PATTERN):
            if _run_of(old) != head.get("run"):
                old.unlink(missing_ok=True)
        file = (folder / f"exchanges-{worker}.jsonl").open("w", encoding="utf-8")
    except OSError as exc:
        raise InvalidValue(
            f'"{folder}" cannot be recorded into: {exc.strerror}',
            origin="option --proxmox-record",
            hint="Name a folder that can be made",
        ) from exc
    file.write(json.dumps({"pytest-proxmox": FORMAT, **head}) + "\n")
    file.flush()
    return file


def _run_of(path: Path) -> str | None:
    """The run that a recording is of; None for what is no recording."""
    try:
        with path.open(encoding="utf-8") as file:
            head = json.loads(file.readline())
    except (OSError, ValueError):
        return None
    return str(head.get("run")) if isinstance(head, dict) else None


@dataclass(frozen=True, slots=True)
class Recording:
    """What a folder holds: a head for each process, and all exchanges by time."""

    head: Mapping[str, Any]
    exchanges: tuple[Exchange, ...] = field(repr=False)

    @classmethod
    def read(cls, folder: Path, *, origin: str = "option --proxmox-replay") -> Recording:
        """Return the recording in a folder.

        Raises:
            InvalidValue: there is none, or it cannot be read.
        """
        files = sorted(folder.glob(PATTERN))
        if not files:
            raise InvalidValue(
                f'there is no recording in "{folder}"',
                origin=origin,
                hint="Make one: pytest --proxmox real --proxmox-record DIR",
            )
        head: dict[str, Any] = {}
        found: list[Exchange] = []
        for path in files:
            try:
                first, *rows = path.read_text(encoding="utf-8").splitlines()
                head |= json.loads(first)
                found += [Exchange(**json.loads(row)) for row in rows]
            except (OSError, ValueError, TypeError) as exc:
                raise InvalidValue(
                    f'the recording "{path}" cannot be read: {exc}',
                    origin=origin,
                    hint="Record again",
                ) from exc
        if head.get("pytest-proxmox") != FORMAT:
            raise InvalidValue(
                f'"{folder}" holds a recording of format {head.get("pytest-proxmox")}',
                origin=origin,
                hint="Record again with this version",
            )
        return cls(head, tuple(sorted(found, key=lambda one: one.at)))
