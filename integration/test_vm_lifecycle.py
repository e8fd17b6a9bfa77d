"""A guest's whole life: Proxmox, database and state agree at each step, and after each failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from src_app.db import file as database
from src_app.db.models import VM, Container
from src_app.db.store import Store
from src_app.proxmox.connection import Connection
from src_app.proxmox.errors import ProxmoxError
from src_app.proxmox.inventory import Kind
from src_app.proxmox.lifecycle import GuestLife, GuestPlace, GuestSpec
from src_app.services.changing import ChangeFailed, ChangeService, Step
from src_app.services.syncing import SyncService
from tests.app.conftest import proxmox_environment
from tests.console.ending import act, changes, connect, counted, killed, nothing
from tests.moments import chosen

KINDS: tuple[Kind, ...] = ("vm", "container")
VMID = 300
TEMPLATE = "local:vztmpl/alpine-3.18-default_20230607_amd64.tar.xz"
State = tuple[str, str, int] | None  # name, status, cores


@pytest.fixture
def cluster(proxmox_simulator: EmbeddedProxmox) -> Iterator[EmbeddedProxmox]:
    """The embedded Proxmox, put back after the test, whatever guests were made."""
    before = proxmox_simulator.snapshot()
    yield proxmox_simulator
    proxmox_simulator.restore(before)


@pytest.fixture
def environment(proxmox_config: dict[str, Any], cluster: EmbeddedProxmox) -> dict[str, str]:
    """The variables that lead to it."""
    return proxmox_environment(proxmox_config)


@pytest.fixture
def connection(environment: dict[str, str]) -> Connection:
    """A login there."""
    return connect(environment)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "state.db"
    database.migrate(path)
    return path


@pytest.fixture
def path(migrated: Path, tmp_path: Path) -> Path:
    """A database of this test's own."""
    database.copy(migrated, tmp_path / "state.db")
    return tmp_path / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """The same, open."""
    opened = Store(database.url(path))
    yield opened
    opened.close()


def step(action: Any, kind: Kind, **values: Any) -> Step:
    """Return a step on this test's guest."""
    storage = "local-lvm"
    template = TEMPLATE if kind == "container" else ""
    spec = GuestSpec("web", cores=2, disk_gib=2, storage=storage, template=template)
    place = GuestPlace(kind, "pve", VMID)
    return Step(action, place, "web", spec=spec if action == "create" else None, values=values)


def real(cluster: EmbeddedProxmox, connection: Connection, kind: Kind) -> State:
    """Return the guest as Proxmox has it."""
    if VMID not in cluster.vmids():
        return None
    guest = GuestLife(connection).look(GuestPlace(kind, "pve", VMID))
    assert guest is not None
    return guest.name, guest.status, guest.cores


def stored(store: Store, kind: Kind) -> State:
    """Return the guest as the database has it."""
    row: VM | Container | None
    if kind == "vm":
        row = store.read(lambda db: db.vms.find_by_id(VMID))
    else:
        row = store.read(lambda db: db.containers.find_by_id(VMID))
    if row is None or row.removed_at is not None:
        return None
    return (row.name if isinstance(row, VM) else row.hostname), row.status, row.cores


@pytest.mark.parametrize("kind", KINDS)
def test_complete_life_agrees_at_each_step(
    cluster: EmbeddedProxmox, connection: Connection, store: Store, kind: Kind
) -> None:
    service = changes(store, connection)
    life: tuple[tuple[Step, State], ...] = (
        (step("create", kind), ("web", "stopped", 2)),
        (step("configure", kind, cores=4), ("web", "stopped", 4)),
        (step("start", kind), ("web", "running", 4)),
        (step("stop", kind), ("web", "stopped", 4)),
        (step("start", kind), ("web", "running", 4)),
        (step("delete", kind), None),
    )
    for one, wanted in life:
        service.run([one])
        assert real(cluster, connection, kind) == wanted, one
        assert stored(store, kind) == wanted, one
    assert service.unfinished() == ()


