"""What ``/sync`` of 1,000 guests costs: its database work, and its requests.

The cluster is a dictionary, so that only the app's own work is timed. Database work is what
a sync does behind the last answer of Proxmox: reading what was known, comparing, and one
transaction with a row and a first snapshot for each guest. Its peer inserts exactly the rows
that this leaves, in one transaction with one statement a table, and nothing else. The requests
are counted, not timed: a guest more may cost one request more.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from benchmarks.harness import Measure, Row, at_most, compare
from src_app.db import file as database
from src_app.db.models import Base
from src_app.db.repositories import RepositoryFactory
from src_app.db.store import Store
from src_app.services.syncing import SyncService

GUESTS = 1000
FIRST = 100
TABLES = ("nodes", "vms", "containers", "storages", "state_snapshots")
MOST = 3.0
PEER = "the same rows, one insert a table"
Rows = Mapping[str, Sequence[dict[str, Any]]]


class Cluster:
    """A Proxmox made of lists, on three nodes; it counts what it is asked."""

    def __init__(self, guests: int) -> None:
        nodes = [f"pve{number}" for number in range(3)]
        self.asked = 0
        self._answers: dict[str, Any] = {"/cluster/status": [], "/cluster/resources": []}
        self._answers["/nodes"] = [_node(name) for name in nodes]
        for name in nodes:
            self._answers[f"/nodes/{name}/storage"] = [_storage("local"), _storage("local-lvm")]
            self._answers |= {f"/nodes/{name}/qemu": [], f"/nodes/{name}/lxc": []}
        for vmid in range(FIRST, FIRST + guests):
            where = f"/nodes/{nodes[vmid % 3]}/{('qemu', 'lxc')[vmid % 2]}"
            self._answers[where].append(_guest(vmid))
            self._answers[f"{where}/{vmid}/config"] = _config(vmid)

    def get(self, path: str, **_: Any) -> Any:
        """Return what a path holds."""
        self.asked += 1
        return self._answers[path]


def _node(name: str) -> dict[str, Any]:
    return {"node": name, "status": "online", "maxcpu": 16, "cpu": 0.1, "maxmem": 2**36,
            "mem": 2**35, "uptime": 86400}  # fmt: skip


def _storage(name: str) -> dict[str, Any]:
    return {"storage": name, "type": "dir", "content": "images,rootdir", "active": 1,
            "total": 2**40, "used": 2**38}  # fmt: skip


def _guest(vmid: int) -> dict[str, Any]:
    return {"vmid": vmid, "name": f"guest-{vmid}", "status": "running", "cpus": 2,
            "maxmem": 2**31, "maxdisk": 2**33, "uptime": vmid, "tags": "bench;prod"}  # fmt: skip


def _config(vmid: int) -> dict[str, Any]:
    name = "hostname" if vmid % 2 else "name"
    return {name: f"guest-{vmid}", "cores": 2, "memory": 2048, "ostype": "debian",
            "net0": f"virtio=BC:24:11:00:{vmid // 256:02X}:{vmid % 256:02X},bridge=vmbr0",
            "tags": "bench;prod", "digest": "0" * 40}  # fmt: skip


def main() -> Sequence[Row]:
    """Return the rows: database work, the same for a sync that finds no change, and requests."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.db"
        database.migrate(empty)
        fresh = (Path(folder) / f"{number}.db" for number in itertools.count())
        full, rows = _synced(empty, next(fresh))
        peer = _insert_s(rows, empty, fresh)
        subjects = {
            "/sync of 1,000 new guests, database": _sync_s(empty, fresh),
            "/sync of 1,000 known guests, database": _sync_s(full, fresh),
        }
        return [
            *(
                compare(name, subject, peer, against=PEER, bound=at_most(MOST))
                for name, subject in subjects.items()
            ),
            compare(
                "/sync: requests for 999 guests more", _requests, lambda: GUESTS - 1.0,
                against="one for each", bound=at_most(1.0),
            ),
        ]  # fmt: skip


def _synced(empty: Path, path: Path) -> tuple[Path, Rows]:
    """Return a database that knows the cluster, and the rows that are in it."""
    database.copy(empty, path)
    store = Store(database.url(path))
    SyncService(store, Cluster(GUESTS)).sync_all()
    tables = Base.metadata.tables
    found = store.read(
        lambda db: {
            name: [dict(r) for r in db.session.execute(select(tables[name])).mappings()]
            for name in TABLES
        }
    )
    store.close()
    return path, found


def _sync_s(begin: Path, fresh: Iterator[Path]) -> Measure:
    """Return a measure of the database's part of a sync that begins with a copy of ``begin``."""

    def work(store: Store) -> float:
        service = SyncService(store, Cluster(GUESTS))
        seen = service.discover()
        began = time.perf_counter()
        service.take(seen)
        return time.perf_counter() - began

    return _on_a_copy(begin, fresh, work)


def _insert_s(rows: Rows, empty: Path, fresh: Iterator[Path]) -> Measure:
    """Return a measure of inserting these rows into an empty database."""

    def insert_all(db: RepositoryFactory) -> None:
        for name, found in rows.items():
            db.session.execute(insert(Base.metadata.tables[name]), found)

    def work(store: Store) -> float:
        began = time.perf_counter()
        store.run(insert_all)
        return time.perf_counter() - began

    return _on_a_copy(empty, fresh, work)


def _on_a_copy(begin: Path, fresh: Iterator[Path], work: Callable[[Store], float]) -> Measure:
    def measure() -> float:
        path = next(fresh)
        database.copy(begin, path)
        store = Store(database.url(path))
        store.health()  # the connection is open before anything is timed
        try:
            return work(store)
        finally:
            store.close()
            path.unlink()

    return measure


def _requests() -> float:
    """Return how many requests 999 guests more cost."""
    counts = []
    for guests in (1, GUESTS):
        cluster = Cluster(guests)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state.db"
            database.migrate(path)
            store = Store(database.url(path))
            SyncService(store, cluster).sync_all(dry_run=True)
            store.close()
        counts.append(cluster.asked)
    return float(counts[1] - counts[0])
