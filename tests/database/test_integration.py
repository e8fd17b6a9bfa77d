"""TEST-002: many tests on the same tables never meet: ids, factories, isolation."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from pytest_proxmox.database.helper import DatabaseTestHelper
from pytest_proxmox.database.state import DbState, schema_differences
from pytest_proxmox.errors import IsolationError
from src_app.db import engine as app_engine
from src_app.db.models import Base, Node, Storage
from src_app.db.repositories import RepositoryFactory
from tests.database.factories import ALL, Cluster, NodeFactory, StorageFactory, UserFactory


@pytest.mark.parametrize("number", range(5))
def test_the_same_storage_is_committed_in_every_test(
    number: int, rows: None, db_session: Session
) -> None:
    NodeFactory.create_sync(id="pve")
    StorageFactory.create_sync(id=1, node_id="pve", name="local")
    db_session.commit()
    assert db_session.scalar(select(func.count(Storage.id))) == 1


def test_storages_of_the_factory_never_collide(rows: None) -> None:
    node = NodeFactory.create_sync()
    made = [StorageFactory.create_sync(node_id=node.id) for _ in range(20)]
    assert len({storage.name for storage in made}) == len({storage.id for storage in made}) == 20


def test_duplicate_storage_is_refused_and_leaves_the_session_usable(
    rows: None, db_session: Session
) -> None:
    node = NodeFactory.create_sync().id
    StorageFactory.create_sync(node_id=node, name="local")
    with pytest.raises(IntegrityError):
        StorageFactory.create_sync(node_id=node, name="local")
    db_session.rollback()
    assert db_session.scalar(select(func.count(Storage.id))) == 1


def test_same_storage_name_on_two_nodes_is_fine(rows: None, db_session: Session) -> None:
    for _ in range(2):
        StorageFactory.create_sync(node_id=NodeFactory.create_sync().id, name="local")
    assert db_session.scalar(select(func.count(Storage.id)).where(Storage.name == "local")) == 2


@pytest.mark.parametrize("table", sorted(Base.metadata.tables))
def test_table_is_there(table: str, db_helper: DatabaseTestHelper) -> None:
    assert db_helper.table_exists(table)


def test_factory_without_a_session_says_what_to_do() -> None:
    with pytest.raises(IsolationError, match="not bound to a session"):
        UserFactory.create_sync()


@pytest.mark.parametrize("factory", ALL, ids=lambda f: f.__name__)
def test_factory_is_bound_only_inside_its_test(factory: type[NodeFactory]) -> None:
    assert factory.__session__ is None


def test_seeded_cluster_is_consistent(cluster: Cluster, db_state: DbState) -> None:
    db_state.verify()
    counts = db_state.counts()
    assert (counts["nodes"], counts["vms"], counts["containers"]) == (3, 6, 6)
    assert (counts["apps"], counts["backups"], counts["users"]) == (6, 6, 1)


def test_vmids_of_a_cluster_are_unique_across_kinds(cluster: Cluster) -> None:
    vmids = [vm.id for vm in cluster.vms] + [container.id for container in cluster.containers]
    assert len(set(vmids)) == len(vmids)


def test_the_apps_own_factory_of_sessions_sees_the_test(
    cluster: Cluster, db_engine: Engine
) -> None:
    factory = app_engine.make_sessions(db_engine)
    session = next(app_engine.sessions(factory))
    assert RepositoryFactory(session).nodes.count() == 3
    session.close()


def test_migrations_make_the_schema_of_the_models(tmp_path: Path) -> None:
    engine = app_engine.make_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    app_engine.migrate(engine)
    with engine.connect() as connection:
        assert list(schema_differences(connection, Base.metadata)) == []
    engine.dispose()


def test_migrations_go_down_to_nothing(tmp_path: Path) -> None:
    engine = app_engine.make_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    app_engine.migrate(engine)
    config = Config(str(app_engine.HERE / "alembic.ini"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with engine.connect() as connection:
        left = connection.execute(
            text("SELECT name FROM sqlite_master WHERE type = 'table'")
        ).scalars()
        assert set(left) == {"alembic_version"}
    engine.dispose()


def test_migrations_can_be_run_by_url(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'by-url.db'}"
    config = Config(str(app_engine.HERE / "alembic.ini"))
    config.set_main_option("sqlalchemy.url", url)
    command.upgrade(config, "head")
    engine = create_engine(url)
    with engine.connect() as connection:
        assert list(schema_differences(connection, Base.metadata)) == []
    engine.dispose()


def test_the_apps_engine_enforces_foreign_keys(tmp_path: Path) -> None:
    engine = app_engine.make_engine(f"sqlite:///{tmp_path / 'keys.db'}")
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    engine.dispose()


def test_no_row_of_another_test_is_here(db_session: Session) -> None:
    assert db_session.scalar(select(func.count(Node.id))) == 0
