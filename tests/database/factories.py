"""Factories of the reference app's rows, and a whole cluster of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from polyfactory import Ignore, Use
from sqlalchemy.orm import Session

from pytest_proxmox.database.factories import SessionFactory, bound
from pytest_proxmox.database.ids import UniqueIds
from src_app.db import models

GIB = 2**30


class NodeFactory(SessionFactory[models.Node]):
    """An online node."""

    __model__ = models.Node
    id = Use(lambda: NodeFactory.ids.name("node"))
    status = "online"
    ip = "10.0.0.1"
    version = "9.2.11"
    cpu_count = 8
    cpu_usage = 0.25
    memory_bytes = 16 * GIB
    memory_used_bytes = 4 * GIB
    uptime_s = 3600


class GuestFactory(SessionFactory[Any]):
    """What VMs and containers have in common."""

    __is_base_factory__ = True
    id = Use(lambda: GuestFactory.ids.number("vmid"))
    status = "running"
    cores = 2
    memory_bytes = 2 * GIB
    disk_bytes = 8 * GIB
    uptime_s = 60
    is_template = False
    tags = Use[[], list[str]](list)


class VMFactory(GuestFactory):
    """A running VM; give it a ``node_id``."""

    __model__ = models.VM
    name = Use(lambda: VMFactory.ids.name("vm"))


class ContainerFactory(GuestFactory):
    """A running container; give it a ``node_id``."""

    __model__ = models.Container
    hostname = Use(lambda: ContainerFactory.ids.name("ct"))
    ostype = "alpine"
    unprivileged = True


class StorageFactory(SessionFactory[models.Storage]):
    """A storage whose name no other test has; give it a ``node_id``."""

    __model__ = models.Storage
    id = Ignore()
    name = Use(lambda: StorageFactory.ids.name("storage"))
    type = "dir"
    content = Use(lambda: ["images", "rootdir", "backup"])
    shared = False
    active = True
    total_bytes = 100 * GIB
    used_bytes = 10 * GIB


class TaskFactory(SessionFactory[models.Task]):
    """A finished task; give it a ``node_id``."""

    __model__ = models.Task
    id = Use(
        lambda: (
            f"UPID:pve:{TaskFactory.ids.number('task'):08X}:0000ABCD:65000000:vzstart::root@pam:"
        )
    )
    type = "vzstart"
    status = "stopped"
    exitstatus = "OK"
    vmid = None
    user = "root@pam"


class UserFactory(SessionFactory[models.User]):
    """An active user."""

    __model__ = models.User
    id = Ignore()
    username = Use(lambda: UserFactory.ids.name("user"))
    email = Use(lambda: f"{UserFactory.ids.name('mail')}@example.org")
    password_hash = "not a hash"
    role = "user"
    is_active = True


class AppFactory(SessionFactory[models.App]):
    """A running app; give it an ``owner_id``."""

    __model__ = models.App
    id = Use(lambda: AppFactory.ids.name("app"))
    catalog_id = "nginx"
    name = "Nginx"
    hostname = Use(lambda: AppFactory.ids.name("host"))
    version = "1.0"
    status = "running"
    status_text = None
    node = "pve"
    vmid = Use(lambda: GuestFactory.ids.number("vmid"))
    cores = 1
    memory_mib = 512
    disk_gib = 8
    config = Use[[], dict[str, object]](dict)
    environment = Use[[], dict[str, object]](dict)
    adopted = False
    sealed_root_password = None


class BackupFactory(SessionFactory[models.Backup]):
    """An available backup; give it an ``owner_id``."""

    __model__ = models.Backup
    id = Ignore()
    volid = Use(lambda: f"local:backup/vzdump-lxc-{BackupFactory.ids.number('backup')}.tar.zst")
    storage = "local"
    size_bytes = GIB
    mode = "snapshot"
    compress = "zstd"
    status = "available"
    error = None
    app_name = "Nginx"
    app_hostname = "web-1"
    app_facts = Use[[], dict[str, object]](dict)
    app_id = None


ALL = (
    NodeFactory,
    VMFactory,
    ContainerFactory,
    StorageFactory,
    TaskFactory,
    UserFactory,
    AppFactory,
    BackupFactory,
)


@contextmanager
def rows_in(session: Session, ids: UniqueIds) -> Iterator[None]:
    """Bind every factory to ``session``."""
    with bound(session, ids, *ALL, GuestFactory):
        yield


@dataclass(frozen=True)
class Cluster:
    """A seeded cluster."""

    nodes: list[models.Node]
    vms: list[models.VM]
    containers: list[models.Container]
    storages: list[models.Storage]
    tasks: list[models.Task]
    owner: models.User
    apps: list[models.App]
    backups: list[models.Backup]


def seed_cluster(*, nodes: int = 3, guests: int = 2) -> Cluster:
    """Return a whole cluster: nodes, guests and storages on each, an owner with apps."""
    made = [NodeFactory.create_sync() for _ in range(nodes)]
    owner = UserFactory.create_sync()
    each = [node for node in made for _ in range(guests)]
    containers = [ContainerFactory.create_sync(node_id=node.id) for node in each]
    apps = [
        AppFactory.create_sync(owner_id=owner.id, node=c.node_id, vmid=c.id) for c in containers
    ]
    return Cluster(
        nodes=made,
        vms=[VMFactory.create_sync(node_id=node.id) for node in each],
        containers=containers,
        storages=[StorageFactory.create_sync(node_id=node.id) for node in made],
        tasks=[TaskFactory.create_sync(node_id=node.id, vmid=None) for node in made],
        owner=owner,
        apps=apps,
        backups=[BackupFactory.create_sync(owner_id=owner.id, app_id=app.id) for app in apps],
    )


def operation_id() -> str:
    """Return an id for an operation."""
    return str(uuid.uuid4())