@pytest.mark.parametrize("kind", KINDS)
def test_failure_undoes_the_steps_before_it(
    cluster: EmbeddedProxmox, connection: Connection, store: Store, kind: Kind
) -> None:
    steps = [step("create", kind), step("start", kind), step("configure", kind, nonsense="1")]
    told: list[tuple[int, int]] = []
    with pytest.raises(ChangeFailed, match="nonsense") as caught:
        changes(store, connection).run(steps, progress=lambda *given: told.append(given))
    assert told == [(0, 3), (1, 3), (2, 3)]
    assert len(caught.value.ending.undone) == 2
    assert real(cluster, connection, kind) is None
    assert stored(store, kind) is None


def test_taken_vmid_leaves_the_other_guest_alone(
    cluster: EmbeddedProxmox, connection: Connection, store: Store
) -> None:
    cluster.plant(vmid=VMID, type="qemu", node="pve", name="theirs", status="running")
    with pytest.raises(ChangeFailed, match="VMID 300 is taken"):
        changes(store, connection).run([step("create", "vm")])
    assert real(cluster, connection, "vm") == ("theirs", "running", 1)
    with pytest.raises(ChangeFailed, match="is called theirs now"):
        changes(store, connection).run([step("delete", "vm")])
    assert real(cluster, connection, "vm") == ("theirs", "running", 1)


def prepared(service: ChangeService, action: str, kind: Kind) -> tuple[Step, ...]:
    """Return an action's steps, whose guest is there as they need it."""
    if action not in ("create", "apply"):
        service.run([step("create", kind)])
    if action in ("stop", "delete"):
        service.run([step("start", kind)])
    if action == "apply":
        return step("create", kind), step("configure", kind, cores=4), step("start", kind)
    return (step(action, kind),)


class Failing:
    """Lets one request fail: refused before it is sent, or its answer lost behind it."""

    def __init__(self, last: int, how: str, *, ever_after: bool = False) -> None:
        self.last, self.how, self.happened = last, how, False
        self.ever_after = ever_after

    def _is_meant(self, number: int) -> bool:
        return number >= self.last if self.ever_after else number == self.last

    def before(self, number: int, _method: str) -> None:
        """Refuse the chosen request."""
        if self.how == "refused" and self._is_meant(number):
            self.happened = True
            raise requests.ConnectionError("the cable was pulled before")

    def after(self, number: int, _method: str) -> None:
        """Lose the chosen request's answer."""
        if self.how == "lost" and self._is_meant(number):
            self.happened = True
            raise requests.ConnectionError("the cable was pulled behind")


ACTIONS = ("create", "start", "stop", "delete", "apply")


class Ground:
    """The same cluster and an empty database, again and again."""

    def __init__(
        self, cluster: EmbeddedProxmox, connection: Connection, migrated: Path, path: Path
    ) -> None:
        self._cluster, self._connection = cluster, connection
        self._migrated, self.path = migrated, path
        self._at_first = cluster.snapshot()
        self.store = Store(database.url(path))

    def afresh(self) -> ChangeService:
        """Return the service, with everything as it was at first."""
        self.store.close()
        self._cluster.restore(self._at_first)
        database.copy(self._migrated, self.path)
        self.store = Store(database.url(self.path))
        return changes(self.store, self._connection)

    def real(self, kind: Kind) -> State:
        """Return the guest as Proxmox has it."""
        return real(self._cluster, self._connection, kind)

    def stored(self, kind: Kind) -> State:
        """Return the guest as the database has it."""
        return stored(self.store, kind)

    def steps(self) -> int:
        """Return how many steps were written down."""
        return self.store.read(lambda db: db.changes.count())


@pytest.fixture
def ground(
    cluster: EmbeddedProxmox, connection: Connection, migrated: Path, path: Path
) -> Iterator[Ground]:
    """Where a sweep begins each time."""
    found = Ground(cluster, connection, migrated, path)
    yield found
    found.store.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["refused", "lost"])
