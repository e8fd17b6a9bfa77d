"""Readiness: wait until a guest does what it is there for, and say what it did instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

from pytest_proxmox.errors import InvalidValue, NotReady
from pytest_proxmox.sandbox.inventory import Inventory
from pytest_proxmox.target import probe
from pytest_proxmox.target.calls import Calls
from pytest_proxmox.values import GuestRef

POLL_S: Final = 0.5
GOOD: Final = range(200, 400)

Look = Callable[[], str]
"""Looks once: what is still wrong, empty where nothing is."""


class Awaited(Protocol):
    """What waiting needs of a guest."""

    @property
    def ref(self) -> GuestRef:
        """Where it is."""

    @property
    def url(self) -> str | None:
        """Its address, None while it has none."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a guest is waited for; None means: not for that.

    ``http`` is a path, asked at ``port`` if that is given too, or a whole URL. ``log`` is a
    regular expression that the log of the guest's newest task must have a match for.
    """

    http: str | None = None
    port: int | None = None
    log: str | None = None

    def looks(self, guest: Awaited, calls: Calls) -> list[Look]:
        """Return what must be looked at.

        Raises:
            InvalidValue: nothing is waited for, or not in a way that can be.
        """
        if self.log is not None:
            pattern = _pattern(self.log)
        looks: list[Look] = []
        if self.http is not None:
            looks.append(lambda: self._ask(guest))
        elif self.port is not None:
            looks.append(lambda: self._knock(guest))
        if self.log is not None:
            looks.append(lambda: _read(guest, calls, pattern))
        if not looks:
            raise InvalidValue(
                f"nothing to wait for at {guest.ref}", hint='Say http="/", port=80 or log="ready"'
            )
        return looks

    def _ask(self, guest: Awaited) -> str:
        url = self.http or ""
        if not url.startswith(("http://", "https://")):
            base = guest.url
            if base is None:
                return "it has no address"
            place = base if self.port is None else f"{base}:{self.port}"
            url = f"{place}/{url.removeprefix('/')}"
        status = probe.http_status(url)
        return "" if status in GOOD else f"GET {url}: {status}"

    def _knock(self, guest: Awaited) -> str:
        host = urlsplit(guest.url or "").hostname
        if host is None or self.port is None:
            return "it has no address"
        return "" if probe.accepts(host, self.port) else f"{host} port {self.port} is closed"


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as exc:
        raise InvalidValue(
            f'log="{text}" is no regular expression: {exc}',
            hint="Pass a text that is meant as it stands through re.escape()",
        ) from exc


def _read(guest: Awaited, calls: Calls, pattern: re.Pattern[str]) -> str:
    """Look at the log of the guest's newest task."""
    rows = Inventory(calls).tasks(guest.ref.node, guest.ref.vmid)
    if not rows:
        return "it has no task"
    newest = max(rows, key=lambda row: (row.upid.starttime, row.upid.pstart)).upid
    log = calls.get(f"nodes/{newest.node}/tasks/{newest}/log", limit=0)
    lines = [str(line.get("t", "")) for line in log]
    if any(pattern.search(line) for line in lines):
        return ""
    last = lines[-1] if lines else "nothing"
    return f'the log of its {newest.type} says "{last}" last, and "{pattern.pattern}" nowhere'


def wait_until(guest: Awaited, calls: Calls, conditions: Conditions, *, timeout_s: float) -> None:
    """Return once all conditions hold at the same time.

    Raises:
        NotReady: they did not within ``timeout_s`` seconds; says what was still wrong.
        InvalidValue: there is no condition.
    """
    looks = conditions.looks(guest, calls)
    start = calls.clock.monotonic()
    while True:
        wrong = next(filter(None, (look() for look in looks)), "")
        if not wrong:
            return
        waited_s = calls.clock.monotonic() - start
        if waited_s >= timeout_s:
            raise NotReady(str(guest.ref), wrong, waited_s=waited_s)
        calls.clock.sleep(min(POLL_S, max(timeout_s - waited_s, 0.01)))
