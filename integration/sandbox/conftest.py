"""What these tests look at afterwards: whatever they made is gone, on any Proxmox.

They use the plugin's fixtures only, so ``pytest integration/sandbox --proxmox real`` runs them
on the Proxmox that PROXMOX_HOST names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from proxmoxer.core import ResourceException

from pytest_proxmox.target.facts import TargetFacts


class Made:
    """The VMIDs that a test had, each looked for when all its fixtures have ended."""

    def __init__(self) -> None:
        self.vmids: set[int] = set()

    def note(self, *guests: Any) -> None:
        """Remember guests, or bare VMIDs."""
        self.vmids |= {int(getattr(guest, "vmid", guest)) for guest in guests}


@pytest.fixture
def made(proxmox: Any, proxmox_target: TargetFacts) -> Iterator[Made]:
    """Takes note of guests; ask for it before the sandbox, so that it looks after it."""
    seen = Made()
    yield seen
    for vmid in sorted(seen.vmids):
        assert int(proxmox.cluster.nextid.get(vmid=vmid)) == vmid
        assert volumes(proxmox, proxmox_target, vmid) == []


def volumes(proxmox: Any, target: TargetFacts, vmid: int) -> list[str]:
    """The volumes with a VMID on the storages that we may look into."""
    found: list[str] = []
    for storage in proxmox.nodes(target.node).storage.get(enabled=1):
        content = proxmox.nodes(target.node).storage(storage["storage"]).content
        try:
            found += [row["volid"] for row in content.get(vmid=vmid)]
        except ResourceException as exc:
            if exc.status_code != 403:
                raise
    return found
