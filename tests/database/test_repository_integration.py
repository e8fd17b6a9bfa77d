"""TEST-005: the life of a whole cluster through the repositories."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from pytest_proxmox.database.helper import DatabaseTestHelper
from pytest_proxmox.database.state import DbState
from src_app.db.errors import ConflictError, ValidationError
from src_app.db.repositories import RepositoryFactory
from tests.database.factories import Cluster, operation_id, seed_cluster


def discover(r: RepositoryFactory, *, nodes: int = 2, guests: int = 3) -> None:
    """Write what a synchronisation of a small cluster finds."""
    for n in range(nodes):
        node = f"pve{n + 1}"
        r.nodes.upsert(node, {"status": "online", "cpu_count": 8})
        r.storages.create({"name": "local", "node_id": node, "type": "dir"})
        for g in range(guests):
            vmid = 100 + n * 100 + g
            r.containers.create({"id": vmid, "node_id": node, "hostname": f"ct{vmid}"})
            r.snapshots.record("container", str(vmid), {"status": "running"})


def test_complete_life_of_a_cluster(
    repositories: RepositoryFactory, db_state: DbState, db_helper: DatabaseTestHelper
) -> None:
    with repositories.transaction() as r:
        discover(r)
    owner = repositories.users.create({"username": "ada", "password_hash": "x", "role": "admin"})
    app = repositories.apps.create(
        {
            "id": "nginx-web",
            "catalog_id": "nginx",
            "name": "Nginx",
            "hostname": "web",
            "node": "pve1",
            "vmid": 100,
            "owner_id": owner.id,
        }
    )
    operation = repositories.operations.create(
        {"id": operation_id(), "kind": "deploy", "app_id": app.id, "user_id": owner.id}
    )
    repositories.operations.update(operation.id, {"status": "succeeded", "percent": 100})
    repositories.apps.update(app.id, {"status": "running"})
    repositories.backups.create(
        {
            "storage": "local",
            "app_name": app.name,
            "app_hostname": app.hostname,
            "app_id": app.id,
            "owner_id": owner.id,
            "volid": "local:backup/vzdump-lxc-100.tar.zst",
            "status": "available",
        }
    )
    repositories.session.commit()
    repositories.containers.update(100, {"status": "stopped"})
    repositories.apps.delete(app.id)
    repositories.containers.delete(100)
    repositories.session.commit()
    db_state.verify()
    assert repositories.containers.count() == 5
    assert repositories.backups.count({"status": "available"}) == 1
    repositories.session.close()
    db_helper.full_reset()


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 4)], ids=["small", "medium", "large"])
def test_seeded_cluster_can_be_emptied_again(
    size: tuple[int, int], rows: None, db_helper: DatabaseTestHelper, db_state: DbState
) -> None:
    seed_cluster(nodes=size[0], guests=size[1])
    assert db_state.counts()["vms"] == size[0] * size[1]
    db_helper.full_reset()
    db_helper.verify_state(empty=True)


def test_failed_synchronisation_leaves_the_database_as_it_was(
    repositories: RepositoryFactory, db_state: DbState
) -> None:
    discover(repositories)
    repositories.session.commit()
    before = db_state.fingerprint()

    def broken() -> None:
        with repositories.transaction() as r:
            r.nodes.update("pve1", {"status": "offline"})
            r.containers.create({"id": 999, "node_id": "pve9", "hostname": "lost"})

    with pytest.raises(ValidationError, match="node_id: is not in nodes"):
        broken()
    assert db_state.changes(before) == []


def test_second_synchronisation_changes_nothing(repositories: RepositoryFactory) -> None:
    discover(repositories)
    for vmid in (100, 101, 200):
        assert repositories.snapshots.record("container", str(vmid), {"status": "running"}) is None


def test_drift_is_told_from_the_latest_snapshot(repositories: RepositoryFactory) -> None:
    discover(repositories)
    drift = repositories.snapshots.compare_with_latest("container", "100", {"status": "stopped"})
    assert drift == {"status": ("running", "stopped")}


def test_bulk_discovery_reports_what_it_could_not_store(
    repositories: RepositoryFactory,
) -> None:
    repositories.nodes.create({"id": "pve1"})
    found = [
        {"id": 100, "node_id": "pve1", "name": "good"},
        {"id": 101, "node_id": "pve9", "name": "no-node"},
        {"id": 7, "node_id": "pve1", "name": "bad-id"},
        {"id": 102, "node_id": "pve1", "name": "also-good"},
    ]
    result = repositories.vms.create_many(found)
    assert sorted(result.done) == [0, 3]
    assert [str(error) for error in result.failed.values()] == [
        "vm: node_id: is not in nodes",
        "vm: id: must be 100 to 999999999",
    ]


def test_guest_moves_to_another_node(repositories: RepositoryFactory) -> None:
    discover(repositories)
    repositories.containers.update(100, {"node_id": "pve2"})
    assert repositories.containers.count({"node_id": "pve2"}) == 4


def test_all_apps_of_an_owner_are_found(cluster: Cluster, repositories: RepositoryFactory) -> None:
    assert repositories.apps.find_many(where={"owner_id": cluster.owner.id}, limit=4).total == 6


def test_hostname_is_free_again_after_delete(
    cluster: Cluster, repositories: RepositoryFactory
) -> None:
    app = cluster.apps[0]
    values = {
        "id": "again",
        "catalog_id": "nginx",
        "name": "Nginx",
        "hostname": app.hostname,
        "node": "pve",
        "owner_id": cluster.owner.id,
    }
    with pytest.raises(ConflictError, match="hostname: is taken"):
        repositories.apps.create(values)
    repositories.apps.delete(app.id)
    repositories.apps.create(values)


def test_threads_reserve_different_ports(
    cluster: Cluster, db_engine: Engine, db_session: Session
) -> None:
    db_session.commit()
    app, taken = cluster.apps[0].id, []

    def reserve() -> None:
        with Session(db_engine) as session:
            r = RepositoryFactory(session)
            for port in range(30_000, 30_010):
                try:
                    r.ports.create({"port": port, "purpose": "public", "app_id": app})
                except ConflictError:
                    continue
                session.commit()
                taken.append(port)
                return

    threads = [threading.Thread(target=reserve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(taken) == [30_000, 30_001, 30_002, 30_003]


def test_health_of_the_repositories_is_good_on_a_seeded_cluster(
    cluster: Cluster, repositories: RepositoryFactory
) -> None:
    health = repositories.health_check()
    assert health.ok
    assert health.problems == ()
