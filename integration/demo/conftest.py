"""How the demo tells what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from integration.demo.story import Story
from pytest_proxmox.sandbox.sandbox import Sandbox


@pytest.fixture
def story() -> Story:
    """A teller for this test; ``-s`` lets it be heard."""
    return Story()


@pytest.fixture(scope="module")
def residents(proxmox_sandbox_module: Sandbox) -> frozenset[int]:
    """The VMIDs that are taken before the tour: warm containers stay for later tests."""
    rows = proxmox_sandbox_module.calls.get("/cluster/resources", type="vm")
    return frozenset(row["vmid"] for row in rows)


@pytest.fixture
def vmids_now(proxmox: Any, residents: frozenset[int]) -> Callable[[], list[int]]:
    """Asks Proxmox for the VMIDs of the tour's guests."""

    def asked() -> list[int]:
        rows = proxmox.cluster.resources.get(type="vm")
        return sorted(row["vmid"] for row in rows if row["vmid"] not in residents)

    return asked
