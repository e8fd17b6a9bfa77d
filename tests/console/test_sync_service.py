"""Sync: discovered, compared, stored at once; what it finds, and what it leaves alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from src_app.db import file as database
from src_app.db.models import VM, Container
from src_app.db.store import Store
from src_app.domain.errors import InvalidInput
from src_app.proxmox.connection import Connection
from src_app.proxmox.errors import ProxmoxError, RequestFailed, Unreachable
from src_app.proxmox.inventory import Interrupted
from src_app.services.syncing import Filter, SyncService
from src_app.workspace import ProjectWorkspace
from src_app.workspace.parts import DATABASE

Plant = Callable[..., None]
WORLDS = int(os.environ.get("WORLDS", "60"))
NODE = {"node": "pve", "status": "online", "maxcpu": 8, "maxmem": 2**34}


class Reader:
    """A Proxmox made of a dictionary; ``fails`` says at which requests it does not answer."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = {"/cluster/status": [], "/cluster/resources": [], **answers}
        self.asked: list[str] = []
        self.fails: Callable[[str], ProxmoxError | None] = lambda path: None

    def get(self, path: str, **_: Any) -> Any:
        self.asked.append(path)
        failure = self.fails(path)
        if failure is not None:
            raise failure
        if path in self.answers:
            return self.answers[path]
        if path.endswith("/config"):
            raise RequestFailed(path, status=500, reason=f"Configuration {path} does not exist")
        return []


def world(guests: dict[int, dict[str, Any]], nodes: tuple[str, ...] = ("pve",)) -> Reader:
    """Return a Proxmox with these guests; each has ``kind``, and what lists and configs hold."""
    answers: dict[str, Any] = {"/nodes": [{**NODE, "node": name} for name in nodes]}
    for vmid, facts in guests.items():
        kind = "qemu" if facts.get("kind") == "vm" else "lxc"
        name = facts.get("name", f"g{vmid}")
        node = facts.get("node", nodes[0])
        entry = {
            "vmid": vmid, "name": name, "status": facts.get("status", "stopped"),
            "cpus": facts.get("cores", 1), "maxmem": facts.get("memory", 2**29),
            "uptime": facts.get("uptime", 0), "tags": ";".join(facts.get("tags", ())),
        }  # fmt: skip
        answers.setdefault(f"/nodes/{node}/{kind}", []).append(entry)
        key = "name" if kind == "qemu" else "hostname"
        answers[f"/nodes/{node}/{kind}/{vmid}/config"] = {
            key: name, "tags": entry["tags"], "digest": "d", **facts.get("config", {}),
        }  # fmt: skip
    return Reader(answers)


def counts(store: Store, reader: Any, *texts: str, **given: Any) -> dict[str, int]:
    """Return what a sync counted, without what did not occur."""
    report = SyncService(store, reader).sync_all(Filter.parse(texts), **given)
    return {name: number for name, number in report.counts().items() if number}


def stored(store: Store) -> dict[int, tuple[str, str, bool]]:
    """Return the guests in the database: name, status, and whether they are gone."""
    return {row.id: (name_of(row), row.status, bool(row.removed_at)) for row in rows_of(store)}


def rows_of(store: Store) -> list[VM | Container]:
    """Return the guests in the database, those that are gone too."""
    return store.read(
        lambda db: [*db.vms.find_many(limit=1000).data, *db.containers.find_many(limit=1000).data]
    )


def name_of(row: VM | Container) -> str:
    """Return a guest's name."""
    return row.name if isinstance(row, VM) else row.hostname


def test_guests_of_a_real_api_are_stored_and_a_second_sync_changes_nothing(
    store: Store, connection: Connection, cluster: EmbeddedProxmox
) -> None:
    cluster.plant(vmid=200, type="qemu", node="pve", name="web", status="running")
    cluster.plant(vmid=201, type="lxc", node="pve", name="db")
    first = counts(store, connection)
    assert first["added"] == 1 + 2 + 2  # a node, its storages, the guests
    assert stored(store) == {200: ("web", "running", False), 201: ("db", "stopped", False)}
    assert set(counts(store, connection)) == {"unchanged"}


