"""Several processes on one database: each operation is one's, and a dead one's goes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from src_app.clock import SystemClock
from src_app.configuration import Configuration
from src_app.db import queue
from src_app.db.models import Operation, now
from src_app.db.repositories import RepositoryFactory
from src_app.security.tokens import Identity
from src_app.services.apps import DeployRequest
from src_app.services.engine import Engine, is_dead, worker_name
from src_app.services.manager import Manager
from src_app.services.work import Procedure, Step, Work
from tests.app.conftest import CHEAP, PASSWORD, VMIDS

pytestmark = [pytest.mark.vmid_range(size=VMIDS), pytest.mark.asyncio]


@pytest.fixture
def identity(manager: Manager) -> Identity:
    """A user."""
    user = manager.users.create("owner", PASSWORD)
    return Identity(user.id, user.username, user.role)


def ask(manager: Manager, identity: Identity, hostname: str) -> str:
    """Return the id of a deployment that waits."""
    request = DeployRequest("nginx", hostname)
    return manager.store.run(lambda db: manager.apps.deploy(db, identity, request).operation.id)


async def test_two_processes_share_the_work_and_do_nothing_twice(
    manager: Manager,
    identity: Identity,
    configuration: Configuration,
    environment: dict[str, str],
    proxmox_simulator: EmbeddedProxmox,
) -> None:
    other = Manager.build(configuration, environment, hasher=CHEAP)
    seen = proxmox_simulator.calls.total
    for number in range(6):
        ask(manager, identity, f"site{number}")
    await asyncio.gather(manager.engine.drain(), other.engine.drain())
    rows = manager.store.read(lambda db: db.operations.find_many().data)
    assert [row.status for row in rows] == ["succeeded"] * 6
    creates = [
        call
        for call in proxmox_simulator.calls.since(seen)
        if call.method == "POST" and call.path.endswith("/lxc") and call.status == 200
    ]
    assert len(creates) == 6
    for one in (manager, other):
        one.store.close()


async def test_one_operation_is_taken_by_one_of_many(manager: Manager, identity: Identity) -> None:
    number = ask(manager, identity, "site")

    def take(worker: str) -> Operation | None:
        return manager.store.run(lambda db: queue.take(db, worker, lease_s=60))

    taken = await asyncio.gather(*(asyncio.to_thread(take, f"w{n}") for n in range(8)))
    assert [row.id for row in taken if row is not None] == [number]
    manager.store.close()


async def test_operation_of_a_process_that_is_silent_is_taken_over(
    manager: Manager, identity: Identity
) -> None:
    ask(manager, identity, "site")

    def silent(db: RepositoryFactory) -> None:
        row = queue.take(db, "another-machine:boot:1:x", lease_s=60)
        assert row is not None
        row.lease_until = now() - timedelta(seconds=1)

    manager.store.run(silent)
    await manager.engine.drain()
    rows = manager.store.read(lambda db: db.operations.find_many().data)
    assert [(row.status, row.attempts) for row in rows] == [("succeeded", 2)]
    manager.store.close()


async def test_process_that_lost_its_operation_writes_nothing_more(
    manager: Manager, identity: Identity
) -> None:
    number = ask(manager, identity, "site")
    row = manager.store.run(lambda db: queue.take(db, "slow", lease_s=60, only=number))
    assert row is not None
    work = Work(manager.context, row, "slow")
    manager.store.run(lambda db: queue.release(db, "slow"))
    manager.store.run(lambda db: queue.take(db, "quick", lease_s=60))
    with pytest.raises(queue.LostLease):
        await work.save(node="elsewhere")
    with pytest.raises(queue.LostLease):
        await work.finish("failed")
    assert manager.store.read(lambda db: db.operations.get(number)).status == "running"
    manager.store.close()


async def test_mistake_of_ours_ends_the_operation_after_some_attempts(
    manager: Manager, identity: Identity, configuration: Configuration
) -> None:
    quick = replace(configuration, retry_pause_s=0.001)
    engine = Engine(replace(manager.context, config=quick), {"deploy": broken()})
    number = ask(manager, identity, "site")
    row = await engine.complete(number)
    assert (row.status, row.attempts) == ("failed", 5)
    assert "mistake of its own" in str(row.error)
    assert manager.store.read(lambda db: db.locks.count()) == 0
    manager.store.close()


def broken() -> Procedure:
    """Return a procedure with a mistake of ours in it."""

    async def stumble(_work: Work) -> None:
        raise KeyError("a mistake")

    async def nothing(_work: Work) -> None:
        return None

    return Procedure((Step("Stumbling", 1, stumble),), undo=nothing, give_up=nothing)


class Pauses(SystemClock):
    """Remembers how long was waited."""

    def __init__(self) -> None:
        self.made: list[float] = []

    async def pause(self, duration_s: float) -> None:
        self.made.append(duration_s)
        await super().pause(duration_s)


async def test_next_attempt_is_made_when_it_is_due(
    manager: Manager, identity: Identity, configuration: Configuration
) -> None:
    clock, pause_s = Pauses(), 0.05
    quick = replace(configuration, retry_pause_s=pause_s)
    engine = Engine(replace(manager.context, config=quick, clock=clock), {"deploy": broken()})
    await engine.complete(ask(manager, identity, "site"))
    assert clock.made
    assert max(clock.made) <= pause_s
    manager.store.close()


async def test_undoing_waits_for_a_proxmox_that_is_away(
    manager: Manager, identity: Identity, proxmox_simulator: EmbeddedProxmox
) -> None:
    faults: Any = proxmox_simulator.faults
    faults.add(effect="task-error", task="vzstart", text="startup failed")
    faults.add(effect="error", error="no-quorum", method="DELETE", times=12)
    before = proxmox_simulator.vmids()
    number = ask(manager, identity, "site")
    row = await manager.engine.complete(number)
    assert row.status == "rolled_back"
    assert any("Undoing must wait" in line for line in row.log)
    assert proxmox_simulator.vmids() == before
    manager.store.close()


async def test_worker_of_this_process_lives_and_one_of_another_machine_is_not_judged() -> None:
    name = worker_name()
    assert not is_dead(name)
    host, boot, _, nonce = name.split(":")
    assert is_dead(f"{host}:another-boot:1:{nonce}")
    assert is_dead(f"{host}:{boot}:{2**22 + 1}:{nonce}")
    assert not is_dead(f"elsewhere:{boot}:{2**22 + 1}:{nonce}")
