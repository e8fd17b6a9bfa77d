"""The nets that last as long as a process's part of a run: its heartbeat and its reaper.

For targets that outlive the run; an embedded Proxmox needs none of them. What a fixture does::

    with nets.spread(place.sandbox(), endpoint, pool=settings.pool):
        ...                     # tests
        place.sandbox().sweep_run()
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_proxmox.sandbox.heartbeat import Heartbeat
from pytest_proxmox.sandbox.lifeline import Lifeline
from pytest_proxmox.sandbox.reaper import GRACE_S, Orders

if TYPE_CHECKING:
    from pytest_proxmox.sandbox.sandbox import Sandbox
    from pytest_proxmox.target.endpoint import Endpoint


@contextmanager
def spread(
    sandbox: Sandbox, endpoint: Endpoint, *, pool: str | None, grace_s: float = GRACE_S
) -> Iterator[None]:
    """Keep the run's blocks, and have a reaper watch this process, as long as this lasts.

    ``grace_s`` is how long the reaper waits after a death before it sweeps.

    Raises:
        ReaperMissing: it did not start; nothing may be made without it.
    """
    ledger = sandbox.open().ledger
    ca_file = None if endpoint.ca_file is None else endpoint.ca_file.absolute()
    orders = Orders(
        endpoint=replace(endpoint, ca_file=ca_file),  # the reaper works in another folder
        facts=sandbox.facts,
        ledger=ledger.path.parent.absolute(),
        run=sandbox.run.id,
        socket=Path(),
        pool=pool,
        grace_s=grace_s,
    )
    with Lifeline(orders, ledger), Heartbeat(sandbox.ground):
        yield
