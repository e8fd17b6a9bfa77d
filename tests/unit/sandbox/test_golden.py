"""Golden containers: made once, in the storage's best way, and as new for each test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_proxmox.errors import TaskFailed
from pytest_proxmox.sandbox.golden import Golden, Way
from pytest_proxmox.sandbox.sandbox import Sandbox
from tests.unit.sandbox.fake import FakeProxmox, FakeVolume


@pytest.mark.parametrize(
    ("features", "way"),
    [
        ({"snapshot", "clone"}, Way.ROLLBACK),
        ({"clone"}, Way.CLONE),
        (set(), Way.FRESH),
    ],
    ids=["all", "clones", "neither"],
)
def test_the_best_way_of_the_storage_is_taken(
    sandbox: Sandbox, proxmox: FakeProxmox, features: set[str], way: Way
) -> None:
    proxmox.features = features
    golden = Golden(sandbox)

    assert golden.prepare() is way
    made = list(proxmox.guests.values())
    assert [guest.snapshots for guest in made] == ([["golden"]] if way is Way.ROLLBACK else [[]])[
        : len(made)
    ]
    assert len(made) == (0 if way is Way.FRESH else 1)
    assert [guest.template for guest in made] == [int(way is Way.CLONE)][: len(made)]


def test_a_way_can_be_insisted_on(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    golden = Golden(sandbox, way="clone")

    assert golden.prepare() is Way.CLONE
    assert not any("feature" in call for call in proxmox.calls)


def test_it_is_prepared_once(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    golden = Golden(sandbox)

    assert golden.prepare() is golden.prepare() is Way.ROLLBACK
    assert len(proxmox.guests) == 1


def test_a_rollback_hands_out_the_same_container_running(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    golden = Golden(sandbox, hostname="web", start=1)

    first, second = golden.lxc(sandbox), golden.lxc(sandbox)

    assert first is second
    assert second.status() == "running"
    assert second.name == "web"
    rolled = [call for call in proxmox.calls if call.endswith("snapshot/golden/rollback")]
    assert len(rolled) == 2
    starts = [call for call in proxmox.calls if call.endswith("status/start")]
    assert len(starts) == 2  # the order to start it is not taken over into the making


def test_what_a_test_left_on_it_is_removed(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    golden = Golden(sandbox)
    guest = golden.lxc(sandbox)
    guest.snapshot("mine").snapshot("too")
    backup = guest.backup()
    other = FakeVolume("bak:backup/vzdump-lxc-1-1.tar.zst", 1, "backup", 5)
    proxmox.volumes.append(other)
    proxmox.guests[guest.vmid].protection = 1

    golden.lxc(sandbox)

    assert proxmox.guests[guest.vmid].snapshots == ["golden"]
    assert proxmox.guests[guest.vmid].protection == 0
    assert str(backup) not in {volume.volid for volume in proxmox.volumes}
    assert other in proxmox.volumes
    assert sandbox.ledger.get(guest.lease.id).backups == ()


@pytest.mark.parametrize("kind", ["vzdelsnapshot", "imgdel"], ids=["snapshot", "backup"])
def test_what_cannot_be_removed_is_told(sandbox: Sandbox, proxmox: FakeProxmox, kind: str) -> None:
    golden = Golden(sandbox)
    guest = golden.lxc(sandbox)
    guest.snapshot("mine")
    volid = guest.backup()
    proxmox.exit_statuses[kind] = "it does not go"
    what = "snapshot mine of" if kind == "vzdelsnapshot" else f"backup {volid}"

    with pytest.raises(TaskFailed, match=f"removal of {what}"):
        golden.lxc(sandbox)


@pytest.mark.parametrize("by", ["the test", "an app"])
def test_a_container_that_was_destroyed_is_made_again(
    sandbox: Sandbox, proxmox: FakeProxmox, by: str
) -> None:
    golden = Golden(sandbox)
    first = golden.lxc(sandbox)
    if by == "the test":
        first.destroy()
    else:
        del proxmox.guests[first.vmid]

    second = golden.lxc(sandbox)

    assert second is not first
    assert second.status() == "running"
    assert not sandbox.ledger.get(first.lease.id).is_held
    assert sandbox.close() == []
    assert proxmox.guests == {}


@pytest.mark.parametrize("way", [Way.CLONE, Way.FRESH])
def test_other_ways_give_each_test_its_own(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox, way: Way
) -> None:
    session, test = make_sandbox(), make_sandbox()
    golden = Golden(session, way=way, hostname="web")
    one, two = golden.lxc(test), golden.lxc(test)

    assert one.vmid != two.vmid
    assert one.status() == two.status() == "running"
    assert test.close() == []
    assert len(proxmox.guests) == (1 if way is Way.CLONE else 0)
    if way is Way.FRESH:
        assert one.name == "web"
