"""Coroutines that are kept and not started: whether somebody will still run them."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable

from pytest_proxmox.hygiene.coroutines import Coroutine
from pytest_proxmox.hygiene.holders import held_by_wider_fixture


def divided(
    kept: Callable[[], list[Coroutine]], *, patience_s: float
) -> tuple[list[Coroutine], list[Coroutine]]:
    """Return what nobody will run, and what a task or a wider fixture holds to run it.

    A thread may stand just between making and awaiting one, so what is suspicious is looked
    at again after ``patience_s`` where other threads run.
    """
    if threading.active_count() > 1 and kept():
        threading.Event().wait(patience_s)
    blamed: list[Coroutine] = []
    excused: list[Coroutine] = []
    for found in kept():
        held = _in_task(found) or held_by_wider_fixture(found)
        (excused if held else blamed).append(found)
    return blamed, excused


def _in_task(coroutine: Coroutine) -> bool:
    """Whether an asyncio task, or another framework's, holds it to start it."""
    for holder in gc.get_referrers(coroutine):
        if isinstance(holder, asyncio.Future) or type(holder).__module__.startswith("trio."):
            return True
    return False