@pytest.mark.parametrize("action", ACTIONS)
def test_fault_at_any_request_leaves_all_in_agreement(
    ground: Ground, action: str, how: str, kind: Kind
) -> None:
    service = ground.afresh()
    steps = prepared(service, action, kind)
    with counted(nothing, nothing) as asked:
        service.run(steps)
    after = ground.real(kind)
    for last in chosen(len(asked), few=4, first=len(how)):
        service = ground.afresh()
        steps = prepared(service, action, kind)
        before = ground.real(kind)
        failing = Failing(last, how)
        undone: tuple[str, ...] = ()
        with counted(failing.before, failing.after):
            try:
                service.run(steps)
            except ChangeFailed as exc:
                undone = exc.ending.undone
        assert failing.happened
        service.recover()
        now = ground.real(kind)
        assert ground.stored(kind) == now, last
        assert service.unfinished() == (), last
        assert now in ((before,) if undone else (before, after)), last


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", ACTIONS)
def test_sigkill_at_any_request_is_recovered_by_the_next_process(
    ground: Ground, environment: dict[str, str], action: str, kind: Kind
) -> None:
    steps = prepared(ground.afresh(), action, kind)
    total = 2 * requests_of(ground.path, environment, *steps)
    after = ground.real(kind)
    moments = chosen(total, few=2, first=len(action) + len(kind))
    for moment in moments:
        service = ground.afresh()
        steps = prepared(service, action, kind)
        before, known = ground.real(kind), ground.steps()
        assert killed(ground.path, environment, steps, moment), moment
        begun = ground.steps() > known
        again = killed(ground.path, environment, None, moment)  # the next one is not spared
        service.recover()
        now = ground.real(kind)
        assert ground.stored(kind) == now, (moment, again)
        assert now in ((before, after) if begun else (before,)), (moment, again)
        assert service.unfinished() == (), (moment, again)
    print(f"{action} {kind}: killed at {len(moments)} of {total} moments")


def requests_of(path: Path, environment: dict[str, str], *steps: Step) -> int:
    """Return how many requests a process sends that does the steps, or a sync."""
    with counted(nothing, nothing) as asked:
        act(path, environment, steps)
    return len(asked)


@pytest.mark.slow
def test_sigkill_at_any_request_of_a_sync_leaves_the_database_as_before_or_after(
    cluster: EmbeddedProxmox, environment: dict[str, str], store: Store, path: Path
) -> None:
    cluster.plant(vmid=VMID, type="qemu", node="pve", name="web", status="running")
    total = 2 * requests_of(path, environment)
    cluster.plant(vmid=VMID + 1, type="lxc", node="pve", name="new")
    moments = chosen(total + 2, few=3, first=1)
    for moment in moments:
        assert killed(path, environment, (), moment)
        assert store.read(lambda db: db.containers.find_by_id(VMID + 1)) is None, moment
    SyncService(store, connect(environment)).sync_all()
    assert store.read(lambda db: db.containers.get(VMID + 1)).hostname == "new"
    print(f"sync: killed at {len(moments)} of {total + 2} moments")


@pytest.mark.parametrize("how", ["refused", "lost"])
def test_fault_at_any_request_of_a_sync_leaves_the_database_as_it_was(
    cluster: EmbeddedProxmox, connection: Connection, store: Store, how: str
) -> None:
    cluster.plant(vmid=VMID, type="lxc", node="pve", name="web")
    with counted(nothing, nothing) as seen:
        GuestLife(connection).inventory.discover()
    for last in chosen(len(seen), few=4, first=len(how)):
        failing = Failing(last, how, ever_after=True)
        with (
            counted(failing.before, failing.after),
            pytest.raises(ProxmoxError, match="no Proxmox"),
        ):
            SyncService(store, connection).sync_all()
        assert stored(store, "container") is None
    SyncService(store, connection).sync_all()
    assert stored(store, "container") == ("web", "stopped", 8)
