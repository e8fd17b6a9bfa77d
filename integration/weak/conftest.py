"""The app on a served Proxmox that it knows by address and by a weak token only.

Its time is sixty times as fast as ours. The suite of ``tests/app`` runs here a second time, but
for the tests that make Proxmox fail or put guests into it: nobody can tell a server to from
outside.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.serving import Served, serving
from integration.weak.served import ServedView, tapped
from src_app.configuration import Configuration, Span
from tests.app.conftest import KEY, admin, client, manager, migrated, owner, register

__all__ = ["admin", "client", "manager", "migrated", "owner", "register"]
HERE = Path(__file__).parent
WORLD = HERE.parents[1] / "tests/app/world.json"
FIRST_VMID, VMIDS = 500, 20
USER, ROLE = "apps@pve", "AppManager"
# What deploying, cloning, configuring, backing up and updating need, and nothing else.
PRIVILEGES = (
    "Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate Datastore.Audit"
    " SDN.Use Sys.AccessNetwork Sys.Audit VM.Allocate VM.Audit VM.Backup VM.Clone VM.Config.CPU"
    " VM.Config.Disk VM.Config.Memory VM.Config.Network VM.Config.Options VM.PowerMgmt VM.Snapshot"
)
INSIDE = ("proxmox_faults", "proxmox_sandbox")  # fixtures that reach into an embedded Proxmox
NOT_FROM_OUTSIDE = (
    "test_guest_in_the_way_is_left_alone",  # plants the guest
    "test_monitoring_shows_use_history_logs_and_nodes",  # begins before anything was measured
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs more than an address and a token; the rest takes its time."""
    here = [item for item in items if HERE in item.path.parents]
    inside = {item for item in here if _is_inside(item)}
    for item in here:
        item.add_marker(pytest.mark.slow)
    if inside:
        config.hook.pytest_deselected(items=list(inside))
        items[:] = [item for item in items if item not in inside]


def _is_inside(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    return bool(set(INSIDE) & set(fixtures)) or (
        getattr(item, "originalname", "") in NOT_FROM_OUTSIDE
    )


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served Proxmox whose time runs sixty times as fast as ours."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, "--clock", "real", "--scale", "60", world=str(WORLD)) as served:
        yield served


@pytest.fixture(scope="session")
def weak_environment(served: Served) -> dict[str, str]:
    """Address and token; the role has no right on users, realms or the cluster's settings."""
    access = served.api.access
    access.roles.post(roleid=ROLE, privs=PRIVILEGES.replace(" ", ","))
    access.users.post(userid=USER)
    access.acl.put(path="/", users=USER, roles=ROLE)
    made = access.users(USER).token("manager").post(privsep=0)
    host, port = served.address.split(":")
    return {
        "PROXMOX_HOST": host,
        "PROXMOX_PORT": port,
        "PROXMOX_USER": USER,
        "PROXMOX_TOKEN_NAME": "manager",
        "PROXMOX_TOKEN_VALUE": str(made["value"]),
        "PROXMOX_VERIFY_SSL": served.ready["ca_file"],
    }


@pytest.fixture
def environment(weak_environment: dict[str, str]) -> dict[str, str]:
    """The same, as the suite calls it."""
    return weak_environment


@pytest.fixture
def proxmox(served: Served) -> Any:
    """The server, as its root sees it."""
    return served.api


@pytest.fixture
def proxmox_simulator(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedView]:
    """The server, looked at from outside."""
    with tapped(monkeypatch) as wire:
        yield ServedView(served, wire)


@pytest.fixture(scope="session")
def firsts() -> Iterator[int]:
    """The first VMID of each test: Proxmox remembers how busy an earlier guest of a VMID was."""
    return itertools.count(FIRST_VMID, VMIDS)


@pytest.fixture
def configuration(
    tmp_path: Path, migrated: Path, served: Served, firsts: Iterator[int]
) -> Iterator[Configuration]:
    """The app's settings: a fresh database; what is left on the server goes afterwards."""
    database = tmp_path / "app.db"
    shutil.copy(migrated, database)
    first = next(firsts)
    yield Configuration(
        database_url=f"sqlite:///{database}",
        secret_key=KEY,
        vmids=Span(first, first + VMIDS - 1),
        health_timeout_s=2.0,
        retry_pause_s=0.1,
        sync_s=3600.0,
    )
    ServedView(served).clear(first, first + VMIDS - 1)
