"""Tab: commands, flags, names of the workspace as it is now, and phrases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from src_app.console.completion import Completions
from src_app.db import file as database
from src_app.db.store import Store
from src_app.services.syncing import SyncService
from src_app.workspace.parts import DATABASE
from tests.console.conftest import Sitting
from tests.console.test_sync_service import world

Offer = Callable[[str], list[str]]


@pytest.fixture
def completions(sitting: Sitting) -> Completions:
    """Completion in a workspace with three guests."""
    guests = {
        100: {"kind": "vm", "name": "web-1"},
        101: {"name": "web-2"},
        102: {"name": "db", "node": "pve2"},
    }
    store = sitting.session.services.store
    SyncService(store, world(guests, nodes=("pve", "pve2"))).sync_all()
    return Completions(sitting.session)


@pytest.fixture
def offer(completions: Completions) -> Offer:
    """What Tab offers behind a line."""
    return lambda line: [candidate.text for candidate in completions.complete(line)[0]]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("", ["/help", "/init", "/status", "help", "create", "list"]),
        ("/he", ["/help", "/health"]),
        ("/s", ["/status", "/sync"]),
        ("describe ", ["vm", "container"]),
        ("describe vm ", ["100", "web-1"]),
        ("describe container ", ["101", "102", "db", "web-2"]),
        ("describe container w", ["web-2"]),
        ("stop vm --node ", ["pve", "pve2"]),
        ("stop vm --node=pve2", ["--node=pve2"]),
        ("list vms --sta", ["--status"]),
        ("list vms --status run", ["running"]),
        ("list vms --status running --s", []),
        ("create container --cores 2 --na", ["--name"]),
        ("/help /in", ["/init"]),
        ("/sync --filter na", ["name="]),
        ("describe vm web-1 extra ", ["--json", "--help"]),
        ("shut d", ["down the vm "]),
        ("what ", ["vms are running", "would change"]),
        ("describe container 'w", ["web-2"]),
        ("frobnicate ", []),
    ],
)
def test_what_tab_offers(offer: Offer, line: str, wanted: list[str]) -> None:
    assert offer(line) == wanted


def test_part_behind_the_cursor_does_not_matter(completions: Completions) -> None:
    found, word = completions.complete("describe vm we all this", cursor=14)
    assert ([candidate.text for candidate in found], word) == (["web-1"], "we")


def test_names_are_read_once_while_nothing_changes(completions: Completions, offer: Offer) -> None:
    for _ in range(5):
        assert offer("describe vm w") == ["web-1"]
    assert completions.names.reads == 1


def test_change_of_this_session_is_seen(sitting: Sitting, offer: Offer) -> None:
    assert offer("describe vm w") == ["web-1"]
    SyncService(
        sitting.session.services.store, world({200: {"kind": "vm", "name": "www"}})
    ).sync_all()
    assert offer("describe vm w") == ["www"]


def test_change_of_another_process_is_seen(sitting: Sitting, offer: Offer) -> None:
    assert offer("describe vm w") == ["web-1"]
    assert sitting.session.workspace is not None
    other = Store(database.url(sitting.session.workspace.parts.path(DATABASE)))
    SyncService(other, world({200: {"kind": "vm", "name": "www"}})).sync_all()
    other.close()
    assert offer("describe vm w") == ["www"]


def test_backups_complete(sitting: Sitting, offer: Offer) -> None:
    sitting.run("/workspace backup")
    assert sitting.session.workspace is not None
    [backup] = sitting.session.workspace.backups()
    assert offer("/workspace recover ") == [backup.name]
