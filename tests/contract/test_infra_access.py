"""Users, groups, roles, tokens, realms and logins: what a write changes and what is refused."""

from __future__ import annotations

import pytest

from pytest_proxmox.simulator.simulator import Simulator

from .client import Client


@pytest.fixture
def joe(pve: Client) -> Client:
    """A user without any rights."""
    assert pve.post("/access/users", userid="joe@pve", password="secret123").status == 200
    return pve.as_user("joe@pve")


# --- logins -------------------------------------------------------------------------------------


def test_a_login_gives_a_ticket_a_csrf_token_and_what_one_may_do(sim: Simulator) -> None:
    said = Client(sim, {}).post("/access/ticket", username="root@pam", password="secret")
    assert said.data["username"] == "root@pam"
    assert said.data["ticket"].startswith("PVE:root@pam:")
    assert set(said.data["cap"]) == {"access", "dc", "mapping", "nodes", "sdn", "storage", "vms"}
    assert said.data["cap"]["vms"]["VM.Allocate"] == 1


def test_the_realm_may_be_a_parameter_of_its_own(sim: Simulator) -> None:
    said = Client(sim, {}).post("/access/ticket", username="root", realm="pam", password="secret")
    assert said.data["username"] == "root@pam"


@pytest.mark.parametrize(
    ("user", "password"),
    [("root", "secret"), ("root@pam", "wrong"), ("ghost@pve", "x"), ("root@nowhere", "secret")],
    ids=["no-realm", "wrong-password", "no-such-user", "no-such-realm"],
)
def test_a_failed_login_is_a_401_with_a_body(sim: Simulator, user: str, password: str) -> None:
    said = Client(sim, {}).post("/access/ticket", username=user, password=password)
    assert said.refusal == (401, "authentication failure")
    assert said.body == {"data": None, "message": "authentication failure\n"}


def test_an_old_ticket_is_a_password_for_a_new_one(pve: Client) -> None:
    old = pve.headers["cookie"].partition("=")[2].replace("%3A", ":").replace("%40", "@")
    old = old.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
    said = pve.post("/access/ticket", username="root@pam", password=old)
    assert said.status == 200


def test_the_login_page_answers_nothing_to_anybody(sim: Simulator) -> None:
    assert Client(sim, {}).get("/access/ticket").body == {"data": None}


def test_a_write_without_the_csrf_token_is_refused_without_a_body(pve: Client) -> None:
    del pve.headers["csrfpreventiontoken"]
    said = pve.post("/pools", poolid="p")
    assert said.refusal == (401, "Permission denied - invalid csrf token")
    assert said.body == {}


def test_a_ticket_ends_after_two_hours(pve: Client, sim: Simulator) -> None:
    sim.clock.advance(7201)
    assert pve.get("/version").refusal == (401, "Authentication failed!")


def test_a_changed_password_replaces_the_old_one(pve: Client, joe: Client) -> None:
    assert joe.put("/access/password", userid="joe@pve", password="another12").status == 200
    old = pve.post("/access/ticket", username="joe@pve", password="secret123")
    assert old.status == 401
    assert pve.as_user("joe@pve", "another12").get("/version").status == 200


def test_nobody_sets_the_password_of_somebody_else(pve: Client, joe: Client) -> None:
    pve.post("/access/users", userid="ann@pve", password="secret123")
    assert joe.put("/access/password", userid="ann@pve", password="another12").status == 403


def test_a_disabled_user_is_logged_out_at_once(pve: Client, joe: Client) -> None:
    pve.put("/access/users/joe@pve", enable=0)
    assert joe.get("/version").refusal == (401, "Authentication failed!")


# --- users and groups ---------------------------------------------------------------------------


def test_a_user_is_listed_and_read_as_made(pve: Client) -> None:
    pve.post("/access/groups", groupid="dev", comment="developers")
    pve.post("/access/users", userid="ann@pve", comment="Ann", email="a@b.example", groups="dev")
    listed = {user["userid"]: user for user in pve.get("/access/users", full=1).data}
    assert listed["ann@pve"] == {
        "userid": "ann@pve",
        "realm-type": "pve",
        "enable": 1,
        "expire": 0,
        "comment": "Ann",
        "email": "a@b.example",
        "groups": "dev",
        "tokens": [],
    }
    assert pve.get("/access/users/ann@pve").data["groups"] == ["dev"]


def test_a_user_without_rights_sees_only_itself(joe: Client) -> None:
    assert [user["userid"] for user in joe.get("/access/users").data] == ["joe@pve"]


