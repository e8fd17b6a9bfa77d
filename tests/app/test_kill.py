"""Killed at any moment, the next process ends what was begun: nothing is lost, nothing is left.

``KILL_MOMENTS=all`` tries every moment, a number so many of each kind; without it a few. With
``KILL_AGAIN=SEED`` the process that goes on is killed as well, at a random moment.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from src_app.configuration import Configuration
from src_app.db.models import App, Operation
from src_app.db.queue import FINAL
from src_app.db.repositories import RepositoryFactory
from src_app.security.tokens import Identity
from src_app.services.apps import DeployRequest, Submitted
from src_app.services.backups import BackupRequest
from src_app.services.manager import Manager
from tests.app import killing
from tests.app.conftest import CHEAP, PASSWORD, VMIDS
from tests.app.test_deploy import fetch
from tests.moments import chosen

pytestmark = [pytest.mark.vmid_range(size=VMIDS), pytest.mark.critical, pytest.mark.slow]
PAYLOAD = bytes(range(256))
SPREAD = 4  # moments of each kind that every run tries
Ask = Callable[["Yard", Manager, RepositoryFactory], Submitted]


@dataclass
class Yard:
    """A database and a Proxmox that can be put back, and what was there before."""

    config: Configuration
    environ: dict[str, str]
    proxmox: EmbeddedProxmox
    identity: Identity
    folder: Path
    snapshot: str = ""
    backup_id: int = 0

    def manager(self) -> Manager:
        return Manager.build(self.config, self.environ, hasher=CHEAP)

    def path(self) -> Path:
        return Path(self.config.database_url.removeprefix("sqlite:///"))

    def ask(self, ask: Ask) -> str:
        """Return the operation that was put into the queue."""
        manager = self.manager()
        number = manager.store.run(lambda db: ask(self, manager, db).operation.id)
        manager.store.close()
        return number

    def keep(self) -> None:
        """Remember database and Proxmox as they are."""
        for path in self.path().parent.glob(self.path().name + "*"):
            shutil.copy(path, self.folder / path.name)
        self.snapshot = self.proxmox.snapshot()

    def put_back(self) -> None:
        """Make database and Proxmox as they were."""
        for path in self.path().parent.glob(self.path().name + "*"):
            path.unlink()
        for path in self.folder.glob("*"):
            shutil.copy(path, self.path().parent / path.name)
        self.proxmox.restore(self.snapshot)


@pytest.fixture
def yard(
    configuration: Configuration,
    environment: dict[str, str],
    proxmox_simulator: EmbeddedProxmox,
    tmp_path: Path,
) -> Yard:
    """A user, Nginx 1.0 with a payload, and a backup of it."""
    folder = tmp_path / "kept"
    folder.mkdir()
    manager = Manager.build(configuration, environment, hasher=CHEAP)
    user = manager.users.create("owner", PASSWORD)
    manager.store.close()
    identity = Identity(user.id, user.username, user.role)
    config = replace(configuration, health_timeout_s=5.0)
    yard = Yard(config, environment, proxmox_simulator, identity, folder)
    yard.ask(lambda y, m, db: m.apps.deploy(db, y.identity, _request("source", "1.0")))
    killing.run(config, environment)
    fetch(_reachable(_apps(yard)["nginx-source"]), "/data/file.bin", put=PAYLOAD)
    yard.ask(lambda y, m, db: m.backups.create(db, y.identity, "nginx-source", BackupRequest()))
    killing.run(config, environment)
    yard.backup_id = 1
    return yard


def _request(hostname: str, version: str) -> DeployRequest:
    return DeployRequest("nginx", hostname, version=version)


def _apps(yard: Yard) -> dict[str, App]:
    manager = yard.manager()
    apps = manager.store.read(lambda db: db.apps.find_many().data)
    manager.store.close()
    return {app.id: app for app in apps}


def _reachable(app: App) -> dict[str, Any]:
    return {"address": app.address, "port": app.config["port"]}


KINDS: dict[str, Ask] = {
    "deploy": lambda y, m, db: m.apps.deploy(db, y.identity, _request("fresh", "2.0")),
    "clone": lambda y, m, db: m.apps.clone(db, y.identity, "nginx-source", "copied"),
    "update": lambda y, m, db: m.backups.update(db, y.identity, "nginx-source", None),
    "backup": lambda y, m, db: m.backups.create(db, y.identity, "nginx-source", BackupRequest()),
    "restore": lambda y, m, db: m.backups.restore(db, y.identity, y.backup_id, overwrite=True),
    "restore-new": lambda y, m, db: m.backups.restore(
        db, y.identity, y.backup_id, hostname="second"
    ),
    "delete": lambda y, m, db: m.apps.act(db, y.identity, "nginx-source", "delete"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_killed_process_is_finished_by_the_next(yard: Yard, kind: str) -> None:
    yard.keep()
    yard.ask(KINDS[kind])
    total = killing.run(yard.config, yard.environ)
    assert total is not None
    moments = chosen(total, few=SPREAD, first=len(kind))  # each kind begins with another one
    again = random.Random(os.environ.get("KILL_AGAIN"))
    kills = 0
    for moment in moments:
        yard.put_back()
        number = yard.ask(KINDS[kind])
        assert killing.run(yard.config, yard.environ, moment) is None, moment
        kills += 1
        where = f"{kind}, killed at moment {moment} of {total}"
        if "KILL_AGAIN" in os.environ:
            second = again.randrange(total)
            where += f", and at moment {second} of the next process"
            kills += killing.run(yard.config, yard.environ, second) is None
        killing.run(yard.config, yard.environ)
        _check(yard, number, where)
    print(f"{kind}: {kills} kills, at {len(moments)} of {total} moments")


def _check(yard: Yard, number: str, where: str) -> None:
    """Rows and containers belong together, nothing is lost, the operation has ended."""
    manager = yard.manager()
    operation: Operation = manager.store.read(lambda db: db.operations.get(number))
    log = "\n".join([where, str(operation.error), *operation.log])
    assert operation.status in FINAL, log
    span = yard.config.vmids
    present = {vmid for vmid in yard.proxmox.vmids() if vmid in span}
    claims = manager.store.read(lambda db: {row.vmid for row in db.claims.find_many().data})
    locks = manager.store.read(lambda db: db.locks.count())
    backups = manager.store.read(lambda db: db.backups.find_many().data)
    manager.store.close()
    apps = _apps(yard)
    assert {app.vmid for app in apps.values()} == present, log
    assert claims == present, log
    assert locks == 0, log
    _check_backups(yard, {row.volid for row in backups if row.status == "available"}, log)
    assert not any(row.status in ("creating", "restoring") for row in backups), log
    for app in apps.values():
        assert app.status == "running", log
        if app.id != "nginx-fresh":
            assert fetch(_reachable(app), "/data/file.bin") == PAYLOAD, log
        assert fetch(_reachable(app), "/version").decode() == app.version, log
    if "delete" not in where:
        assert "nginx-source" in apps, log


def _check_backups(yard: Yard, known: set[str | None], log: str) -> None:
    manager = yard.manager()
    service = manager.context.link.now()
    archives = asyncio.run(service.list_backups("pve", "local"))
    manager.store.close()
    assert {archive.volid for archive in archives} == known, log
