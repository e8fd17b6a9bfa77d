"""TEST-003: what every repository promises, alone and against a database that fails."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock, create_autospec

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from src_app.db import models
from src_app.db.errors import ConflictError, NotFoundError, RepositoryError, ValidationError
from src_app.db.repositories import LARGEST_PAGE, Repository, RepositoryFactory
from tests.database.factories import Cluster, NodeFactory, operation_id

NAMES = (
    "nodes", "vms", "containers", "storages", "tasks", "snapshots", "users", "apps", "backups",
    "operations", "wanted", "changes", "ports", "settings", "audit", "locks", "claims",
    "refresh_tokens", "login_failures", "schedules",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_missing_row_is_none_or_not_found(name: str, repositories: RepositoryFactory) -> None:
    repository: Repository[Any] = getattr(repositories, name)
    key = "nowhere" if repository.table.primary_key.columns[0].type.python_type is str else 4711
    assert repository.find_by_id(key) is None
    assert not repository.exists(key)
    with pytest.raises(NotFoundError, match=f"there is no {repository.entity}") as caught:
        repository.get(key)
    assert caught.value.code == "not_found"
    assert caught.value.key == key


@pytest.mark.parametrize("name", NAMES)
def test_unknown_field_is_refused(name: str, repositories: RepositoryFactory) -> None:
    with pytest.raises(ValidationError, match="colour: is not a field"):
        getattr(repositories, name).create({"colour": "red"})


@pytest.mark.parametrize("name", NAMES)
def test_empty_table_has_an_empty_page(name: str, repositories: RepositoryFactory) -> None:
    page = getattr(repositories, name).find_many()
    assert page.data == ()
    assert page.total == 0
    assert not page.has_more


@pytest.mark.parametrize("name", NAMES)
def test_delete_many_without_a_filter_is_refused(
    name: str, repositories: RepositoryFactory
) -> None:
    with pytest.raises(ValidationError, match="where: must not be empty"):
        getattr(repositories, name).delete_many({})


def test_created_row_can_be_found(repositories: RepositoryFactory) -> None:
    made = repositories.nodes.create({"id": "pve", "status": "online"})
    assert repositories.nodes.get("pve") is made
    assert repositories.nodes.exists("pve")


def test_defaults_are_filled_in(repositories: RepositoryFactory) -> None:
    node = repositories.nodes.create({"id": "pve"})
    assert node.status == "unknown"
    assert node.created_at.year >= 2026


def test_wrong_row_is_not_written(repositories: RepositoryFactory) -> None:
    with pytest.raises(ValidationError, match="status: must be one of"):
        repositories.nodes.create({"id": "pve", "status": "up"})
    assert repositories.nodes.count() == 0


def test_second_row_with_the_same_id_is_a_conflict(repositories: RepositoryFactory) -> None:
    repositories.nodes.create({"id": "pve"})
    with pytest.raises(ConflictError) as caught:
        repositories.nodes.create({"id": "pve"})
    assert caught.value.field == "id"
    assert caught.value.text == "is taken"
    assert caught.value.code == "conflict"


def test_session_is_usable_after_a_conflict(repositories: RepositoryFactory) -> None:
    repositories.nodes.create({"id": "pve"})
    with pytest.raises(ConflictError):
        repositories.nodes.create({"id": "pve"})
    repositories.nodes.create({"id": "pve2"})
    assert repositories.nodes.count() == 2


def test_update_changes_only_what_it_is_given(repositories: RepositoryFactory) -> None:
    repositories.nodes.create({"id": "pve", "cpu_count": 4})
    node = repositories.nodes.update("pve", {"status": "online"})
    assert (node.status, node.cpu_count) == ("online", 4)


def test_wrong_update_is_refused_with_its_field(repositories: RepositoryFactory) -> None:
    repositories.nodes.create({"id": "pve"})
    with pytest.raises(ValidationError) as caught:
        repositories.nodes.update("pve", {"cpu_count": -1})
    assert caught.value.field == "cpu_count"
    assert repositories.nodes.get("pve").cpu_count == 0


def test_update_of_a_missing_row_is_not_found(repositories: RepositoryFactory) -> None:
    with pytest.raises(NotFoundError):
        repositories.nodes.update("pve", {"status": "online"})


def test_upsert_makes_and_then_changes(repositories: RepositoryFactory) -> None:
    repositories.nodes.upsert("pve", {"status": "online"})
    repositories.nodes.upsert("pve", {"status": "offline"})
    assert repositories.nodes.count() == 1
    assert repositories.nodes.get("pve").status == "offline"


def test_deleted_row_is_gone(repositories: RepositoryFactory) -> None:
    repositories.nodes.create({"id": "pve"})
    repositories.nodes.delete("pve")
    assert repositories.nodes.count() == 0


def test_pages_show_all_rows_once(rows: None, repositories: RepositoryFactory) -> None:
    made = {NodeFactory.create_sync().id for _ in range(7)}
    pages = [repositories.nodes.find_many(page=n, limit=3) for n in (1, 2, 3)]
    assert [len(page.data) for page in pages] == [3, 3, 1]
    assert [page.has_more for page in pages] == [True, True, False]
    assert {node.id for page in pages for node in page.data} == made
    assert {page.total for page in pages} == {7}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"page": 0}, "page"),
        ({"limit": 0}, "limit"),
        ({"limit": LARGEST_PAGE + 1}, "limit"),
        ({"order_by": "colour"}, "colour"),
        ({"where": {"colour": "red"}}, "colour"),
    ],
    ids=["page 0", "limit 0", "limit too large", "unknown order", "unknown filter"],
)
def test_wrong_page_is_refused(
    options: dict[str, Any], field: str, repositories: RepositoryFactory
) -> None:
    with pytest.raises(ValidationError) as caught:
        repositories.nodes.find_many(**options)
    assert caught.value.field == field


def test_rows_are_ordered_up_and_down(rows: None, repositories: RepositoryFactory) -> None:
    for cpus in (4, 16, 8):
        NodeFactory.create_sync(cpu_count=cpus)
    up = [n.cpu_count for n in repositories.nodes.find_many(order_by="cpu_count").data]
    down = [n.cpu_count for n in repositories.nodes.find_many(order_by="-cpu_count").data]
    assert up == [4, 8, 16]
    assert down == [16, 8, 4]


def test_filter_takes_a_value_or_several(rows: None, repositories: RepositoryFactory) -> None:
    for status in ("online", "offline", "unknown"):
        NodeFactory.create_sync(status=status)
    assert repositories.nodes.count({"status": "online"}) == 1
    assert repositories.nodes.count({"status": ["online", "offline"]}) == 2


def test_bulk_create_reports_each_row(repositories: RepositoryFactory) -> None:
    rows = [{"id": "a"}, {"id": "b", "status": "up"}, {"id": "a"}, {"id": "c"}]
    result = repositories.nodes.create_many(rows)
    assert sorted(result.done) == [0, 3]
    assert sorted(result.failed) == [1, 2]
    assert isinstance(result.failed[1], ValidationError)
    assert isinstance(result.failed[2], ConflictError)
    assert repositories.nodes.count() == 2


def test_bulk_update_reports_each_row(repositories: RepositoryFactory) -> None:
    repositories.nodes.create({"id": "a"})
    result = repositories.nodes.update_many({"a": {"status": "online"}, "b": {"status": "online"}})
    assert list(result.done) == [0]
    assert isinstance(result.failed[1], NotFoundError)


def test_bulk_delete_removes_what_matches(rows: None, repositories: RepositoryFactory) -> None:
    for status in ("online", "offline", "offline"):
        NodeFactory.create_sync(status=status)
    assert repositories.nodes.delete_many({"status": "offline"}) == 2
    assert repositories.nodes.count() == 1


def test_transaction_keeps_all_or_nothing(repositories: RepositoryFactory) -> None:
    def broken() -> None:
        with repositories.transaction() as r:
            r.nodes.create({"id": "pve"})
            r.vms.create({"id": 100, "node_id": "pve", "name": "bad_name"})

    with pytest.raises(ValidationError):
        broken()
    assert repositories.nodes.count() == 0
    with repositories.transaction() as r:
        r.nodes.create({"id": "pve"})
        r.vms.create({"id": 100, "node_id": "pve", "name": "web"})
    assert repositories.vms.count() == 1


def test_health_is_good(repositories: RepositoryFactory) -> None:
    assert repositories.health_check().ok


def test_health_names_the_missing_tables() -> None:
    engine = create_engine("sqlite://")
    with Session(engine) as session:
        health = RepositoryFactory(session).health_check()
    engine.dispose()
    assert not health.ok
    assert "table nodes is missing" in health.problems


def test_health_of_a_database_that_is_gone_is_bad() -> None:
    engine = create_engine("sqlite:////nowhere/at/all.db")
    with Session(engine) as session:
        health = RepositoryFactory(session).health_check()
    assert not health.ok
    assert "unable to open database file" in health.problems[0]


def test_every_error_is_a_repository_error() -> None:
    for kind in (NotFoundError, ValidationError, ConflictError):
        assert issubclass(kind, RepositoryError)


def test_snapshot_is_made_only_when_something_changed(repositories: RepositoryFactory) -> None:
    record = repositories.snapshots.record
    first = record("vm", "100", {"status": "running", "uptime_s": 1})
    same = record("vm", "100", {"status": "running", "uptime_s": 2})
    changed = record("vm", "100", {"status": "stopped", "uptime_s": 0})
    assert first is not None
    assert first.change_type == "discovered"
    assert same is None
    assert changed is not None
    assert changed.change_type == "updated"


def test_snapshots_are_compared_field_by_field(repositories: RepositoryFactory) -> None:
    repositories.snapshots.record("vm", "100", {"status": "running", "cores": 2})
    drift = repositories.snapshots.compare_with_latest("vm", "100", {"status": "stopped"})
    assert drift == {"status": ("running", "stopped"), "cores": (2, None)}


def test_history_is_newest_first_and_of_one_resource(repositories: RepositoryFactory) -> None:
    for cores in (1, 2, 3):
        repositories.snapshots.record("vm", "100", {"cores": cores})
    repositories.snapshots.record("vm", "101", {"cores": 9})
    history = repositories.snapshots.history("vm", "100")
    assert [snapshot.resource_data["cores"] for snapshot in history] == [3, 2, 1]


def test_old_snapshots_are_removed(repositories: RepositoryFactory) -> None:
    now = datetime.now(UTC)
    for days in (1, 89, 91, 400):
        values = {
            "resource_type": "vm",
            "resource_id": str(days),
            "resource_data": {},
            "change_type": "updated",
            "taken_at": now - timedelta(days=days),
        }
        repositories.snapshots.create(values)
    assert repositories.snapshots.cleanup_old(now) == 2
    assert repositories.snapshots.count() == 2


def test_operation_keeps_its_steps(cluster: Cluster, repositories: RepositoryFactory) -> None:
    key = operation_id()
    repositories.operations.create({"id": key, "kind": "deploy", "app_id": cluster.apps[0].id})
    repositories.operations.update(key, {"percent": 30, "step": "create", "log": ["made CT"]})
    repositories.session.expire_all()
    operation = repositories.operations.get(key)
    assert (operation.percent, operation.step, operation.log) == (30, "create", ["made CT"])


def test_models_know_their_tables() -> None:
    assert len(models.Base.metadata.tables) == len(NAMES)


# -- without a database: which calls a repository makes ------------------------------------


@pytest.fixture
def calls() -> Mock:
    """A session whose database calls are mocked: it holds no row."""
    session: Mock = create_autospec(Session, instance=True)
    session.get.return_value = None
    session.scalar.return_value = None
    return session


@pytest.fixture
def nodes(calls: Mock) -> Repository[models.Node]:
    """The repository of nodes on mocked calls."""
    return Repository(calls, models.Node, "node")


def names_of(calls: Mock) -> list[str]:
    """What was called, in order, the savepoint's end included."""
    return [name for name, _, _ in calls.mock_calls]


