"""What a statement does to a transaction is told from its first words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_proxmox.database.sqlite import split_script
from pytest_proxmox.database.statements import Kind, Statement, classify, placeless

KINDS = [
    ("SELECT 1", Kind.READ),
    ("  -- a note\n/* and one */ select 1", Kind.READ),
    ("SELECT nextval('s')", Kind.WRITE),
    ("WITH x AS (SELECT 1) SELECT * FROM x", Kind.READ),
    ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", Kind.WRITE),
    ("INSERT INTO t VALUES (1)", Kind.WRITE),
    ("CREATE TABLE t (x)", Kind.WRITE),
    ("BEGIN IMMEDIATE", Kind.BEGIN),
    ("START TRANSACTION", Kind.BEGIN),
    ("COMMIT;", Kind.COMMIT),
    ("END", Kind.COMMIT),
    ("ROLLBACK", Kind.ROLLBACK),
    ("ABORT", Kind.ROLLBACK),
    ("PRAGMA foreign_keys = ON", Kind.PRAGMA),
    ("SHOW server_version", Kind.READ),
    ("something unknown", Kind.WRITE),
]


@pytest.mark.parametrize(("sql", "kind"), KINDS, ids=[sql for sql, _ in KINDS])
def test_kind_is_told(sql: str, kind: Kind) -> None:
    assert classify(sql).kind is kind


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        ("SAVEPOINT a", Statement(Kind.SAVEPOINT, "a")),
        ("RELEASE SAVEPOINT a;", Statement(Kind.RELEASE, "a")),
        ("RELEASE a", Statement(Kind.RELEASE, "a")),
        ("ROLLBACK TO SAVEPOINT a", Statement(Kind.ROLLBACK_TO, "a")),
        ("rollback transaction to a", Statement(Kind.ROLLBACK_TO, "a")),
    ],
    ids=["savepoint", "release savepoint", "release", "rollback to", "rollback transaction to"],
)
def test_savepoint_is_named(sql: str, statement: Statement) -> None:
    assert classify(sql) == statement


@given(st.text())
def test_any_text_is_classified(text: str) -> None:
    assert classify(text).kind in Kind


@given(st.text())
def test_statement_in_a_message_is_one_short_line(text: str) -> None:
    line = placeless(text)
    assert len(line) <= 300
    assert "\n" not in line


def test_script_is_split_where_sqlite_says() -> None:
    script = (
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; SELECT 1; END;"
        "INSERT INTO a VALUES ('x;y'); -- done; really\nSELECT 2"
    )
    parts = [part.strip() for part in split_script(script)]
    assert len(parts) == 3
    assert parts[0].endswith("END;")
    assert "'x;y'" in parts[1]
