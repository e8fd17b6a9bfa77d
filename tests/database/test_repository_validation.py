"""TEST-006: each field says in words what is wrong with it; each constraint is broken once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import JSON, CheckConstraint, ForeignKeyConstraint, UniqueConstraint, null
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from src_app.db import models, words
from src_app.db.constraints import translate
from src_app.db.errors import ConflictError, ValidationError
from src_app.db.models import Base
from src_app.db.validation import RULES, problems, validate
from tests.database.factories import (
    AppFactory,
    BackupFactory,
    ContainerFactory,
    NodeFactory,
    StorageFactory,
    TaskFactory,
    UserFactory,
    VMFactory,
    operation_id,
)

GOOD: dict[str, dict[str, Any]] = {
    "node": {"id": "pve1"},
    "vm": {"id": 100, "node_id": "pve1", "name": "web.example.org"},
    "container": {"id": 101, "node_id": "pve1", "hostname": "web"},
    "storage": {"name": "local-lvm", "node_id": "pve1", "type": "lvmthin"},
    "task": {
        "id": "UPID:pve:00001234:0000ABCD:65000000:vzstart:101:root@pam:",
        "node_id": "pve1",
        "type": "vzstart",
        "user": "root@pam",
    },
    "snapshot": {
        "resource_type": "vm",
        "resource_id": "100",
        "resource_data": {},
        "change_type": "created",
    },
    "user": {"username": "ada", "password_hash": "x"},
    "app": {
        "id": "nginx-web",
        "catalog_id": "nginx",
        "name": "Nginx",
        "hostname": "web",
        "node": "pve1",
        "owner_id": 1,
    },
    "backup": {"storage": "local", "app_name": "Nginx", "app_hostname": "web", "owner_id": 1},
}
WRONG: list[tuple[str, str, Any, str]] = [
    ("node", "id", "", "must not be empty"),
    ("node", "id", "-pve", "must be letters, digits and inner dashes"),
    ("node", "id", "n" * 64, "must have 1 to 63 characters"),
    ("node", "id", 7, "must be text"),
    ("node", "id", "pve\x00", "must not have NUL characters"),
    ("node", "status", "up", "must be one of online, offline, unknown"),
    ("node", "ip", "10.0.0.256", "must be an IP address"),
    ("node", "cpu_count", -1, "must be 0 to 2147483647"),
    ("node", "cpu_usage", -0.1, "must be 0 or more"),
    ("node", "cpu_usage", "much", "must be a number"),
    ("node", "cpu_usage", float("nan"), "must be 0 or more"),
    ("node", "memory_bytes", 1.5, "must be a whole number"),
    ("node", "memory_bytes", True, "must be a whole number"),
    ("node", "memory_bytes", 2**63, "must be 0 or more"),
    ("vm", "id", 99, "must be 100 to 999999999"),
    ("vm", "id", 1_000_000_000, "must be 100 to 999999999"),
    ("vm", "id", "100", "must be a whole number"),
    ("vm", "name", "web_1", "must be a DNS name"),
    ("vm", "cores", 0, "must be 1 to 8192"),
    ("vm", "status", "asleep", "must be one of running, stopped"),
    ("vm", "is_template", "no", "must be true or false"),
    ("vm", "tags", "web", "must be a list of texts"),
    ("vm", "tags", ["web", ""], "must be a list of texts"),
    ("container", "hostname", "web-", "must be a DNS name"),
    ("container", "hostname", None, "is missing"),
    ("container", "unprivileged", 1, "must be true or false"),
    ("container", "disk_bytes", -1, "must be 0 or more"),
    ("storage", "name", "1st", "must begin with a letter, as Proxmox names storages"),
    ("storage", "type", "floppy", "must be one of dir, nfs"),
    ("storage", "content", ["images", "music"], "must be a list of images, rootdir"),
    ("storage", "total_bytes", -5, "must be 0 or more"),
    ("task", "id", "UPID:pve", "must be a UPID"),
    ("task", "status", "OK", "must be one of running, stopped"),
    ("task", "user", "  ", "must not be empty"),
    ("task", "vmid", 5, "must be 100 to 999999999"),
    ("snapshot", "resource_type", "lamp", "must be one of node, vm"),
    ("snapshot", "resource_data", [], "must be an object with text keys"),
    ("snapshot", "resource_data", {1: 2}, "must be an object with text keys"),
    ("snapshot", "change_type", "moved", "must be one of created, updated"),
    ("user", "username", "Ada", "must be 3 to 50 of a-z, 0-9, _ and -"),
    ("user", "username", "ab", "must be 3 to 50 of a-z, 0-9, _ and -"),
    ("user", "email", "nobody", "must be an e-mail address"),
    ("user", "role", "root", "must be one of user, admin"),
    ("app", "hostname", "web_1", "must be letters, digits and inner dashes"),
    ("app", "cores", 17, "must be 1 to 16"),
    ("app", "memory_mib", 64, "must be 128 to 32768"),
    ("app", "disk_gib", 501, "must be 1 to 500"),
    ("app", "status", "fine", "must be one of deploying, running"),
    ("app", "owner_id", None, "is missing"),
    ("backup", "status", "done", "must be one of creating, available"),
    ("backup", "size_bytes", -1, "must be 0 or more"),
]


@pytest.mark.parametrize("entity", GOOD)
def test_good_values_pass(entity: str) -> None:  # lint: no-assertion - validate raises
    validate(entity, GOOD[entity])


@pytest.mark.parametrize(
    ("entity", "field", "value", "text"),
    WRONG,
    ids=[f"{entity}-{field}-{n}" for n, (entity, field, *_) in enumerate(WRONG)],
)
def test_wrong_value_is_named_with_its_field(
    entity: str, field: str, value: Any, text: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        validate(entity, {**GOOD[entity], field: value})
    assert caught.value.field == field
    assert caught.value.errors[0].text.startswith(text)
    assert len(caught.value.errors) == 1


@pytest.mark.parametrize("entity", GOOD)
def test_every_required_field_is_missed(entity: str) -> None:
    required = {name for name, rule in RULES[entity].items() if rule.required}
    found = problems(entity, {})
    assert {error.field for error in found} == required
    assert {error.text for error in found} == {"is missing"}


@pytest.mark.parametrize("entity", GOOD)
def test_update_may_leave_fields_out(entity: str) -> None:
    assert problems(entity, {}, partial=True) == []


def test_all_wrong_fields_are_named_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        validate("vm", {"id": 1, "node_id": "", "name": "x"})
    assert [error.field for error in caught.value.errors] == ["id", "node_id"]


@pytest.mark.parametrize("kind", words.STORAGE_TYPE)
def test_storage_types_of_a_real_node_are_accepted(kind: str) -> None:
    assert problems("storage", {**GOOD["storage"], "type": kind}) == []


@pytest.mark.parametrize("status", ["prelaunch", "io-error", "paused", "running", "stopped"])
def test_vm_states_of_a_real_node_are_accepted(status: str) -> None:
    assert problems("vm", {**GOOD["vm"], "status": status}) == []


def test_cpu_usage_above_one_is_accepted() -> None:
    assert problems("node", {"id": "pve", "cpu_usage": 1.03}) == []


@given(st.integers(100, 999_999_999))
def test_every_vmid_of_proxmox_is_accepted(vmid: int) -> None:
    assert problems("vm", {**GOOD["vm"], "id": vmid}) == []


@given(st.integers(max_value=99) | st.integers(min_value=10**9))
def test_no_other_vmid_is_accepted(vmid: int) -> None:
    assert [error.field for error in problems("vm", {**GOOD["vm"], "id": vmid})] == ["id"]


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True))
def test_every_hostname_is_accepted(hostname: str) -> None:
    assert problems("app", {**GOOD["app"], "hostname": hostname}) == []


@given(st.from_regex(r"[a-z0-9]{1,9}(_|\.|-$)[a-z0-9]{0,9}", fullmatch=True))
def test_no_hostname_that_proxmox_refuses_is_accepted(hostname: str) -> None:
    found = problems("app", {**GOOD["app"], "hostname": hostname})
    fine = all(c.isalnum() or c == "-" for c in hostname) and not hostname.endswith("-")
    assert bool(found) != fine


@given(st.text())
def test_node_name_check_never_fails_itself(text: str) -> None:
    found = problems("node", {"id": text})
    assert not found or found[0].field == "id"


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())


@pytest.mark.parametrize("entity", GOOD)
@given(value=ANYTHING)
def test_any_value_is_judged_without_an_exception(entity: str, value: Any) -> None:
    for name in RULES[entity]:
        for error in problems(entity, {name: value}, partial=True):
            assert error.field == name
            assert error.text


# -- the database's own constraints ---------------------------------------------------


def _node() -> str:
    return str(NodeFactory.create_sync().id)


def _owner() -> int:
    return int(UserFactory.create_sync().id)


def _app(**changes: Any) -> models.App:
    return AppFactory.build(owner_id=_owner(), **changes)


def _twin(first: Any, factory: Any, **same: Any) -> Any:
    factory.create_sync(**first, **same)
    return factory.build(**first, **same)


def _change(**values: Any) -> models.Change:
    told = {"run": "r", "action": "create", "kind": "vm", "vmid": 100, "node": "pve"}
    return models.Change(**told | values)


BREAKERS: dict[str, tuple[Any, str, str]] = {
    # nodes
    "ck_nodes_id_not_empty": (lambda: NodeFactory.build(id=""), "id", "must not be empty"),
    "ck_nodes_status_word": (
        lambda: NodeFactory.build(status="up"),
        "status",
        "must be one of online, offline, unknown",
    ),
    "ck_nodes_memory_bytes_not_negative": (
        lambda: NodeFactory.build(memory_bytes=-1),
        "memory_bytes",
        "must be 0 or more",
    ),
    "ck_nodes_cpu_count_not_negative": (
        lambda: NodeFactory.build(cpu_count=-1),
        "cpu_count",
        "must be 0 or more",
    ),
    # users
    "uq_users_username": (
        lambda: _twin({"username": "ada"}, UserFactory),
        "username",
        "is taken",
    ),
    "uq_users_email": (lambda: _twin({"email": "a@b.org"}, UserFactory), "email", "is taken"),
    "ck_users_role_word": (
        lambda: UserFactory.build(role="root"),
        "role",
        "must be one of user, admin",
    ),
    "ck_users_username_length": (
        lambda: UserFactory.build(username="ab"),
        "username",
        "must have 3 to 50 characters",
    ),
    "ck_users_username_lower": (
        lambda: UserFactory.build(username="Ada"),
        "username",
        "must be in lower case",
    ),
    # storages
    "uq_storages_node_id_name": (
        lambda: _twin({"node_id": _node(), "name": "local"}, StorageFactory),
        "name",
        "is taken together with node_id",
    ),
    "ck_storages_name_not_empty": (
        lambda: StorageFactory.build(node_id=_node(), name=""),
        "name",
        "must not be empty",
    ),
    "ck_storages_type_not_empty": (
        lambda: StorageFactory.build(node_id=_node(), type=""),
        "type",
        "must not be empty",
    ),
    "ck_storages_total_bytes_not_negative": (
        lambda: StorageFactory.build(node_id=_node(), total_bytes=-1),
        "total_bytes",
        "must be 0 or more",
    ),
    "ck_storages_used_bytes_not_negative": (
        lambda: StorageFactory.build(node_id=_node(), used_bytes=-1),
        "used_bytes",
        "must be 0 or more",
    ),
    # tasks
    "ck_tasks_status_word": (
        lambda: TaskFactory.build(node_id=_node(), status="OK"),
        "status",
        "must be one of running, stopped",
    ),
    "ck_tasks_id_upid": (
        lambda: TaskFactory.build(node_id=_node(), id="4711"),
        "id",
        "must be a UPID",
    ),
    # snapshots
    "ck_state_snapshots_change_type_word": (
        lambda: models.Snapshot(**{**GOOD["snapshot"], "change_type": "moved"}),
        "change_type",
        "must be one of created, updated, deleted, discovered",
    ),
    "ck_state_snapshots_resource_id_not_empty": (
        lambda: models.Snapshot(**{**GOOD["snapshot"], "resource_id": ""}),
        "resource_id",
        "must not be empty",
    ),
    # apps
    "uq_apps_hostname": (
        lambda: _twin({"hostname": "web", "owner_id": _owner()}, AppFactory),
        "hostname",
        "is taken",
    ),
    "uq_apps_vmid": (
        lambda: _twin({"vmid": 4711, "owner_id": _owner()}, AppFactory),
        "vmid",
        "is taken",
    ),
    "ck_apps_status_word": (lambda: _app(status="fine"), "status", "must be one of deploying"),
    "ck_apps_vmid_range": (lambda: _app(vmid=7), "vmid", "must be 100 to 999999999"),
    "ck_apps_hostname_length": (
        lambda: _app(hostname="ab"),
        "hostname",
        "must have 3 to 63 characters",
    ),
    "ck_apps_cores_range": (lambda: _app(cores=17), "cores", "must be 1 to 16"),
    "ck_apps_memory_mib_range": (lambda: _app(memory_mib=1), "memory_mib", "must be 128 to 32768"),
    "ck_apps_disk_gib_range": (lambda: _app(disk_gib=0), "disk_gib", "must be 1 to 500"),
    # ports
    "ck_port_reservations_port_range": (
        lambda: models.PortReservation(
            port=70_000, purpose="public", app_id=AppFactory.create_sync(owner_id=_owner()).id
        ),
        "port",
        "must be 1 to 65535",
    ),
    # backups
    "uq_backups_volid": (
        lambda: _twin({"volid": "local:backup/x", "owner_id": _owner()}, BackupFactory),
        "volid",
        "is taken",
    ),
    "ck_backups_status_word": (
        lambda: BackupFactory.build(owner_id=_owner(), status="done"),
        "status",
        "must be one of creating, available",
    ),
    "ck_backups_size_bytes_not_negative": (
        lambda: BackupFactory.build(owner_id=_owner(), size_bytes=-1),
        "size_bytes",
        "must be 0 or more",
    ),
    # operations
    "ck_operations_kind_word": (
        lambda: models.Operation(id=operation_id(), kind="dance"),
        "kind",
        "must be one of deploy",
    ),
    "ck_operations_status_word": (
        lambda: models.Operation(id=operation_id(), kind="deploy", status="ok"),
        "status",
        "must be one of queued",
    ),
    "ck_operations_percent_range": (
        lambda: models.Operation(id=operation_id(), kind="deploy", percent=101),
        "percent",
        "must be 0 to 100",
    ),
    "ck_operation_locks_subject_not_empty": (
        lambda: models.OperationLock(subject="", operation_id=operation_id()),
        "subject",
        "must not be empty",
    ),
    "ck_wanted_guests_vmid_range": (
        lambda: models.WantedGuest(vmid=7, kind="vm", node="pve", name="a"),
        "vmid",
        "must be 100 to 999999999",
    ),
    "ck_wanted_guests_kind_word": (
        lambda: models.WantedGuest(vmid=100, kind="jail", node="pve", name="a"),
        "kind",
        "must be one of vm, container",
    ),
    "ck_wanted_guests_node_not_empty": (
        lambda: models.WantedGuest(vmid=100, kind="vm", node="", name="a"),
        "node",
        "must not be empty",
    ),
    "ck_changes_vmid_range": (lambda: _change(vmid=7), "vmid", "must be 100 to 999999999"),
    "ck_changes_kind_word": (lambda: _change(kind="jail"), "kind", "must be one of vm, container"),
    "ck_changes_action_word": (lambda: _change(action="jump"), "action", "must be one of create"),
    "ck_changes_status_word": (lambda: _change(status="lost"), "status", "must be one of pending"),
    "ck_guest_claims_vmid_range": (
        lambda: models.GuestClaim(vmid=7, node="pve", nonce="n1"),
        "vmid",
        "must be 100 to 999999999",
    ),
    "ck_guest_claims_nonce_not_empty": (
        lambda: models.GuestClaim(vmid=100, node="pve", nonce=""),
        "nonce",
        "must not be empty",
    ),
    "ck_schedules_kind_not_empty": (
        lambda: models.Schedule(kind="", rule="every 5m", next_at=models.now()),
        "kind",
        "must not be empty",
    ),
    # the rest
    "ck_settings_key_not_empty": (lambda: models.Setting(key=""), "key", "must not be empty"),
    "ck_audit_log_action_not_empty": (
        lambda: models.AuditEntry(action=""),
        "action",
        "must not be empty",
    ),
}
for _table, _factory in (("vms", VMFactory), ("containers", ContainerFactory)):
    BREAKERS |= {
        f"ck_{_table}_id_range": (
            lambda f=_factory: f.build(node_id=_node(), id=7),
            "id",
            "must be 100 to 999999999",
        ),
        f"ck_{_table}_status_word": (
            lambda f=_factory: f.build(node_id=_node(), status="asleep"),
            "status",
            "must be one of running, stopped",
        ),
        f"ck_{_table}_cores_range": (
            lambda f=_factory: f.build(node_id=_node(), cores=0),
            "cores",
            "must be 1 to 8192",
        ),
        f"ck_{_table}_memory_bytes_not_negative": (
            lambda f=_factory: f.build(node_id=_node(), memory_bytes=-1),
            "memory_bytes",
            "must be 0 or more",
        ),
        f"ck_{_table}_disk_bytes_not_negative": (
            lambda f=_factory: f.build(node_id=_node(), disk_bytes=-1),
            "disk_bytes",
            "must be 0 or more",
        ),
    }
BREAKERS["ck_containers_hostname_not_empty"] = (
    lambda: ContainerFactory.build(node_id=_node(), hostname=""),
    "hostname",
    "must not be empty",
)


@pytest.mark.parametrize("name", BREAKERS)
def test_constraint_is_broken_and_names_its_field(
    name: str, rows: None, db_session: Session
) -> None:
    make, field, text = BREAKERS[name]
    row = make()
    db_session.add(row)
    with pytest.raises(IntegrityError) as caught:
        db_session.flush()
    db_session.rollback()
    error = translate(caught.value, "row", row.__table__)
    assert isinstance(error, ConflictError if name.startswith("uq_") else ValidationError)
    assert error.field == field
    said = error.text if isinstance(error, ConflictError) else error.errors[0].text
    assert said.startswith(text)


def test_every_check_and_unique_constraint_has_a_breaker() -> None:
    kinds = (CheckConstraint, UniqueConstraint)
    present = {
        str(c.name)
        for table in Base.metadata.tables.values()
        for c in table.constraints
        if isinstance(c, kinds)
    }
    assert present == set(BREAKERS)


NOT_NULL = [
    (table.name, column.name)
    for table in Base.metadata.sorted_tables
    for column in table.columns
    if not column.nullable and not column.primary_key
]


@pytest.mark.parametrize(("table", "column"), NOT_NULL, ids=[f"{t}.{c}" for t, c in NOT_NULL])
def test_column_that_must_not_be_null_says_so(table: str, column: str, db_session: Session) -> None:
    made = Base.metadata.tables[table]
    values = {c.name: _plain(c) for c in made.columns if not c.nullable and c.name != column}
    with pytest.raises(IntegrityError) as caught:
        db_session.execute(made.insert().values({**values, column: null()}))
    error = translate(caught.value, "row", made)
    assert isinstance(error, ValidationError)
    assert str(error) == f"row: {column}: is missing"


def _plain(column: Any) -> Any:
    """Any value of the column's type: NOT NULL is judged before checks and keys."""
    if isinstance(column.type, JSON):
        return {}
    if isinstance(column.type, models.Moment):
        return models.now()
    kind = column.type.python_type
    if kind is str:
        return "UPID:" if column.table.name == "tasks" else "text"
    return {int: 4711, float: 0.5, bool: True}[kind]


