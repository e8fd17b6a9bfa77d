"""Users and groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.identity import ROOT
from pytest_proxmox.simulator.lists import split
from pytest_proxmox.simulator.quorum import under_lock
from pytest_proxmox.simulator.routes.acl import forget_principal
from pytest_proxmox.simulator.routes.tokens import token_info
from pytest_proxmox.simulator.state import User
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.state import State

FAMILY: Final = Family()

_DETAILS: Final = ("comment", "email", "firstname", "lastname", "keys")
_MANAGERS: Final = ("User.Modify", "Sys.Audit")


def require_user(state: State, userid: str) -> User:
    """Return a user.

    Raises:
        PveError: ``no such user ('joe@pve')``
    """
    user = state.users.get(userid)
    if user is None:
        raise PveError(500, f"no such user ('{userid}')")
    return user


def _shown(user: User) -> dict[str, Any]:
    details = {key: user.settings[key] for key in _DETAILS if user.settings.get(key)}
    return {"enable": int(user.enable), "expire": user.expire} | details


def _manages(call: Call, user: User) -> bool:
    """Return whether the caller may see a user: one's own, or in a group that one manages."""
    if user.userid == call.auth.userid or call.may("/access/groups", *_MANAGERS, either=True):
        return True
    return any(call.may(f"/access/groups/{g}", *_MANAGERS, either=True) for g in user.groups)


@FAMILY.get("/access/users")
def list_users(call: Call) -> list[dict[str, Any]]:
    """Return the users that the caller may see; with ``full`` their groups and tokens too."""
    wanted, full = call.params.get("enabled"), call.params.get("full")
    found = []
    for user in call.state.users.values():
        if not _manages(call, user) or (wanted is not None and bool(wanted) != user.enable):
            continue
        realm = user.userid.rpartition("@")[2]
        kind = call.state.realms.get(realm, {}).get("type", realm)
        entry = {"userid": user.userid, "realm-type": kind} | _shown(user)
        if full:
            entry["groups"] = ",".join(sorted(user.groups))
            entry["tokens"] = [
                {"tokenid": token.id.partition("!")[2]} | token_info(token)
                for token in call.state.tokens.values()
                if token.userid == user.userid
            ]
        found.append(entry)
    return found


@FAMILY.post("/access/users")
@under_lock("user_cfg", "create user failed")
def create_user(call: Call) -> None:
    """Make a user."""
    state, given = call.state, call.params
    userid: str = given["userid"]
    realm = userid.rpartition("@")[2]
    if realm not in state.realms:
        raise PveError(500, f"domain '{realm}' does not exist")
    if userid in state.users:
        raise PveError(500, f"user '{userid}' already exists")
    groups = split(given.get("groups"))
    require_groups(state, groups)
    state.users[userid] = User(
        userid,
        given.get("password"),
        bool(given.get("enable", 1)),
        int(given.get("expire", 0)),
        tuple(sorted(set(groups))),
        {key: given[key] for key in _DETAILS if key in given},
    )


def require_groups(state: State, groups: Iterable[str]) -> None:
    """Refuse groups that are not there.

    Raises:
        PveError: ``group 'x' does not exist``
    """
    for group in groups:
        if group not in state.groups:
            raise PveError(500, f"group '{group}' does not exist")


@FAMILY.get("/access/users/{userid}")
def read_user(call: Call) -> dict[str, Any]:
    """Return a user with groups and tokens."""
    user = require_user(call.state, call.params["userid"])
    tokens = {
        token.id.partition("!")[2]: token_info(token)
        for token in call.state.tokens.values()
        if token.userid == user.userid
    }
    found = _shown(user) | {"groups": sorted(user.groups)}
    return found | ({"tokens": tokens} if tokens else {})


@FAMILY.put("/access/users/{userid}")
@under_lock("user_cfg", "update user failed")
def update_user(call: Call) -> None:
    """Change what is given of a user."""
    given = call.params
    user = require_user(call.state, given["userid"])
    settings = dict(user.settings) | {key: given[key] for key in _DETAILS if key in given}
    groups = user.groups
    if "groups" in given:
        wanted = split(given["groups"])
        require_groups(call.state, wanted)
        groups = tuple(sorted({*wanted, *(groups if given.get("append") else ())}))
    call.state.users[user.userid] = replace(
        user,
        enable=bool(given.get("enable", user.enable)),
        expire=int(given.get("expire", user.expire)),
        groups=groups,
        settings=settings,
    )


@FAMILY.delete("/access/users/{userid}")
@under_lock("user_cfg", "delete user failed")
def delete_user(call: Call) -> None:
    """Remove a user with everything that names the user."""
    state = call.state
    user = require_user(state, call.params["userid"])
    if user.userid == ROOT:  # not recorded: what a node says here nobody should try out
        raise PveError(500, f"user '{ROOT}' cannot be removed")
    for ident in [t.id for t in state.tokens.values() if t.userid == user.userid]:
        forget_principal(state, "token", ident)
        del state.tokens[ident]
    forget_principal(state, "user", user.userid)
    del state.users[user.userid]


@FAMILY.get("/access/groups")
def list_groups(call: Call) -> list[dict[str, Any]]:
    """Return the groups that the caller may see, with their members."""
    wanted = ("User.Modify", "Sys.Audit", "Group.Allocate")
    everything = call.may("/access/groups", *wanted, either=True)
    found = []
    for groupid, group in call.state.groups.items():
        if not everything and not call.may(f"/access/groups/{groupid}", *wanted, either=True):
            continue
        entry = {"groupid": groupid, "users": ",".join(_members(call.state, groupid))}
        found.append(entry | _comment(group))
    return found


def _members(state: State, groupid: str) -> list[str]:
    return sorted(user.userid for user in state.users.values() if groupid in user.groups)


def _comment(group: Any) -> dict[str, str]:
    return {"comment": group["comment"]} if group.get("comment") else {}


@FAMILY.post("/access/groups")
@under_lock("user_cfg", "create group failed")
def create_group(call: Call) -> None:
    """Make a group."""
    groupid = call.params["groupid"]
    if groupid in call.state.groups:
        raise PveError(500, f"group '{groupid}' already exists")
    call.state.groups[groupid] = {"comment": call.params.get("comment")}


@FAMILY.get("/access/groups/{groupid}")
def read_group(call: Call) -> dict[str, Any]:
    """Return a group's members."""
    groupid = call.params["groupid"]
    require_groups(call.state, [groupid])
    members = {"members": _members(call.state, groupid)}
    return members | _comment(call.state.groups[groupid])


@FAMILY.put("/access/groups/{groupid}")
@under_lock("user_cfg", "update group failed")
def update_group(call: Call) -> None:
    """Change a group's comment."""
    groupid = call.params["groupid"]
    require_groups(call.state, [groupid])
    if "comment" in call.params:
        call.state.groups[groupid] = {"comment": call.params["comment"]}


@FAMILY.delete("/access/groups/{groupid}")
@under_lock("user_cfg", "delete group failed")
def delete_group(call: Call) -> None:
    """Remove a group; its members stay."""
    state, groupid = call.state, call.params["groupid"]
    require_groups(state, [groupid])
    del state.groups[groupid]
    forget_principal(state, "group", groupid)
    for user in list(state.users.values()):
        if groupid in user.groups:
            left = tuple(group for group in user.groups if group != groupid)
            state.users[user.userid] = replace(user, groups=left)
