"""Who may do what where: propagation, groups, privilege separation, pools."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_proxmox.simulator.simulator import Simulator

from .client import Client


@pytest.fixture
def joe(pve: Client, sim: Simulator) -> Client:
    """A user without rights; there is a container 100."""
    sim.plant(vmid=100)
    pve.post("/access/users", userid="joe@pve", password="secret123")
    return pve.as_user("joe@pve")


def grant(pve: Client, path: str, role: str = "PVEVMUser", **more: Any) -> None:
    given = more or {"users": "joe@pve"}
    assert pve.put("/access/acl", path=path, roles=role, **given).status == 200


def reads_100(client: Client) -> bool:
    said = client.get("/nodes/pve/lxc/100/config")
    assert said.status in (200, 403)
    return said.status == 200


def test_without_an_entry_nothing_may_be_done(joe: Client) -> None:
    said = joe.get("/nodes/pve/lxc/100/config")
    assert said.refusal == (403, "Permission check failed (/vms/100, VM.Audit)")
    assert joe.get("/access/permissions").data == {}


@pytest.mark.parametrize("path", ["/", "/vms", "/vms/100"])
def test_an_entry_counts_for_what_lies_below(pve: Client, joe: Client, path: str) -> None:
    grant(pve, path)
    assert reads_100(joe)


def test_an_entry_that_does_not_propagate_counts_only_for_its_path(
    pve: Client, joe: Client
) -> None:
    grant(pve, "/vms", users="joe@pve", propagate=0)
    assert not reads_100(joe)
    assert joe.get("/access/permissions", path="/vms").data["/vms"]["VM.Audit"] == 0


def test_what_stands_deeper_replaces_what_is_above(pve: Client, joe: Client) -> None:
    grant(pve, "/vms", "PVEVMAdmin")
    grant(pve, "/vms/100", "NoAccess")
    assert not reads_100(joe)


def test_an_entry_for_the_user_goes_before_one_for_a_group(pve: Client, joe: Client) -> None:
    pve.post("/access/groups", groupid="dev")
    pve.put("/access/users/joe@pve", groups="dev")
    grant(pve, "/vms", "PVEVMAdmin", groups="dev")
    assert reads_100(joe)
    grant(pve, "/vms", "PVEPoolUser")
    assert not reads_100(joe)


def test_entries_of_several_groups_add_up(pve: Client, joe: Client) -> None:
    for group, role in (("one", "PVEPoolUser"), ("two", "PVEVMUser")):
        pve.post("/access/groups", groupid=group)
        grant(pve, "/vms", role, groups=group)
    pve.put("/access/users/joe@pve", groups="one,two")
    held = joe.get("/access/permissions", path="/vms/100").data["/vms/100"]
    assert {"Pool.Audit", "VM.Audit"} <= set(held)


def test_a_removed_entry_counts_no_more(pve: Client, joe: Client) -> None:
    grant(pve, "/vms")
    assert reads_100(joe)
    grant(pve, "/vms", users="joe@pve", delete=1)
    assert not reads_100(joe)
    assert pve.get("/access/acl").data == []


def test_a_changed_role_counts_at_once(pve: Client, joe: Client) -> None:
    pve.post("/access/roles", roleid="Looker", privs="Pool.Audit")
    grant(pve, "/vms", "Looker")
    assert not reads_100(joe)
    pve.put("/access/roles/Looker", privs="VM.Audit", append=1)
    assert reads_100(joe)


# --- pools --------------------------------------------------------------------------------------


def test_rights_on_a_pool_are_rights_on_its_members(pve: Client, joe: Client) -> None:
    pve.post("/pools", poolid="p")
    grant(pve, "/pool/p")
    assert not reads_100(joe)
    pve.put("/pools/p", vms="100")
    assert reads_100(joe)
    pve.put("/pools/p", vms="100", delete=1)
    assert not reads_100(joe)


def test_rights_on_a_pool_reach_the_pools_in_it(pve: Client, joe: Client) -> None:
    for poolid in ("p", "p/run", "p/run/lease"):
        pve.post("/pools", poolid=poolid)
    grant(pve, "/pool/p")
    pve.put("/pools", poolid="p/run/lease", vms="100")
    assert reads_100(joe)


def test_a_login_counts_rights_on_pools_as_rights_on_guests(pve: Client, joe: Client) -> None:
    pve.post("/pools", poolid="p")
    grant(pve, "/pool/p", "PVEVMAdmin")
    cap = pve.post("/access/ticket", username="joe@pve", password="secret123").data["cap"]
    assert cap["vms"]["VM.Allocate"] == 1
    assert cap["nodes"] == {}


# --- tokens -------------------------------------------------------------------------------------


def token_of(pve: Client, **params: Any) -> Client:
    made = pve.post("/access/users/joe@pve/token/ci", **params).data
    return pve.as_token("joe@pve!ci", made["value"])


def test_a_full_token_may_what_its_user_may(pve: Client, joe: Client) -> None:
    grant(pve, "/vms")
    assert reads_100(token_of(pve, privsep=0))


def test_a_separated_token_starts_with_nothing(pve: Client, joe: Client) -> None:
    grant(pve, "/vms")
    token = token_of(pve)
    assert not reads_100(token)
    assert token.get("/access/permissions").data == {}


def test_a_separated_token_may_only_what_its_user_may_too(pve: Client, joe: Client) -> None:
    token = token_of(pve)
    grant(pve, "/vms", "PVEVMAdmin", tokens="joe@pve!ci")
    assert not reads_100(token)
    grant(pve, "/vms", "PVEVMUser")
    held = token.get("/access/permissions", path="/vms/100").data["/vms/100"]
    assert "VM.Audit" in held
    assert "VM.Allocate" not in held


def test_a_separated_token_of_root_may_nothing_by_itself(pve: Client, joe: Client) -> None:
    made = pve.post("/access/users/root@pam/token/sep").data
    token = pve.as_token("root@pam!sep", made["value"])
    assert not reads_100(token)


# --- the list itself ----------------------------------------------------------------------------


def test_the_acl_lists_users_groups_and_tokens(pve: Client, joe: Client) -> None:
    pve.post("/access/groups", groupid="dev")
    pve.post("/access/users/joe@pve/token/ci")
    grant(pve, "/storage/local", users="joe@pve", groups="dev", tokens="joe@pve!ci", propagate=0)
    entries = {(entry["type"], entry["ugid"]) for entry in pve.get("/access/acl").data}
    assert entries == {("user", "joe@pve"), ("group", "dev"), ("token", "joe@pve!ci")}
    assert {entry["propagate"] for entry in pve.get("/access/acl").data} == {0}


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"users": "no@pve"}, "ACL update failed: user 'no@pve' does not exist"),
        ({"groups": "nogroup"}, "ACL update failed: group 'nogroup' does not exist"),
        (
            {"users": "joe@pve", "roles": "NoRole"},
            "ACL update failed: role 'NoRole' does not exist",
        ),
    ],
    ids=["user", "group", "role"],
)
def test_the_acl_knows_whom_it_names(
    pve: Client, joe: Client, params: dict[str, str], reason: str
) -> None:
    said = pve.put("/access/acl", **{"path": "/vms", "roles": "PVEVMUser", **params})
    assert said.refusal == (500, reason)


@pytest.mark.parametrize("path", ["/nowhere", "/vms/abc", "/storage/a/b"])
def test_the_acl_knows_what_there_can_be(pve: Client, joe: Client, path: str) -> None:
    said = pve.put("/access/acl", path=path, users="joe@pve", roles="PVEVMUser")
    assert said.errors == {"path": f"invalid ACL path '{path}'"}


def test_the_acl_wants_somebody_to_be_named(pve: Client) -> None:
    assert set(pve.put("/access/acl", path="/vms", roles="PVEVMUser").errors) == {
        "users",
        "groups",
        "tokens",
    }


def test_who_may_not_change_permissions_may_not(pve: Client, joe: Client) -> None:
    said = joe.put("/access/acl", path="/vms", users="joe@pve", roles="PVEVMUser")
    assert said.status == 403


def test_who_may_allocate_hands_on_no_more_than_is_held(pve: Client, joe: Client) -> None:
    pve.post("/access/users", userid="ann@pve")
    grant(pve, "/vms/100", "PVEVMAdmin")
    same = joe.put("/access/acl", path="/vms/100", users="ann@pve", roles="PVEVMUser")
    more = joe.put("/access/acl", path="/vms/100", users="ann@pve", roles="Administrator")
    assert same.status == 200
    assert more.status == 500


def test_what_others_may_do_is_for_auditors(pve: Client, joe: Client) -> None:
    assert joe.get("/access/permissions", userid="root@pam").status == 403
    grant(pve, "/access", "PVEAuditor")
    assert joe.get("/access/permissions", userid="root@pam").data["/"]["Sys.Modify"] == 1


# --- what is judged first -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "path", "params", "refusal"),
    [
        ("post", "/pools", {}, (403, "Permission check failed (/pool/-, Pool.Allocate)")),
        ("post", "/pools", {"poolid": "a b"}, (403, "Permission check failed (, Pool.Allocate)")),
        ("post", "/access/users", {"userid": "x"}, (500, "user name 'x' is too short")),
        ("get", "/nodes/pve/status", {"bogus": 1}, (403, None)),
        ("get", "/nope", {}, (501, "Method 'GET /nope' not implemented")),
    ],
    ids=["no-pool", "bad-pool", "bad-user", "before-parameters", "route-first"],
)
def test_rights_are_judged_before_parameters(
    joe: Client, verb: str, path: str, params: dict[str, Any], refusal: tuple[int, str | None]
) -> None:
    said = getattr(joe, verb)(path, **params)
    assert said.status == refusal[0]
    assert refusal[1] in (None, said.reason)
