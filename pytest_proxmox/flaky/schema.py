"""The tables of the history, as steps from one version to the next; the same on each database.

A step is never changed once released: a new one is added behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

_RUNS = """
CREATE TABLE run (
    id {serial},
    uuid TEXT NOT NULL UNIQUE,
    project TEXT NOT NULL,
    started {real} NOT NULL,
    finished {real},
    exit_status INTEGER,
    trusted INTEGER NOT NULL DEFAULT 1,
    commit_id TEXT NOT NULL,
    branch TEXT NOT NULL,
    seed TEXT NOT NULL,
    workers INTEGER NOT NULL,
    distribution TEXT NOT NULL,
    environment TEXT NOT NULL,
    figures TEXT NOT NULL DEFAULT '{{}}'
)
"""
_TESTS = """
CREATE TABLE test (
    id {serial},
    project TEXT NOT NULL,
    nodeid TEXT NOT NULL,
    markers TEXT NOT NULL,
    first_seen {real} NOT NULL,
    UNIQUE (project, nodeid)
)
"""
_FAILURES = """
CREATE TABLE failure (
    id {serial},
    fingerprint TEXT NOT NULL,
    kind TEXT NOT NULL,
    phase TEXT NOT NULL,
    message TEXT NOT NULL,
    UNIQUE (fingerprint, kind, phase)
)
"""
# No index on the test: a run adds a row for each test, and each would dirty a page of it.
_ATTEMPTS = """
CREATE TABLE attempt (
    run_id INTEGER NOT NULL REFERENCES run (id),
    test_id INTEGER NOT NULL REFERENCES test (id),
    number INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    final INTEGER NOT NULL,
    started {real} NOT NULL,
    duration_s {real} NOT NULL,
    worker TEXT NOT NULL,
    position INTEGER NOT NULL,
    uses TEXT NOT NULL,
    quarantined INTEGER NOT NULL,
    failure_id INTEGER REFERENCES failure (id)
)
"""
_VERDICTS = """
CREATE TABLE verdict (
    test_id INTEGER NOT NULL PRIMARY KEY REFERENCES test (id),
    state TEXT NOT NULL,
    rate {real} NOT NULL,
    since {real} NOT NULL
)
"""
_TAKEN_IN = "CREATE TABLE taken_in (name TEXT NOT NULL PRIMARY KEY)"

STEPS: Sequence[Sequence[str]] = (
    (_RUNS, _TESTS, _FAILURES, _ATTEMPTS, "CREATE INDEX attempt_run ON attempt (run_id)"),
    (_VERDICTS, _TAKEN_IN),
    (
        "ALTER TABLE failure ADD COLUMN trace TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE attempt ADD COLUMN setup_s {real} NOT NULL DEFAULT 0",
        "ALTER TABLE attempt ADD COLUMN teardown_s {real} NOT NULL DEFAULT 0",
        "ALTER TABLE attempt ADD COLUMN attachments TEXT NOT NULL DEFAULT ''",
    ),
)
VERSION = len(STEPS)
VERSION_TABLE = "CREATE TABLE IF NOT EXISTS history_version (version INTEGER NOT NULL)"
