"""Rows: how the ledger's tables look, and how a row becomes a value and back."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict
from typing import Any, Final

from pytest_proxmox.sandbox.lease import Lease, Leftover, State
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.values import LeaseId, NodeName, Upid, Vmid, VmidRange, Volid, parse_kind

VERSION: Final = 4  # 1 to 3 were never released

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT NOT NULL, target TEXT NOT NULL, kind TEXT NOT NULL, user TEXT NOT NULL,
    started REAL NOT NULL, baseline TEXT, reaper TEXT, PRIMARY KEY (id, target)
);
CREATE TABLE IF NOT EXISTS workers (
    run TEXT NOT NULL, target TEXT NOT NULL, worker TEXT NOT NULL, host TEXT NOT NULL,
    pid INTEGER NOT NULL, born TEXT NOT NULL, PRIMARY KEY (run, target, worker)
);
CREATE TABLE IF NOT EXISTS blocks (
    target TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, parent TEXT NOT NULL,
    nonce TEXT NOT NULL, run TEXT NOT NULL, expires REAL NOT NULL, state TEXT NOT NULL,
    PRIMARY KEY (target, nonce)
);
CREATE TABLE IF NOT EXISTS slots (
    name TEXT PRIMARY KEY, target TEXT NOT NULL, storage TEXT NOT NULL, run TEXT NOT NULL,
    worker TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL, born TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS demands (
    lease TEXT PRIMARY KEY, memory_mib INTEGER NOT NULL, disk_gib REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS leases (
    id TEXT PRIMARY KEY, target TEXT NOT NULL, vmid INTEGER NOT NULL, run TEXT NOT NULL,
    worker TEXT NOT NULL, state TEXT NOT NULL, maker TEXT NOT NULL, kind TEXT, node TEXT,
    pool TEXT, source INTEGER, upid TEXT, backups TEXT, leftovers TEXT, kept_until REAL,
    claimed REAL NOT NULL, changed REAL NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS one_holder ON leases (target, vmid) WHERE state <> 'released';
CREATE INDEX IF NOT EXISTS of_a_run ON leases (run);
CREATE TABLE IF NOT EXISTS used (
    target TEXT NOT NULL, vmid INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (target, vmid)
);
CREATE TABLE IF NOT EXISTS foreigners (
    target TEXT NOT NULL, run TEXT NOT NULL, vmid INTEGER NOT NULL,
    PRIMARY KEY (target, run, vmid)
);
"""


def lease_of(row: sqlite3.Row) -> Lease:
    """Return the lease that a row of ``leases`` holds."""
    return Lease(
        id=LeaseId(row["id"]),
        target=row["target"],
        vmid=Vmid(row["vmid"]),
        run=row["run"],
        worker=row["worker"],
        state=State(row["state"]),
        maker=row["maker"],
        kind=None if row["kind"] is None else parse_kind(row["kind"]),
        node=None if row["node"] is None else NodeName(row["node"]),
        pool=row["pool"],
        source=None if row["source"] is None else Vmid(row["source"]),
        upid=None if row["upid"] is None else Upid.parse(row["upid"]),
        backups=tuple(map(Volid.parse, json.loads(row["backups"] or "[]"))),
        leftovers=tuple(Leftover(**left) for left in json.loads(row["leftovers"] or "[]")),
        kept_until=row["kept_until"],
    )


def run_of(row: sqlite3.Row) -> Run:
    """Return the process that a row of ``workers`` holds."""
    return Run(row["run"], row["worker"], row["host"], row["pid"], row["born"])


def vmid_of(row: sqlite3.Row) -> Vmid:
    """Return the VMID in a row."""
    return Vmid(row["vmid"])


def vmids_of(row: sqlite3.Row) -> VmidRange:
    """Return the VMIDs of a block's row."""
    return VmidRange(Vmid(row["first"]), Vmid(row["last"]))


def render(name: str, value: Any) -> Any:
    """Return a lease's field as its column holds it."""
    if value is None:
        return None
    if name == "leftovers":
        return json.dumps([asdict(left) for left in value])
    if name == "backups":
        return json.dumps([str(volid) for volid in value])
    if name == "kept_until":
        return float(value)
    return int(value) if name in ("source", "vmid") else str(value)
