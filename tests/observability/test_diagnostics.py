"""The bundle of a report: no secret, no name, and shown as it will be written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src_app.db.models import VM, Node
from src_app.db.store import Store
from src_app.observability.diagnostics import Issue, Known, bundle, names_of
from src_app.observability.health import Check, Health
from src_app.observability.observer import Observer
from src_app.observability.redaction import Anonymiser, redact, redacted

SECRET = "hunter2-5f4dcc3b"
KNOWN = Known((SECRET,), {"pve-alpha": "node", "payroll": "guest"})
HEALTH = Health((Check("database", "failed", "payroll on pve-alpha (10.1.2.3) is gone"),))
AT = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)


def watched() -> Observer:
    """Return an observer with a log, a trace and figures that name things."""
    observer = Observer()
    with observer.watch("command", "/sync"):
        observer.journal.write(
            "error",
            f"login as root@pam!ci={SECRET} at 10.1.2.3 for payroll.example.org failed",
            operation="/sync",
            path="/nodes/pve-alpha/qemu/100",
            mac="BC:24:11:AA:BB:CC",
        )
    return observer


def content(issue: Issue) -> dict[str, Any]:
    """Return what is in the bundle of an issue."""
    made = bundle(
        issue,
        watched(),
        HEALTH,
        KNOWN,
        files=[("config", f"host: 10.1.2.3\ntoken: {SECRET}")],
        now=AT,
    )
    found: dict[str, Any] = json.loads(made.text)
    return found


def test_a_bundle_has_no_secret_and_no_name() -> None:
    text = json.dumps(content(Issue(f"payroll with {SECRET} on pve-alpha hangs")))
    for word in (SECRET, "payroll", "pve-alpha", "10.1.2.3", "BC:24:11:AA:BB:CC"):
        assert word not in text, word
    assert "guest-1 with *** on node-1 hangs" in text


def test_the_same_thing_has_the_same_made_up_name_everywhere() -> None:
    told = content(Issue("pve-alpha at 10.1.2.3"))
    assert told["description"] == "node-1 at ip-1"
    assert told["health"]["checks"][0]["detail"] == "guest-1 on node-1 (ip-1) is gone"
    assert told["log"][0]["path"] == "/nodes/node-1/qemu/100"
    assert told["files"]["config"].startswith("host: ip-1\n")


def test_names_stay_when_they_are_wanted_and_secrets_never_do() -> None:
    text = json.dumps(content(Issue(f"payroll {SECRET}", anonymise=False)))
    assert "payroll" in text
    assert SECRET not in text


def test_files_stay_out_when_they_are_not_wanted() -> None:
    assert "files" not in content(Issue("x", files=False))


def test_the_log_is_of_the_operation_that_is_named() -> None:
    assert content(Issue("x", operation="/plan"))["log"] == []
    assert content(Issue("x", operation="/sync"))["log"] != []


def test_what_is_shown_is_what_is_written(tmp_path: Path) -> None:
    made = bundle(Issue("x"), watched(), HEALTH, KNOWN, now=AT)
    assert list(tmp_path.iterdir()) == []
    path = made.write(tmp_path)
    assert path == tmp_path / ".proxmox" / "diagnostics" / "issue-20261122T070000000000Z.json"
    assert path.read_text(encoding="utf-8") == made.text
    assert path.stat().st_mode & 0o077 == 0


def test_the_names_come_from_the_database(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'state.db'}")
    store.migrate()
    store.run(lambda db: db.session.add(Node(id="pve-alpha")))
    store.run(lambda db: db.session.add(VM(id=100, name="payroll", node_id="pve-alpha")))
    assert store.read(names_of) == {"pve-alpha": "node", "payroll": "guest"}
    store.close()


@pytest.mark.parametrize(
    "text",
    [
        f"PVEAPIToken=root@pam!ci={SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"password={SECRET}",
        f'"token_secret": "{SECRET}"',
        f"https://root:{SECRET}@pve:8006/",
        f"PVEAuthCookie=PVE:root@pam:65A1B2C3::{SECRET}",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----",
    ],
    ids=["token", "bearer", "assigned", "json", "url", "cookie", "key"],
)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    assert SECRET not in redact(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.text(min_size=6).filter(str.strip),
)
def test_a_known_secret_is_nowhere(value: Any, secret: str) -> None:
    planted = {"a": value, "b": [f"x{secret}y", {secret: secret}]}
    cleaned = redacted(planted, [secret])
    assert [text for text in _texts(cleaned) if secret in text] == []


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (str(key), *_texts(item))]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


@given(st.text())
def test_anonymising_twice_changes_nothing_more(text: str) -> None:
    names = {"pve-alpha": "node"}
    once = Anonymiser(names).text(f"{text} pve-alpha 10.1.2.3")
    assert "pve-alpha" not in once
    assert Anonymiser(names).text(once) == once


def test_a_version_is_not_an_address() -> None:
    assert Anonymiser().text("Proxmox 9.0.3 at 127.0.0.1, 10:20:30") == (
        "Proxmox 9.0.3 at 127.0.0.1, 10:20:30"
    )
