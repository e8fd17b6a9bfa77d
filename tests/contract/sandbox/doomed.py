"""A process that lives a guest's life and announces each call, until somebody kills it.

Run as ``python -m tests.contract.sandbox.doomed <settings as JSON>``.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.nets import spread
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.target.calls import Api, Resource
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.facts import TargetFacts
from pytest_proxmox.target.session import connect
from pytest_proxmox.values import VmidRange


class Announcing:
    """An API handle that prints a line before each call and waits to be told to go on."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def __call__(self, path: str, /) -> Resource:
        """Return the resource, announced."""
        print("calls", path, flush=True)
        sys.stdin.readline()
        return self._api(path)


def main(settings: dict[str, Any]) -> None:
    """Live until killed, or until everything is done."""
    said = settings["endpoint"]
    said["ca_file"] = Path(said["ca_file"])
    endpoint = Endpoint(**said)
    api = Announcing(connect(endpoint))
    facts = settings["facts"]
    facts["found"] = frozenset(facts["found"])
    sandbox = Sandbox(
        api,
        TargetFacts(**facts),
        Ledger(Path(settings["ledger"])),
        span=VmidRange.parse(settings["span"]),
        run=Run.here("doomed"),
        pool=settings["pool"],
    ).open()
    with ExitStack() as stack:
        if settings["reaper"] is not None:
            stack.enter_context(
                spread(sandbox, endpoint, pool=settings["pool"], grace_s=settings["reaper"])
            )
        live(sandbox)
    print("done", flush=True)


def live(sandbox: Sandbox) -> None:
    """Make guests and everything that a guest can have, and clean up."""
    guest = sandbox.lxc(start=1)
    guest.backup()
    guest.stop().clone()
    sandbox.vmid()
    sandbox.close()
    sandbox.sweep_run()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
