"""Random worlds: from the database to code and back, nothing lost and nothing invented.

``WORLDS=500`` tries so many; see ``benchmarks/console_campaign.py``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from sqlalchemy.orm import Session

from src_app.db.engine import make_engine
from src_app.db.models import Base
from src_app.db.repositories import RepositoryFactory
from src_app.db.store import Store
from src_app.iac.ansible.project import ansible
from src_app.iac.state import ClusterState, read_state
from src_app.iac.terraform.project import terraform
from src_app.iac.validation import Parsed, check, parse, plain, reference
from src_app.services.syncing import SyncService
from tests.generators.worlds import SECRET, Guest, World, names, worlds
from tests.generators.worlds import store as write_rows

WORLDS = int(os.environ.get("WORLDS", "30"))  # a second or two of them
QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
HOSTILE = worlds(names, last_vmid=999_999_999)


class Reader:
    """A Proxmox made of a dictionary."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.get = lambda path, **_: answers[path]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A database that all worlds pass through, one after another."""
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('worlds')}/state.db")
    store.migrate()
    yield store
    store.close()


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """A database in memory; each world is rolled back."""
    engine = make_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


def state_of(session: Session, world: World) -> ClusterState:
    """Return what is read from the database that a world was written to."""
    rows = world.rows()
    try:
        write_rows(session, rows[:3])
        write_rows(session, rows[3:])
        return read_state(RepositoryFactory(session))
    finally:
        session.rollback()


@settings(QUIET, max_examples=WORLDS)
@given(world=worlds())
def test_what_a_sync_finds_is_in_the_code_and_nothing_else(store: Store, world: World) -> None:
    service = SyncService(store, Reader(world.answers()))
    service.sync_all()
    state = store.read(read_state)
    code, plays = terraform(state), ansible(state)
    assert_same(world, code, plays)
    assert service.sync_all().difference.is_empty
    again = store.read(read_state)
    assert (terraform(again), ansible(again)) == (code, plays)


@settings(QUIET, max_examples=max(1, WORLDS // 3))
@given(world=HOSTILE)
def test_whatever_guests_are_called(session: Session, world: World) -> None:
    state = state_of(session, world)
    assert_same(world, terraform(state), ansible(state))


def assert_same(world: World, code: dict[str, str], plays: dict[str, str]) -> None:
    """Fail where the code tells more or less than the world has, or a secret, or is wrong."""
    project = parse(code)
    wanted = {guest.vmid: facts(guest) for guest in world.guests}
    assert {row["vm_id"]: told(row) for _, _, row in project.resources if "vm_id" in row} == wanted
    assert {row["proxmox_vmid"]: played(row) for row in host_vars(plays)} == wanted
    assert storages(project) == {name: kind for name, kind, _ in world.storages}
    assert imported(project) == [
        *(f"{guest.node}/{guest.vmid}" for guest in sorted(world.guests, key=lambda g: g.vmid)),
        *sorted(name for name, kind, _ in world.storages if kind not in {"rbd", "btrfs"}),
    ]
    assert check(project) == []
    assert not [name for name, text in {**code, **plays}.items() if SECRET in text]


def facts(guest: Guest) -> dict[str, Any]:
    """Return what both tools must tell of a guest."""
    return {
        "kind": guest.kind,
        "name": guest.name,
        "node": guest.node,
        "running": guest.running,
        "template": guest.is_template,
        "cores": guest.cores,
        "memory": guest.memory_mib,
        "tags": list(guest.tags),
        "disks": sorted((disk.storage, disk.gib) for disk in guest.disks),
        "cards": sorted((card.bridge, card.address) for card in guest.cards),
    }


def told(row: Any) -> dict[str, Any]:
    """Return what a resource tells of its guest."""
    is_vm = "network_device" in row or "name" in row or "initialization" not in row
    disks = [(plain(d["datastore_id"]), d["size"]) for d in row.get("disk", [])]
    for mount in row.get("mount_point", []):
        disks.append((plain(mount["volume"]).partition(":")[0], int(plain(mount["size"])[:-1])))
    cards = row.get("network_device" if is_vm else "network_interface", [])
    name = row.get("name", '""') if is_vm else row["initialization"][0]["hostname"]
    return {
        "kind": "vm" if is_vm else "container",
        "name": plain(name),
        "node": plain(row["node_name"]),
        "running": row["started"],
        "template": row["template"],
        "cores": row["cpu"][0]["cores"],
        "memory": row["memory"][0]["dedicated"],
        "tags": [plain(tag) for tag in row["tags"]],
        "disks": sorted(disks),
        "cards": sorted((plain(card["bridge"]), plain(card["mac_address"])) for card in cards),
    }


class _Loader(yaml.SafeLoader):
    """Reads Ansible's files."""


def _text(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


_Loader.add_constructor("!unsafe", _text)


def load(text: str) -> Any:
    """Return a file's content, with what is marked as unsafe as it stands."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, and one tag for texts


def host_vars(plays: dict[str, str]) -> list[Any]:
    """Return the variables of all guests that are in the inventory."""
    groups = load(plays["inventory.yml"])["all"]["children"]
    hosts = [*groups["vms"]["hosts"], *groups["containers"]["hosts"]]
    files = [name for name in plays if name.startswith("host_vars/")]
    assert sorted(files) == sorted(f"host_vars/{host}.yml" for host in hosts)
    return [load(plays[name]) for name in files]


def played(row: Any) -> dict[str, Any]:
    """Return what the variables tell of their guest."""
    devices = row["proxmox_devices"]
    asked = [
        d.partition(":")
        for bus in ("scsi", "virtio", "sata")
        for d in devices.get(bus, {}).values()
    ]
    disks = [(storage, int(size)) for storage, _, size in asked]
    volumes = [devices["disk_volume"]] if "disk_volume" in devices else []
    disks += [(v["storage"], v["size"]) for v in [*volumes, *devices.get("mount_volumes", [])]]
    cards = []
    for text in {**devices.get("net", {}), **devices.get("netif", {})}.values():
        parts = dict(part.split("=") for part in text.split(","))
        cards.append((parts["bridge"], parts.get("hwaddr") or parts["virtio"]))
    return {
        "kind": row["proxmox_kind"],
        "name": row["proxmox_name"],
        "node": row["proxmox_node"],
        "running": row["proxmox_state"] == "started",
        "template": row["proxmox_is_template"],
        "cores": row["proxmox_cores"],
        "memory": row["proxmox_memory_mib"],
        "tags": row["proxmox_tags"],
        "disks": sorted(disks),
        "cards": sorted(cards),
    }


def storages(project: Parsed) -> dict[str, str]:
    """Return each storage's type, also of those that the provider has no resource for."""
    spelt = {"directory": "dir"}
    found = {}
    for kind, _, row in project.resources:
        if kind.startswith("proxmox_storage_"):
            short = kind.removeprefix("proxmox_storage_")
            found[plain(row["id"])] = spelt.get(short, short)
    for locals_ in project.locals:
        found |= {
            reference(name).strip('"'): plain(kind)
            for name, kind in locals_["other_storages"].items()
        }
    return found


def imported(project: Parsed) -> list[str]:
    """Return the ids that are imported."""
    return [name for _, name in project.imports]
