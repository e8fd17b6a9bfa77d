"""Logins, passwords and what somebody may do: the ways in below ``/access``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from pytest_proxmox.simulator.access import Auth
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.quorum import cluster_lock
from pytest_proxmox.simulator.routes.users import require_user
from pytest_proxmox.simulator.wire import PveError

FAMILY: Final = Family()


@FAMILY.get("/access/ticket", checked=True)
def ticket_page(call: Call) -> None:
    """Return nothing: there for the login page (golden 01 seq 4)."""


@FAMILY.post("/access/ticket")
def login(call: Call) -> dict[str, Any]:
    """Return a ticket for a password, or for an older ticket of the same user."""
    access, given = call.sim.access, call.params
    userid = given["username"]
    if given.get("realm"):
        userid = f"{userid}@{given['realm']}"
    if not access.check_password(userid, given["password"]):
        raise PveError(401, "authentication failure")
    auth = Auth(userid)
    if "path" in given:  # asks only whether this login is good for that
        access.require(auth, given["path"], *given["privs"].split(","))
        return {"username": userid}
    answer = {
        "username": userid,
        "ticket": access.ticket(userid),
        "CSRFPreventionToken": access.csrf_token(userid),
        "cap": access.capabilities(auth),
    }
    cluster = call.state.settings["cluster.name"]
    return answer | ({"clustername": cluster} if cluster else {})


@FAMILY.put("/access/password")
def change_password(call: Call) -> None:
    """Set a user's password."""
    confirmation = call.params.get("confirmation-password")
    if confirmation is not None and not call.sim.access.check_password(
        call.auth.userid, confirmation
    ):
        raise PveError(401, "authentication failure")
    with cluster_lock(call.sim, "user_cfg", "change password failed"):
        user = require_user(call.state, call.params["userid"])
        call.state.users[user.userid] = replace(user, password=call.params["password"])


@FAMILY.get("/access/permissions")
def permissions(call: Call) -> dict[str, dict[str, int]]:
    """Return what the caller, or somebody else, may do: 1 where it propagates, else 0."""
    access = call.sim.access
    asked = Auth.parse(call.params.get("userid", call.auth.name))
    if asked.userid != call.auth.userid or (call.auth.tokenid and asked != call.auth):
        call.require("/access", "Sys.Audit")
    path = call.params.get("path")
    found = {path: access.privileges(asked, path)} if path else access.effective(asked)
    return {
        where: {name: int(deep) for name, deep in privileges.items()}
        for where, privileges in found.items()
    }
