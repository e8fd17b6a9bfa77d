"""What is kept is true: a mark differs once anybody has committed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from src_app.configuration import Configuration
from src_app.db.models import App
from src_app.db.repositories import RepositoryFactory
from src_app.db.store import Store
from src_app.services.manager import Manager
from src_app.web.schemas import AppPage
from tests.app.conftest import VMIDS, Caller

pytestmark = [pytest.mark.vmid_range(size=VMIDS)]


@pytest.fixture
def other(configuration: Configuration) -> Iterator[Store]:
    """What another process has: the same database, and nothing else."""
    store = Store(configuration.database_url)
    yield store
    store.close()


def add(store: Store, owner: Caller, number: int, **more: Any) -> None:
    """Put an app into the database, and nowhere else."""

    def write(db: RepositoryFactory) -> None:
        db.session.add(
            App(
                id=f"nginx-site{number}", catalog_id="nginx", name="Nginx",
                hostname=f"site{number}", status="running", owner_id=owner.user["id"],
                **{"config": {"port": 80, "category": "web"}, **more},
            )
        )  # fmt: skip

    store.run(write)


def test_mark_stays_while_nobody_commits(manager: Manager, other: Store, owner: Caller) -> None:
    changes = manager.store.changes
    mark = changes.mark()
    other.read(lambda db: db.apps.count())
    assert changes.mark() == mark
    add(other, owner, 1)
    after = changes.mark()
    assert after != mark
    add(manager.store, owner, 2)
    assert changes.mark() not in (mark, after)


def test_mark_of_a_database_in_memory_is_never_the_same() -> None:
    store = Store("sqlite://")
    assert store.changes.mark() is None
    store.close()


def test_list_shows_what_another_process_wrote(other: Store, owner: Caller) -> None:
    for number in range(1, 4):
        assert owner.get("/apps")["total"] == number - 1
        add(other, owner, number)
        assert owner.get("/apps")["total"] == number
    other.run(lambda db: db.apps.update("nginx-site2", {"status": "stopped"}))
    assert owner.get("/apps", status="stopped")["total"] == 1


def test_unchanged_list_asks_the_database_nothing(
    manager: Manager, other: Store, owner: Caller
) -> None:
    statements: list[str] = []
    event.listen(
        manager.store.engine,
        "before_cursor_execute",
        lambda _conn, _cursor, statement, *_: statements.append(statement),
    )

    def of_the_list() -> int:
        """Only lists ask by owner; the manager's own rounds ask about all apps meanwhile."""
        return len([text for text in statements if "apps.owner_id = " in text])

    add(other, owner, 1)
    first = owner.get("/apps")
    asked = of_the_list()
    assert asked > 0
    assert owner.get("/apps") == first
    assert of_the_list() == asked


def test_list_asks_proxmox_about_no_app(
    other: Store, owner: Caller, proxmox_simulator: EmbeddedProxmox
) -> None:
    for number in range(5):
        add(other, owner, number, node="pve", vmid=900 + number)
    seen = proxmox_simulator.calls.total
    assert owner.get("/apps")["total"] == 5
    assert [call.path for call in proxmox_simulator.calls.since(seen) if "/lxc/" in call.path] == []


def test_lists_of_two_users_are_two_lists(admin: Caller, owner: Caller, other: Store) -> None:
    add(other, admin, 1)
    add(other, owner, 2)
    ids = [[app["id"] for app in caller.get("/apps")["apps"]] for caller in (admin, owner, admin)]
    assert ids == [["nginx-site1", "nginx-site2"], ["nginx-site2"], ["nginx-site1", "nginx-site2"]]


def test_rows_have_the_documented_shape(owner: Caller, other: Store) -> None:
    add(other, owner, 1, node="pve", vmid=900, latest_version="2.0")
    found = owner.get("/apps")
    assert AppPage.model_validate(found, strict=True).model_dump() == found
    assert owner.get("/apps/nginx-site1") == found["apps"][0]


@pytest.mark.parametrize("per_page", [1, 2, 3, 5])
def test_total_is_the_same_on_every_page(owner: Caller, other: Store, per_page: int) -> None:
    for number in range(5):
        add(other, owner, number)
    seen: list[str] = []
    for page in range(1, 8):
        found = owner.get("/apps", page=page, per_page=per_page)
        assert found["total"] == 5
        seen += [app["id"] for app in found["apps"]]
    assert seen == [f"nginx-site{number}" for number in range(5)]


def test_user_who_loses_a_role_loses_it_at_once(admin: Caller, owner: Caller, other: Store) -> None:
    number = owner.user["id"]
    owner.get("/settings", 403)
    admin.call("PATCH", f"/users/{number}", json={"role": "admin"})
    owner.get("/settings")
    other.run(lambda db: db.users.update(number, {"role": "user"}))
    owner.get("/settings", 403)
    other.run(lambda db: db.users.update(number, {"is_active": False}))
    assert "no access" in owner.get("/apps", 401)["detail"]