@pytest.mark.parametrize(
    ("userid", "reason"),
    [
        ("joe@pve", "create user failed: user 'joe@pve' already exists"),
        ("joe@nowhere", "create user failed: domain 'nowhere' does not exist"),
    ],
    ids=["taken", "no-such-realm"],
)
def test_a_user_that_cannot_be_made_is_refused(
    pve: Client, joe: Client, userid: str, reason: str
) -> None:
    assert pve.post("/access/users", userid=userid).refusal == (500, reason)


def test_a_user_that_is_not_there_is_a_500(pve: Client) -> None:
    assert pve.get("/access/users/no@pve").refusal == (500, "no such user ('no@pve')")
    said = pve.put("/access/users/no@pve", comment="x")
    assert said.refusal == (500, "update user failed: no such user ('no@pve')")


def test_groups_are_replaced_or_appended(pve: Client, joe: Client) -> None:
    for group in ("one", "two"):
        pve.post("/access/groups", groupid=group)
    pve.put("/access/users/joe@pve", groups="one")
    pve.put("/access/users/joe@pve", groups="two", append=1)
    assert pve.get("/access/users/joe@pve").data["groups"] == ["one", "two"]
    pve.put("/access/users/joe@pve", groups="two")
    assert pve.get("/access/groups/one").data["members"] == []
    assert pve.get("/access/groups/two").data["members"] == ["joe@pve"]


def test_a_group_leaves_its_members_when_it_goes(pve: Client, joe: Client) -> None:
    pve.post("/access/groups", groupid="dev")
    pve.put("/access/users/joe@pve", groups="dev")
    pve.put("/access/acl", path="/vms", groups="dev", roles="PVEVMUser")
    assert pve.delete("/access/groups/dev").status == 200
    assert pve.get("/access/groups").data == []
    assert pve.get("/access/users/joe@pve").data["groups"] == []
    assert pve.get("/access/acl").data == []


def test_a_groups_comment_can_be_changed(pve: Client) -> None:
    pve.post("/access/groups", groupid="dev")
    pve.put("/access/groups/dev", comment="changed")
    assert pve.get("/access/groups/dev").data == {"comment": "changed", "members": []}


def test_a_user_takes_tokens_and_acl_entries_along(pve: Client, joe: Client) -> None:
    pve.post("/access/users/joe@pve/token/ci")
    pve.put("/access/acl", path="/vms", users="joe@pve", tokens="joe@pve!ci", roles="PVEVMUser")
    assert pve.delete("/access/users/joe@pve").status == 200
    assert pve.get("/access/acl").data == []
    assert pve.get("/access/users/joe@pve/token").data == []


# --- tokens -------------------------------------------------------------------------------------


def test_a_tokens_secret_is_shown_once(pve: Client) -> None:
    said = pve.post("/access/users/root@pam/token/ci", privsep=0, comment="for CI")
    assert said.data["full-tokenid"] == "root@pam!ci"
    assert said.data["info"] == {"privsep": "0", "comment": "for CI"}
    expected = {"privsep": 0, "expire": 0, "comment": "for CI"}
    assert pve.get("/access/users/root@pam/token/ci").data == expected
    assert pve.get("/access/users/root@pam/token").data == [{"tokenid": "ci"} | expected]


def test_a_token_logs_in_and_needs_no_csrf_token(pve: Client) -> None:
    made = pve.post("/access/users/root@pam/token/ci", privsep=0).data
    token = pve.as_token("root@pam!ci", made["value"])
    assert token.post("/pools", poolid="tok-pool").status == 200
    assert token.delete("/pools/tok-pool").status == 200


def test_a_second_token_of_that_name_is_a_wrong_parameter(pve: Client) -> None:
    pve.post("/access/users/root@pam/token/ci")
    said = pve.post("/access/users/root@pam/token/ci")
    assert said.errors == {"tokenid": "Token already exists."}


def test_a_new_secret_ends_the_old_one(pve: Client) -> None:
    old = pve.post("/access/users/root@pam/token/ci", privsep=0).data["value"]
    new = pve.put("/access/users/root@pam/token/ci", regenerate=1).data
    assert new["full-tokenid"] == "root@pam!ci"
    assert pve.as_token("root@pam!ci", old).get("/version").status == 401
    assert pve.as_token("root@pam!ci", new["value"]).get("/version").status == 200


def test_a_tokens_comment_and_expiry_can_be_changed(pve: Client) -> None:
    pve.post("/access/users/root@pam/token/ci", comment="old")
    changed = pve.put("/access/users/root@pam/token/ci", expire=4_000_000_000, delete="comment")
    assert changed.data == {"privsep": 1, "expire": 4_000_000_000}


