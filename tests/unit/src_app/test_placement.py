"""Where a container should go."""

from __future__ import annotations

import pytest

from src_app.proxmox.errors import NoNodeOnline, StorageNotFound, TemplateNotFound
from src_app.proxmox.placement import best_node, best_storage, first_template


def node(
    name: str, *, status: str = "online", maxmem: int = 100, mem: int = 0
) -> dict[str, object]:
    return {"node": name, "status": status, "maxmem": maxmem, "mem": mem}


def storage(name: str, *, avail: int = 1, content: str = "rootdir") -> dict[str, object]:
    return {"storage": name, "avail": avail, "content": content}


def test_node_with_the_most_free_memory_is_preferred() -> None:
    assert best_node([node("a", mem=50), node("b", mem=10), node("c", mem=90)]) == "b"


def test_offline_node_is_never_preferred() -> None:
    offline = {"node": "a", "status": "offline"}  # as listed: no memory at all

    assert best_node([offline, node("b", mem=99)]) == "b"


def test_node_of_unknown_state_is_never_preferred() -> None:
    assert best_node([{"node": "a", "maxmem": 900}, node("b")]) == "b"


def test_first_name_decides_between_equals() -> None:
    assert best_node([node("b"), node("a")]) == "a"


def test_no_node_online_names_those_that_are_not() -> None:
    with pytest.raises(NoNodeOnline, match=r"a \(offline\)"):
        best_node([node("a", status="offline")])


def test_roomiest_storage_for_the_content_is_preferred() -> None:
    listed = [
        storage("small", avail=1),
        storage("big", avail=9),
        storage("bak", avail=99, content="backup,iso"),
    ]

    assert best_storage(listed, node="pve", content="rootdir") == "big"


@pytest.mark.parametrize("flag", ["active", "enabled"])
def test_storage_that_is_off_is_passed_over(flag: str) -> None:
    listed = [storage("off", avail=9) | {flag: 0}, storage("on", avail=1)]

    assert best_storage(listed, node="pve", content="rootdir") == "on"


def test_missing_content_type_names_the_storages_there_are() -> None:
    with pytest.raises(StorageNotFound, match=r"takes backup .storages there: local"):
        best_storage([storage("local")], node="pve", content="backup")


def test_unnamed_template_is_always_the_same() -> None:
    assert first_template(["local:vztmpl/b", "local:vztmpl/a"], node="pve") == "local:vztmpl/a"


def test_node_without_templates_says_so() -> None:
    with pytest.raises(TemplateNotFound, match=r"one of those that are there: none"):
        first_template([], node="pve")
