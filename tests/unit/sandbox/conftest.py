"""One fake Proxmox, one ledger, and sandboxes on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.target.facts import TargetFacts, TargetKind
from pytest_proxmox.values import VmidRange
from tests.unit.sandbox.fake import FakeProxmox

URL = "https://pve.invalid:8006"
SPAN = VmidRange.parse("9000-9009")


@pytest.fixture
def proxmox() -> FakeProxmox:
    """An empty Proxmox that we are a weak token on."""
    return FakeProxmox()


@pytest.fixture
def clock() -> ManualClock:
    """A clock on which nobody waits."""
    return ManualClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: ManualClock) -> Iterator[Ledger]:
    """A ledger of its own."""
    with Ledger(tmp_path, clock=clock, durable=False) as ledger:
        yield ledger


@pytest.fixture
def make_sandbox(
    proxmox: FakeProxmox, ledger: Ledger, clock: ManualClock
) -> Callable[..., Sandbox]:
    """Return a function that opens a sandbox for a run."""

    def make(
        run: str = "run-1",
        *,
        worker: str = "main",
        span: VmidRange = SPAN,
        kind: TargetKind = "real",
        **more: Any,
    ) -> Sandbox:
        facts = TargetFacts(
            kind=kind,
            url=URL,
            node="pve",
            storage="local",
            backup_storage="bak",
            template="local:vztmpl/alpine.tar.gz",
            bridge="vmbr0",
            version="9.2.11",
            user=proxmox.user,
            found=frozenset({"bridge"}),
        )
        me = Run.here(run, worker=worker)
        return Sandbox(proxmox, facts, ledger, span=span, run=me, clock=clock, **more).open()

    return make


@pytest.fixture
def sandbox(make_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """The sandbox of the only run."""
    return make_sandbox()
