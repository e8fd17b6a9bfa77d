"""The heartbeat: renews a run's blocks for as long as its process is at work."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Final, Self

from pytest_proxmox.errors import LeaseLost, ProxmoxTestError
from pytest_proxmox.sandbox.blocks import LEASE_S
from pytest_proxmox.sandbox.ground import Ground

BEAT_S: Final = LEASE_S / 6  # three tries are left when a lease is half over
_LOG: Final = logging.getLogger(__name__)


class Heartbeat:
    """A thread that renews what a process of a run holds; a context manager.

    It goes on through tear-down: end it after ``Sandbox.sweep_run``. A lost lease is found by
    the next step of a sandbox too, which raises; here it only ends the thread.
    """

    def __init__(self, ground: Ground, *, every_s: float = BEAT_S) -> None:
        self._ground = ground
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="pytest-proxmox heartbeat", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                self._ground.renew()
            except LeaseLost as exc:
                _LOG.error("%s", exc)
                return
            except ProxmoxTestError as exc:
                _LOG.warning("a lease was not renewed, the next beat tries again: %s", exc)