def test_create_adds_and_flushes_inside_a_savepoint(
    nodes: Repository[models.Node], calls: Mock
) -> None:
    assert nodes.create({"id": "pve"}).id == "pve"
    assert names_of(calls) == ["get", "begin_nested", "add", "flush", "begin_nested().commit"]


def test_refused_row_undoes_its_savepoint_and_nothing_else(
    nodes: Repository[models.Node], calls: Mock
) -> None:
    refusal = sqlite3.IntegrityError("UNIQUE constraint failed: nodes.id")
    calls.flush.side_effect = IntegrityError("INSERT", {}, refusal)
    with pytest.raises(ConflictError) as caught:
        nodes.create({"id": "pve"})
    assert caught.value.field == "id"
    assert names_of(calls)[-1] == "begin_nested().rollback"
    calls.rollback.assert_not_called()


def test_error_that_is_no_refusal_passes_as_it_is(
    nodes: Repository[models.Node], calls: Mock
) -> None:
    calls.flush.side_effect = OperationalError("INSERT", {}, sqlite3.OperationalError("disk full"))
    with pytest.raises(OperationalError, match="disk full"):
        nodes.create({"id": "pve"})


@pytest.mark.parametrize(
    "values",
    [{"id": ""}, {"id": "pve", "cpu_count": -1}, {"colour": "red"}],
    ids=["empty id", "negative number", "unknown field"],
)
def test_wrong_values_never_reach_the_database(
    values: dict[str, object], nodes: Repository[models.Node], calls: Mock
) -> None:
    with pytest.raises(ValidationError):
        nodes.create(values)
    assert names_of(calls) == []


def test_change_of_a_missing_row_writes_nothing(
    nodes: Repository[models.Node], calls: Mock
) -> None:
    with pytest.raises(NotFoundError):
        nodes.update("pve", {"status": "online"})
    with pytest.raises(NotFoundError):
        nodes.delete("pve")
    assert names_of(calls) == ["get", "get"]
