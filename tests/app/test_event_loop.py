"""While apps are deployed the event loop stays free: nothing holds it for long."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.app.conftest import VMIDS, Caller

pytestmark = [pytest.mark.vmid_range(size=VMIDS)]
LONGEST_S = 0.05
ROUNDS = 5  # the machine may stop us at any moment: the best of three counts


def test_nothing_holds_the_loop_while_an_app_is_deployed(
    owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[tuple[float, str]] = []
    run = asyncio.Handle._run

    def measured(handle: asyncio.Handle) -> None:
        began = time.perf_counter()
        run(handle)
        held.append((time.perf_counter() - began, repr(handle)))

    monkeypatch.setattr(asyncio.Handle, "_run", measured)
    longest: list[tuple[float, Any]] = []
    for number in range(ROUNDS):
        held.clear()
        owner.deploy("nginx", f"site{number}")
        longest.append(max(held))
    assert min(longest)[0] < LONGEST_S, longest