def test_difference_names_each_field_before_and_now(store: Store) -> None:
    counts(store, world({100: {"kind": "vm", "cores": 2, "name": "web"}}))
    changed = world({100: {"kind": "vm", "cores": 4, "name": "www", "uptime": 9}})
    report = SyncService(store, changed).sync_all()
    [change] = report.difference.changed
    assert change.fields["cores"] == (2, 4)
    assert change.fields["name"] == ("web", "www")
    assert "uptime_s" not in change.fields


def test_uptime_alone_is_stored_and_is_no_difference(store: Store) -> None:
    counts(store, world({100: {"uptime": 1}}))
    assert set(counts(store, world({100: {"uptime": 2}}))) == {"unchanged"}
    assert store.read(lambda db: db.containers.get(100).uptime_s) == 2


def test_removed_guest_is_marked_and_comes_back(store: Store) -> None:
    both = world({100: {}, 101: {"kind": "vm"}})
    counts(store, both)
    assert counts(store, world({100: {}}))["removed"] == 1
    assert stored(store)[101] == ("g101", "stopped", True)
    assert "removed" not in counts(store, world({100: {}}))
    assert counts(store, both)["returned"] == 1
    assert stored(store)[101] == ("g101", "stopped", False)
    kinds = store.read(lambda db: [row.change_type for row in db.snapshots.history("vm", "101")])
    assert kinds == ["created", "deleted", "discovered"]


def test_guests_of_an_offline_node_stay_with_what_was_known(store: Store) -> None:
    counts(store, world({100: {"cores": 3, "config": {"ostype": "alpine"}}}))
    away = Reader(
        {
            "/nodes": [{"node": "pve", "status": "offline"}],
            "/cluster/resources": [
                {"type": "lxc", "vmid": 100, "node": "pve", "status": "unknown"}
            ],
        }
    )
    assert "removed" not in counts(store, away, "containers")
    row = store.read(lambda db: db.containers.get(100))
    assert (row.hostname, row.cores, row.status, row.ostype) == ("g100", 3, "unknown", "alpine")


def test_node_whose_listing_fails_removes_nothing(store: Store) -> None:
    reader = world({100: {}})
    counts(store, reader)
    reader.fails = lambda path: Unreachable("gone") if path == "/nodes/pve/lxc" else None
    before = stored(store)
    with pytest.raises(Unreachable):
        counts(store, reader)
    assert stored(store) == before


