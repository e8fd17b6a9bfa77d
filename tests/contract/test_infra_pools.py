"""Pools: nested, in both spellings, with guests and storages in them."""

from __future__ import annotations

import pytest

from pytest_proxmox.simulator.simulator import Simulator

from .client import Client


@pytest.fixture
def pool(pve: Client) -> str:
    """A pool at the top."""
    assert pve.post("/pools", poolid="p1", comment="c").status == 200
    return "p1"


def vmids(client: Client, poolid: str) -> list[int]:
    members = client.get("/pools", poolid=poolid).data[0]["members"]
    return [member["vmid"] for member in members if "vmid" in member]


def test_pools_are_listed_without_their_members(pve: Client, pool: str) -> None:
    pve.post("/pools", poolid="p1/sub")
    assert pve.get("/pools").data == [{"poolid": "p1", "comment": "c"}, {"poolid": "p1/sub"}]


def test_both_spellings_read_the_same_pool(pve: Client, pool: str) -> None:
    expected = {"poolid": "p1", "comment": "c", "members": []}
    assert pve.get("/pools", poolid="p1").data == [expected]
    assert pve.get("/pools/p1").data == expected


def test_a_nested_pool_has_one_spelling_only(pve: Client, pool: str) -> None:
    pve.post("/pools", poolid="p1/sub")
    said = pve.get("/pools/p1%2Fsub")
    assert said.refusal == (501, "Method 'GET /pools/p1/sub' not implemented")


@pytest.mark.parametrize(
    ("poolid", "reason"),
    [
        ("p1", "create pool failed: pool 'p1' already exists"),
        ("px/sub", "create pool failed: parent 'px' of pool 'px/sub' does not exist"),
    ],
    ids=["taken", "no-parent"],
)
def test_a_pool_that_cannot_be_made_is_refused(
    pve: Client, pool: str, poolid: str, reason: str
) -> None:
    assert pve.post("/pools", poolid=poolid).refusal == (500, reason)


def test_a_pool_nested_too_deeply_is_a_wrong_parameter(pve: Client) -> None:
    said = pve.post("/pools", poolid="a/b/c/d")
    assert said.errors == {
        "poolid": "invalid format - pool name 'a/b/c/d' nested too deeply (max levels = 3)\n"
    }


def test_a_pool_that_is_not_there_is_a_500(pve: Client) -> None:
    assert pve.get("/pools/nope").refusal == (500, "pool 'nope' does not exist")
    assert pve.get("/pools", poolid="nope").refusal == (500, "pool 'nope' does not exist")
    said = pve.delete("/pools/nope")
    assert said.refusal == (500, "delete pool failed: pool 'nope' does not exist")


def test_a_guest_is_in_one_pool_at_a_time(pve: Client, sim: Simulator, pool: str) -> None:
    sim.plant(vmid=100)
    pve.post("/pools", poolid="p2")
    assert pve.put("/pools/p1", vms="100").status == 200
    again = pve.put("/pools/p1", vms="100")
    moved = pve.put("/pools/p2", vms="100")
    assert again.reason == "update pools failed: VM 100 is already a pool member"
    assert moved.reason == (
        "update pools failed: VM 100 belongs already to pool 'p1' and 'allow-move' is not set"
    )
    assert vmids(pve, "p1") == [100]


def test_a_guest_moves_when_that_is_allowed(pve: Client, sim: Simulator, pool: str) -> None:
    sim.plant(vmid=100, pool=None)
    pve.post("/pools", poolid="p2")
    pve.put("/pools/p1", vms="100")
    assert pve.put("/pools", poolid="p2", vms="100", **{"allow-move": 1}).status == 200
    assert (vmids(pve, "p1"), vmids(pve, "p2")) == ([], [100])


def test_taking_out_what_is_not_in_is_refused(pve: Client, sim: Simulator, pool: str) -> None:
    sim.plant(vmid=100)
    said = pve.put("/pools/p1", vms="100", delete=1)
    assert said.refusal == (500, "update pools failed: VM 100 is not a pool member")


def test_a_guest_that_is_not_there_may_be_a_member_that_nobody_sees(pve: Client, pool: str) -> None:
    assert pve.put("/pools/p1", vms="9999", storage="nope").status == 200
    assert pve.get("/pools/p1").data["members"] == []
    assert pve.delete("/pools/p1").status == 200


def test_a_storage_is_a_member_on_each_node(cluster: Client) -> None:
    cluster.post("/pools", poolid="p")
    cluster.put("/pools/p", storage="shared")
    members = cluster.get("/pools/p", type="storage").data["members"]
    assert [member["id"] for member in members] == [
        f"storage/pve{number}/shared" for number in (1, 2, 3)
    ]
    assert cluster.put("/pools/p", storage="shared", delete=1).status == 200
    assert cluster.get("/pools/p").data["members"] == []


@pytest.mark.parametrize(
    ("params", "content"),
    [({"vms": "100"}, "VM 100"), ({"storage": "local"}, "storage 'local'")],
    ids=["guest", "storage"],
)
def test_a_pool_with_something_in_it_stays(
    pve: Client, sim: Simulator, pool: str, params: dict[str, str], content: str
) -> None:
    sim.plant(vmid=100)
    pve.put("/pools/p1", **params)
    said = pve.delete("/pools/p1")
    reason = f"delete pool failed: pool 'p1' is not empty (contains {content})"
    assert said.refusal == (500, reason)


def test_a_pool_with_a_pool_in_it_stays(pve: Client, pool: str) -> None:
    pve.post("/pools", poolid="p1/sub")
    said = pve.delete("/pools", poolid="p1")
    reason = "delete pool failed: pool 'p1' is not empty (contains pool 'p1/sub')"
    assert said.refusal == (500, reason)


def test_a_removed_pool_takes_its_acl_along(pve: Client, pool: str) -> None:
    pve.post("/access/users", userid="joe@pve")
    pve.put("/access/acl", path="/pool/p1", users="joe@pve", roles="PVEPoolUser")
    assert pve.delete("/pools/p1").status == 200
    assert pve.get("/access/acl").data == []


def test_a_comment_is_changed_alone(pve: Client, pool: str) -> None:
    pve.put("/pools", poolid="p1", comment="expires=200")
    assert pve.get("/pools").data == [{"poolid": "p1", "comment": "expires=200"}]


def test_who_may_not_allocate_a_guest_may_not_adopt_it(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=100)
    pve.post("/pools", poolid="mine")
    pve.post("/access/users", userid="joe@pve", password="secret123")
    pve.put("/access/acl", path="/pool/mine", users="joe@pve", roles="PVEPoolAdmin")
    said = pve.as_user("joe@pve").put("/pools", poolid="mine", vms="100")
    assert said.refusal == (
        500,
        "update pools failed: 403 Permission check failed"
        " (/vms/100, Permissions.Modify|VM.Allocate)",
    )


def test_a_user_sees_only_pools_that_it_may_look_at(pve: Client, pool: str) -> None:
    pve.post("/pools", poolid="mine")
    pve.post("/access/users", userid="joe@pve", password="secret123")
    pve.put("/access/acl", path="/pool/mine", users="joe@pve", roles="PVEPoolUser")
    joe = pve.as_user("joe@pve")
    assert joe.get("/pools").data == [{"poolid": "mine"}]
    said = joe.get("/pools", poolid="p1")
    assert said.refusal == (403, "Permission check failed (/pool/p1, Pool.Audit)")
