"""Golden containers: what one test did to its container, the next one does not see."""

from __future__ import annotations

import pytest

from pytest_proxmox.sandbox.golden import Golden, Way
from tests.contract.sandbox.conftest import Site


@pytest.fixture(params=["root with pools", "weak token"])
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """In-process, with all rights and with the least."""
    return "in-process", str(request.param)


def test_a_rollback_takes_back_what_a_test_did(site: Site) -> None:
    session, test = site.sandbox(), site.sandbox()
    golden = Golden(session, memory=512)
    assert golden.prepare() is Way.ROLLBACK
    first = golden.lxc(test)
    as_new = first.config()
    first.snapshot("mine").backup()
    session.calls.put(first.path("config"), hostname="changed", protection=1)

    second = golden.lxc(test)

    assert second.vmid == first.vmid
    assert second.status() == "running"
    assert second.config() == as_new
    names = {row["name"] for row in session.calls.get(second.path("snapshot"))}
    assert names == {"golden", "current"}
    assert not [one for one in site.picture()["volumes"] if "vzdump" in one]
    assert test.close() == []
    site.empty(session)


@pytest.mark.parametrize("by", ["the test", "an app"])
def test_a_container_that_was_destroyed_is_made_again(site: Site, by: str) -> None:
    session, test = site.sandbox(), site.sandbox()
    golden = Golden(session)
    guest = golden.lxc(test)
    if by == "the test":
        guest.destroy()
    else:
        site.do("delete", guest.stop().path())

    assert golden.lxc(test).status() == "running"
    assert test.close() == []
    site.empty(session)
    assert site.picture()["guests"] == {}


def test_linked_clones_are_the_tests_own_and_go_before_their_template(site: Site) -> None:
    before = site.picture()
    session, test = site.sandbox(), site.sandbox()
    golden = Golden(session, way="clone")
    one, two = golden.lxc(test), golden.lxc(test)

    assert len({one.vmid, two.vmid}) == 2
    assert one.status() == two.status() == "running"
    assert len(site.picture()["guests"]) == 3
    assert test.close() == []
    assert len(site.picture()["guests"]) == 1
    site.empty(session)
    assert site.picture() == before


def test_where_the_storage_can_do_neither_each_is_new(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, test = site.sandbox(), site.sandbox()
    golden = Golden(session)
    monkeypatch.setattr(golden, "_has", lambda guest, feature: False)

    assert golden.prepare() is Way.FRESH
    assert golden.lxc(test).vmid != golden.lxc(test).vmid
    assert test.close() == []
    site.empty(session)