@pytest.mark.parametrize(
    ("texts", "vmids"),
    [
        (["vms"], {101}),
        (["type=container"], {100, 102}),
        (["name=web*"], {100, 101}),
        (["name=web*", "containers"], {100}),
        (["tag=prod"], {102}),
        (["status=running"], {101}),
        (["vmid=102"], {102}),
        (["node=elsewhere"], set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_filter_chooses_what_is_stored(store: Store, texts: list[str], vmids: set[int]) -> None:
    reader = world(
        {
            100: {"name": "web-1"},
            101: {"name": "web-2", "kind": "vm", "status": "running"},
            102: {"name": "db", "tags": ["prod"]},
        }
    )
    counts(store, reader, *texts)
    assert set(stored(store)) == vmids
    asked = [path for path in reader.asked if path.endswith("/config")]
    assert len(asked) == len(vmids)


def test_filter_marks_only_what_it_is_about(store: Store) -> None:
    counts(store, world({100: {"name": "web"}, 101: {"name": "db"}}))
    assert counts(store, world({}), "name=web")["removed"] == 1
    assert stored(store)[101] == ("db", "stopped", False)


@pytest.mark.parametrize("text", ["", "colour=red", "name=", "guests"])
def test_filter_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no filter"):
        Filter.parse([text])


def test_dry_run_tells_the_same_and_writes_nothing(workspace: ProjectWorkspace) -> None:
    store, path = workspace.store, workspace.parts.path(DATABASE)
    counts(store, world({100: {}, 101: {}}))
    workspace.keep_good()
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    new = world({100: {"cores": 2}, 102: {}})
    told = counts(store, new, dry_run=True)
    store.close()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert told == counts(store, new)
    assert told["added"] == told["removed"] == told["changed"] == 1
    assert database.damage(path) is None


def test_failure_in_the_middle_is_resumed_without_asking_again(store: Store) -> None:
    reader = world({vmid: {} for vmid in range(100, 150)})
    reader.fails = lambda path: Unreachable("the cable") if "/130/" in path else None
    with pytest.raises(Interrupted, match=r"of 50 guests were read.*--resume") as caught:
        counts(store, reader)
    assert stored(store) == {}
    read = {vmid for _, vmid in caught.value.configs}  # four at a time: those behind it, too
    assert set(range(100, 130)) <= read < set(range(100, 150))
    reader.fails = lambda path: None
    reader.asked.clear()
    assert counts(store, reader, known=caught.value.configs)["added"] == 51
    assert len([path for path in reader.asked if path.endswith("/config")]) == 50 - len(read)


def test_read_that_fails_for_a_moment_is_asked_again(store: Store) -> None:
    reader = world({100: {}})
    failures = iter([Unreachable("once"), Unreachable("twice"), None])
    reader.fails = lambda path: next(failures, None)
    assert counts(store, reader)["added"] == 2


def test_guest_that_vanishes_between_list_and_config_is_absent(store: Store) -> None:
    reader = world({100: {}, 101: {}})
    del reader.answers["/nodes/pve/lxc/101/config"]
    counts(store, reader)
    assert set(stored(store)) == {100}


def test_thousand_guests_cost_one_request_each_and_progress_never_goes_back(store: Store) -> None:
    few, many = world({100: {}}), world({vmid: {} for vmid in range(100, 1100)})
    counts(store, few)
    seen: list[tuple[int, int]] = []
    assert counts(store, many, progress=lambda *given: seen.append(given))["added"] == 999
    assert len(many.asked) - len(few.asked) == 999
    assert seen == sorted(seen)
    assert seen[-1] == (1000, 1000)


GUESTS = st.dictionaries(
    st.integers(100, 140),
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["vm", "container"]),
            "name": st.from_regex(r"[a-z0-9]([a-z0-9-]{0,12}[a-z0-9])?", fullmatch=True),
            "status": st.sampled_from(["running", "stopped", "paused", "other"]),
            "cores": st.integers(1, 64),
            "tags": st.lists(st.from_regex(r"[a-z]{1,4}", fullmatch=True), max_size=3),
            "config": st.dictionaries(
                st.sampled_from(["net0", "mp0", "ostype"]), st.text(max_size=9)
            ),
        }
    ),
    max_size=15,
)


@pytest.fixture(scope="module")
def random_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A database that all the random worlds pass through, one after another."""
    path: Path = tmp_path_factory.mktemp("worlds") / "state.db"
    database.migrate(path)
    return Store(database.url(path))


@given(GUESTS)
@settings(max_examples=WORLDS, deadline=None)
def test_random_world_is_stored_whole_and_nothing_is_invented(
    random_store: Store, guests: dict[int, dict[str, Any]]
) -> None:
    reader = world(guests)
    SyncService(random_store, reader).sync_all()
    found = {
        ("vm" if isinstance(row, VM) else "container", row.id): (name_of(row), row.cores, row.tags)
        for row in rows_of(random_store)
        if row.removed_at is None
    }
    wanted = {
        (facts["kind"], vmid): (facts["name"], facts["cores"], sorted(set(facts["tags"])))
        for vmid, facts in guests.items()
    }
    assert found == wanted
    assert SyncService(random_store, reader).sync_all().difference.is_empty