def test_an_expired_token_is_refused(pve: Client, sim: Simulator) -> None:
    expire = int(sim.clock.now()) + 100
    made = pve.post("/access/users/root@pam/token/ci", privsep=0, expire=expire).data
    token = pve.as_token("root@pam!ci", made["value"])
    assert token.get("/version").status == 200
    sim.clock.advance(200)
    assert token.get("/version").refusal == (401, "Authentication failed!")


def test_a_removed_token_is_gone(pve: Client) -> None:
    made = pve.post("/access/users/root@pam/token/ci", privsep=0).data
    assert pve.delete("/access/users/root@pam/token/ci").status == 200
    again = pve.delete("/access/users/root@pam/token/ci")
    assert again.refusal == (500, "no such token 'ci' for user 'root@pam'")
    assert pve.as_token("root@pam!ci", made["value"]).get("/version").status == 401


def test_a_token_gets_no_ticket(pve: Client) -> None:
    made = pve.post("/access/users/root@pam/token/ci", privsep=0).data
    token = pve.as_token("root@pam!ci", made["value"])
    said = token.post("/access/ticket", username="root@pam", password="secret")
    assert said.refusal == (
        403,
        "Permission check failed (URI '/access/ticket' not available with API token,"
        " need proper ticket.",
    )


# --- roles --------------------------------------------------------------------------------------


def test_a_role_is_made_extended_and_removed(pve: Client) -> None:
    pve.post("/access/roles", roleid="Sandbox", privs="VM.Audit VM.Clone")
    pve.put("/access/roles/Sandbox", privs="VM.Allocate", append=1)
    assert set(pve.get("/access/roles/Sandbox").data) == {"VM.Audit", "VM.Clone", "VM.Allocate"}
    pve.put("/access/roles/Sandbox", privs="VM.Audit")
    listed = {role["roleid"]: role for role in pve.get("/access/roles").data}
    assert listed["Sandbox"] == {"roleid": "Sandbox", "privs": "VM.Audit", "special": 0}
    assert listed["PVEVMUser"]["special"] == 1
    pve.delete("/access/roles/Sandbox")
    said = pve.get("/access/roles/Sandbox")
    assert said.refusal == (500, "role 'Sandbox' does not exist")


def test_a_role_that_is_there_is_not_made_again(pve: Client) -> None:
    pve.post("/access/roles", roleid="Sandbox")
    said = pve.post("/access/roles", roleid="Sandbox")
    assert said.refusal == (500, "create role failed: role 'Sandbox' already exists")


def test_an_unknown_privilege_is_a_wrong_parameter(pve: Client) -> None:
    said = pve.post("/access/roles", roleid="Bad", privs="No.Such")
    assert said.errors == {"privs": "invalid format - invalid privilege 'No.Such'\n"}


@pytest.mark.parametrize("verb", ["put", "delete"])
def test_built_in_roles_stay_as_they_are(pve: Client, verb: str) -> None:
    assert getattr(pve, verb)("/access/roles/PVEAdmin").status == 500
    assert pve.get("/access/roles/PVEAdmin").data["VM.Allocate"] == 1


def test_a_removed_role_is_taken_from_the_acl(pve: Client, joe: Client) -> None:
    pve.post("/access/roles", roleid="Sandbox", privs="VM.Audit")
    pve.put("/access/acl", path="/vms", users="joe@pve", roles="Sandbox")
    pve.delete("/access/roles/Sandbox")
    assert pve.get("/access/acl").data == []


# --- realms -------------------------------------------------------------------------------------


def test_anybody_can_list_the_realms(sim: Simulator) -> None:
    realms = {
        realm["realm"]: realm["type"] for realm in Client(sim, {}).get("/access/domains").data
    }
    assert realms == {"pam": "pam", "pve": "pve"}


def test_a_realm_is_added_changed_and_removed(pve: Client) -> None:
    made = {"type": "ldap", "server1": "ldap.example", "base_dn": "dc=example", "user_attr": "uid"}
    assert pve.post("/access/domains", realm="corp", comment="old", **made).status == 200
    read = pve.get("/access/domains/corp").data
    pve.put("/access/domains/corp", comment="new", digest=read["digest"])
    assert pve.get("/access/domains/corp").data["comment"] == "new"
    stale = pve.put("/access/domains/corp", comment="newer", digest=read["digest"])
    assert stale.status == 500
    assert pve.delete("/access/domains/corp").status == 200
    said = pve.get("/access/domains/corp")
    assert said.refusal == (500, "domain 'corp' does not exist")


def test_only_one_realm_is_the_default(pve: Client) -> None:
    pve.put("/access/domains/pve", default=1)
    pve.put("/access/domains/pam", default=1)
    listed = pve.get("/access/domains").data
    assert [realm["realm"] for realm in listed if realm.get("default")] == ["pam"]