FOREIGN = sorted(  # constraints are a set: their order differs between workers
    (table.name, key.column_keys[0])
    for table in Base.metadata.sorted_tables
    for key in table.constraints
    if isinstance(key, ForeignKeyConstraint)
)
MAKERS: dict[tuple[str, str], Any] = {
    ("vms", "node_id"): lambda: VMFactory.build(node_id="nowhere"),
    ("containers", "node_id"): lambda: ContainerFactory.build(node_id="nowhere"),
    ("storages", "node_id"): lambda: StorageFactory.build(node_id="nowhere"),
    ("tasks", "node_id"): lambda: TaskFactory.build(node_id="nowhere"),
    ("apps", "owner_id"): lambda: AppFactory.build(owner_id=4711),
    ("backups", "owner_id"): lambda: BackupFactory.build(owner_id=4711),
    ("backups", "app_id"): lambda: BackupFactory.build(owner_id=_owner(), app_id="nowhere"),
    ("port_reservations", "app_id"): lambda: models.PortReservation(
        port=80, purpose="public", app_id="nowhere"
    ),
    ("operations", "app_id"): lambda: models.Operation(
        id=operation_id(), kind="deploy", app_id="nowhere"
    ),
    ("operations", "user_id"): lambda: models.Operation(
        id=operation_id(), kind="deploy", user_id=4711
    ),
    ("operation_locks", "operation_id"): lambda: models.OperationLock(
        subject="app:x", operation_id="nowhere"
    ),
    ("refresh_tokens", "user_id"): lambda: models.RefreshToken(
        id="x", family="x", expires_at=models.now(), user_id=4711
    ),
    ("audit_log", "user_id"): lambda: models.AuditEntry(action="login", user_id=4711),
}


@pytest.mark.parametrize(("table", "column"), FOREIGN, ids=[f"{t}.{c}" for t, c in FOREIGN])
def test_foreign_key_that_leads_nowhere_is_named_by_the_repository(
    table: str, column: str, rows: None, db_session: Session, repositories: Any
) -> None:
    row = MAKERS[table, column]()
    values = {
        c.name: getattr(row, c.name)
        for c in row.__table__.columns
        if getattr(row, c.name) is not None
    }
    by_table = {r.table.name: r for r in vars(repositories).values() if hasattr(r, "table")}
    with pytest.raises(ValidationError) as caught:
        by_table[table].create(values)
    assert caught.value.field == column
    assert caught.value.errors[0].text.startswith("is not in ")


@pytest.mark.parametrize(("table", "column"), FOREIGN, ids=[f"{t}.{c}" for t, c in FOREIGN])
def test_foreign_key_is_enforced_by_the_database_itself(
    table: str, column: str, rows: None, db_session: Session
) -> None:
    db_session.add(MAKERS[table, column]())
    with pytest.raises(IntegrityError):
        db_session.flush()
    db_session.rollback()
