"""TEST-004: create, read, update and delete of every model, with its relations."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from src_app.db import models
from src_app.db.errors import ConflictError, ValidationError
from src_app.db.repositories import Repository, RepositoryFactory
from tests.database.factories import (
    ALL,
    AppFactory,
    BackupFactory,
    Cluster,
    ContainerFactory,
    NodeFactory,
    StorageFactory,
    TaskFactory,
    UserFactory,
    VMFactory,
    operation_id,
)

CHANGES: dict[str, tuple[Any, dict[str, Any]]] = {
    "nodes": (NodeFactory, {"status": "offline"}),
    "vms": (VMFactory, {"status": "stopped", "tags": ["web"]}),
    "containers": (ContainerFactory, {"status": "stopped", "hostname": "db"}),
    "storages": (StorageFactory, {"used_bytes": 5, "content": ["iso"]}),
    "tasks": (TaskFactory, {"exitstatus": "job errors"}),
    "users": (UserFactory, {"role": "admin", "is_active": False}),
    "apps": (AppFactory, {"status": "error", "status_text": "no answer", "cores": 4}),
    "backups": (BackupFactory, {"status": "failed", "error": "no space"}),
}


def make(name: str, session: Session) -> Any:
    """A row of the repository ``name``, with the parents it needs."""
    factory = CHANGES[name][0]
    columns = factory.__model__.__table__.columns.keys()
    parents: dict[str, Any] = {}
    if "node_id" in columns:
        parents["node_id"] = NodeFactory.create_sync().id
    if "owner_id" in columns:
        parents["owner_id"] = UserFactory.create_sync().id
    return factory.create_sync(**parents)


@pytest.mark.parametrize("name", CHANGES)
def test_row_is_read_as_it_was_written(
    name: str, rows: None, db_session: Session, repositories: RepositoryFactory
) -> None:
    row = make(name, db_session)
    key, columns = row.id, row.__table__.columns.keys()
    written = {column: getattr(row, column) for column in columns}
    db_session.expunge_all()
    read = getattr(repositories, name).get(key)
    for column in columns:
        assert getattr(read, column) == written[column]


@pytest.mark.parametrize("name", CHANGES)
def test_row_is_changed(
    name: str, rows: None, db_session: Session, repositories: RepositoryFactory
) -> None:
    row, changes = make(name, db_session), CHANGES[name][1]
    repository: Repository[Any] = getattr(repositories, name)
    repository.update(row.id, changes)
    db_session.commit()
    db_session.expire_all()
    read = repository.get(row.id)
    assert {field: getattr(read, field) for field in changes} == changes


@pytest.mark.parametrize("name", CHANGES)
def test_row_is_deleted(
    name: str, rows: None, db_session: Session, repositories: RepositoryFactory
) -> None:
    row = make(name, db_session)
    repository: Repository[Any] = getattr(repositories, name)
    repository.delete(row.id)
    db_session.commit()
    assert not repository.exists(row.id)


@pytest.mark.parametrize("name", CHANGES)
def test_change_of_a_row_updates_its_time(
    name: str, rows: None, db_session: Session, repositories: RepositoryFactory
) -> None:
    row = make(name, db_session)
    if not hasattr(row, "updated_at"):
        assert name == "tasks"
        return
    before = row.updated_at
    repository: Repository[Any] = getattr(repositories, name)
    changed = repository.update(row.id, CHANGES[name][1])
    assert changed.updated_at >= before


@pytest.mark.parametrize("name", CHANGES)
def test_second_engine_sees_the_committed_row(
    name: str, rows: None, db_session: Session, db_engine: Engine
) -> None:
    row = make(name, db_session)
    with Session(db_engine) as other:
        assert other.get(type(row), row.id) is not None


@pytest.mark.parametrize("factory", ALL, ids=lambda f: f.__name__)
def test_rows_of_a_factory_differ(factory: Any, rows: None, db_session: Session) -> None:
    name = factory.__model__.__tablename__
    assert make(name, db_session).id != make(name, db_session).id


@pytest.mark.parametrize("kind", ["vms", "containers"])
def test_node_with_guests_cannot_be_deleted(
    kind: str, rows: None, db_session: Session, repositories: RepositoryFactory
) -> None:
    guest = make(kind, db_session)
    node = guest.node_id
    with pytest.raises(ConflictError):
        repositories.nodes.delete(node)
    assert repositories.nodes.exists(node)
    getattr(repositories, kind).delete(guest.id)
    repositories.nodes.delete(node)
    assert not repositories.nodes.exists(node)


@pytest.mark.parametrize("kind", ["storages", "tasks"])
def test_what_is_only_seen_goes_with_its_node(
    kind: str, rows: None, db_session: Session, repositories: RepositoryFactory
) -> None:
    row = make(kind, db_session)
    repositories.nodes.delete(row.node_id)
    db_session.commit()
    db_session.expunge_all()
    assert getattr(repositories, kind).count() == 0


def test_backup_outlives_its_app(cluster: Cluster, repositories: RepositoryFactory) -> None:
    backup, app = cluster.backups[0], cluster.apps[0]
    repositories.apps.delete(app.id)
    repositories.session.commit()
    repositories.session.expire_all()
    kept = repositories.backups.get(backup.id)
    assert kept.app_id is None
    assert kept.app_name == "Nginx"


def test_ports_are_free_when_their_app_is_gone(
    cluster: Cluster, repositories: RepositoryFactory
) -> None:
    app = cluster.apps[0]
    repositories.ports.create({"port": 30_000, "purpose": "public", "app_id": app.id})
    repositories.apps.delete(app.id)
    repositories.session.commit()
    repositories.session.expunge_all()
    assert repositories.ports.count() == 0


def test_port_is_given_to_one_app_only(cluster: Cluster, repositories: RepositoryFactory) -> None:
    first, second = cluster.apps[:2]
    repositories.ports.create({"port": 30_000, "purpose": "public", "app_id": first.id})
    with pytest.raises(ConflictError, match="port: is taken"):
        repositories.ports.create({"port": 30_000, "purpose": "public", "app_id": second.id})


def test_owner_of_apps_cannot_be_deleted(cluster: Cluster, repositories: RepositoryFactory) -> None:
    with pytest.raises(ConflictError):
        repositories.users.delete(cluster.owner.id)


def test_operation_outlives_its_app_and_its_user(
    rows: None, db_session: Session, repositories: RepositoryFactory
) -> None:
    app = make("apps", db_session)
    user = UserFactory.create_sync()
    key = operation_id()
    repositories.operations.create(
        {"id": key, "kind": "delete", "app_id": app.id, "user_id": user.id}
    )
    repositories.apps.delete(app.id)
    repositories.users.delete(user.id)
    db_session.commit()
    db_session.expire_all()
    kept = repositories.operations.get(key)
    assert (kept.app_id, kept.user_id) == (None, None)


def test_audit_outlives_its_user(rows: None, repositories: RepositoryFactory) -> None:
    user = UserFactory.create_sync()
    entry = repositories.audit.create({"action": "login", "user_id": user.id})
    repositories.users.delete(user.id)
    repositories.session.commit()
    repositories.session.expire_all()
    assert repositories.audit.get(entry.id).user_id is None


@pytest.mark.parametrize("key", ["id", "hostname"])
def test_app_without_what_it_needs_is_refused(key: str, repositories: RepositoryFactory) -> None:
    values = {
        "id": "a", "catalog_id": "c", "name": "n", "hostname": "web", "node": "pve", "owner_id": 1,
    }  # fmt: skip
    del values[key]
    with pytest.raises(ValidationError) as caught:
        repositories.apps.create(values)
    assert caught.value.field == key


def test_secrets_are_bytes_that_come_back(
    rows: None, db_session: Session, repositories: RepositoryFactory
) -> None:
    app = make("apps", db_session)
    repositories.apps.update(app.id, {"sealed_root_password": b"\x00\xff sealed"})
    db_session.expire_all()
    assert repositories.apps.get(app.id).sealed_root_password == b"\x00\xff sealed"


def test_setting_is_written_and_changed(repositories: RepositoryFactory) -> None:
    repositories.settings.upsert("lan_subnet", {"value": "10.20.0.0/24"})
    repositories.settings.upsert("lan_subnet", {"value": "10.30.0.0/24"})
    assert repositories.settings.get("lan_subnet").value == "10.30.0.0/24"


def test_json_columns_keep_their_shape(
    rows: None, db_session: Session, repositories: RepositoryFactory
) -> None:
    config = {"ports": [80, 443], "nested": {"deep": [None, True, "ü"]}}
    app = make("apps", db_session)
    repositories.apps.update(app.id, {"config": config})
    db_session.expire_all()
    assert repositories.apps.get(app.id).config == config


def test_bytes_beyond_32_bits_are_kept(rows: None, repositories: RepositoryFactory) -> None:
    node = NodeFactory.create_sync(memory_bytes=2**45)
    repositories.session.expire_all()
    assert repositories.nodes.get(node.id).memory_bytes == 2**45


def test_models_have_factories_or_are_made_here() -> None:
    made = {factory.__model__ for factory in ALL}
    others = {models.Snapshot, models.PortReservation, models.Operation, models.Setting}
    mapped = {mapper.class_ for mapper in models.Base.registry.mappers}
    others |= {
        models.WantedGuest,
        models.Change,
        models.OperationLock,
        models.GuestClaim,
        models.Schedule,
    }
    others |= {models.RefreshToken, models.LoginFailure, models.AuditEntry}
    assert made | others == mapped
