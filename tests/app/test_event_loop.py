"""While apps are deployed the event loop stays free: nothing holds it for long.

The embedded Proxmox shares this process, and other work this machine, so wall time says little
here. What counts is the processor time of each callback, and that what waits (requests, SQL)
waits on other threads.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
import requests
from sqlalchemy import event

from src_app.services.manager import Manager
from tests.app.conftest import VMIDS, Caller

pytestmark = [pytest.mark.vmid_range(size=VMIDS)]
LONGEST_S = 0.05
ROUNDS = 3  # a machine that is too busy makes each instruction dearer: the best counts


def test_nothing_holds_the_loop_while_an_app_is_deployed_and_shown(
    owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[tuple[float, str]] = []
    run = asyncio.Handle._run

    def measured(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        held.append((time.thread_time() - began, repr(handle)))

    monkeypatch.setattr(asyncio.Handle, "_run", measured)
    longest: list[tuple[float, str]] = []
    for number in range(ROUNDS):
        held.clear()
        app = owner.deploy("nginx", f"site{number}")
        owner.client.get(owner.post(f"/apps/{app['id']}/view")["url"]).raise_for_status()
        assert len(held) > 50
        longest.append(max(held))
    assert min(longest)[0] < LONGEST_S, longest


def test_requests_and_statements_never_run_on_the_loop(
    owner: Caller, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal = owner.client.portal
    assert portal is not None
    loop_thread = portal.call(threading.get_ident)
    threads: dict[str, set[int]] = {"request": set(), "statement": set()}
    send = requests.Session.send

    def sent(session: requests.Session, request: Any, **given: Any) -> requests.Response:
        threads["request"].add(threading.get_ident())
        return send(session, request, **given)

    monkeypatch.setattr(requests.Session, "send", sent)
    event.listen(
        manager.store.engine,
        "before_cursor_execute",
        lambda *_: threads["statement"].add(threading.get_ident()),
    )
    app = owner.deploy()
    owner.get(f"/apps/{app['id']}/stats")
    owner.done(owner.post(f"/apps/{app['id']}/backups"))
    assert threads["request"]
    assert threads["statement"]
    assert loop_thread not in threads["request"] | threads["statement"]
