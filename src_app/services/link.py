"""The way to Proxmox, which may be away: the manager runs, and says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from src_app.clock import Clock, SystemClock
from src_app.proxmox import ProxmoxService
from src_app.proxmox.errors import ProxmoxError

PAUSE_S = 3.0  # between two tries, so that a page full of requests does not wait for each


class ProxmoxLink:
    """Gives the connected service, and connects again where that failed before."""

    def __init__(
        self,
        connect: Callable[[], ProxmoxService],
        *,
        clock: Clock | None = None,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._connect = connect
        self._clock = clock or SystemClock()
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._service: ProxmoxService | None = None
        self._failure: tuple[float, ProxmoxError] | None = None

    @classmethod
    def to(cls, service: ProxmoxService) -> ProxmoxLink:
        """Return the link to a service that is there already."""
        return cls(lambda: service)

    @property
    def problem(self) -> str | None:
        """Why there is no connection, None where there is one or nobody asked yet."""
        return None if self._failure is None else str(self._failure[1])

    def now(self) -> ProxmoxService:
        """Return the connected service; blocks while it connects.

        Raises:
            ProxmoxError: it cannot be reached, or refuses the login.
        """
        with self._lock:
            if self._service is not None:
                return self._service
            if self._failure and self._clock.monotonic() - self._failure[0] < self._pause_s:
                raise self._failure[1].with_traceback(None)
            try:
                service = self._connect()
            except ProxmoxError as exc:
                self._failure = (self._clock.monotonic(), exc)
                raise
            self._service, self._failure = service, None
            return service

    async def service(self) -> ProxmoxService:
        """Return the connected service, leaving the event loop free meanwhile.

        Raises:
            ProxmoxError: it cannot be reached, or refuses the login.
        """
        return await asyncio.to_thread(self.now) if self._service is None else self._service

    def forget(self) -> None:
        """Connect anew at the next use: the settings have changed."""
        with self._lock:
            self._service = self._failure = None
