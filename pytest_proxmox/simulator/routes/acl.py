"""The ACL and the roles that it hands out."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import roles
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.lists import split
from pytest_proxmox.simulator.quorum import cluster_lock, under_lock
from pytest_proxmox.simulator.state import AclEntry
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.state import State

FAMILY: Final = Family()

_PRINCIPALS: Final = (("users", "user"), ("groups", "group"), ("tokens", "token"))

# The objects that rights can be given on, from the public list of permission paths.
_OBJECTS: Final = re.compile(
    r"/"
    r"|/access(/groups(/[^/\s]+)?|/realm(/[^/\s]+)?)?"
    r"|/nodes(/[^/\s]+)?"
    r"|/pool(/[^/\s]+){0,3}"
    r"|/sdn(/[^/\s]+){0,4}"
    r"|/storage(/[^/\s]+)?"
    r"|/vms(/[1-9]\d{2,})?"
    r"|/mapping(/[^/\s]+){0,2}"
)


def forget_principal(state: State, kind: str, name: str) -> None:
    """Remove somebody from the ACL: a user, a group or a token that goes."""
    for key, entry in list(state.acls.items()):
        if (entry.type, entry.ugid) == (kind, name):
            del state.acls[key]


def forget_path(state: State, path: str) -> None:
    """Remove what the ACL says of an object that goes: a pool, a guest."""
    for key, entry in list(state.acls.items()):
        if entry.path == path:
            del state.acls[key]


@FAMILY.get("/access/acl")
def read_acl(call: Call) -> list[dict[str, Any]]:
    """Return the entries at the paths where the caller may change them."""
    everything = call.may("/access", "Sys.Audit")
    return [
        {
            "path": entry.path,
            "type": entry.type,
            "ugid": entry.ugid,
            "roleid": entry.roleid,
            "propagate": int(entry.propagate),
        }
        for entry in sorted(call.state.acls.values(), key=lambda e: (e.path, e.ugid, e.roleid))
        if everything or call.may(entry.path, "Permissions.Modify")
    ]


@FAMILY.put("/access/acl")
def update_acl(call: Call) -> None:
    """Give roles to users, groups and tokens at a path, or take them away."""
    given = call.params
    path = "/" + "/".join(part for part in given["path"].split("/") if part)
    if not _OBJECTS.fullmatch(path):
        raise PveError.fields({"path": f"invalid ACL path '{given['path']}'"})
    if not any(key in given for key, _ in _PRINCIPALS):
        text = "either 'users', 'groups' or 'tokens' is required."
        raise PveError.fields({key: text for key, _ in _PRINCIPALS})
    wanted = [
        AclEntry(path, kind, name, roleid, bool(given.get("propagate", 1)))
        for roleid in split(given["roles"])
        for key, kind in _PRINCIPALS
        for name in split(given.get(key))
    ]
    with cluster_lock(call.sim, "user_cfg", "ACL update failed"):
        for entry in wanted:
            _require_principal(call.state, entry)
            _require_grantable(call, entry)
        for entry in wanted:
            key = (entry.path, entry.type, entry.ugid, entry.roleid)
            if given.get("delete"):
                call.state.acls.pop(key)
            else:
                call.state.acls[key] = entry


def _require_principal(state: State, entry: AclEntry) -> None:
    known: dict[str, Container[str]] = {
        "user": state.users,
        "group": state.groups,
        "token": state.tokens,
    }
    if entry.ugid not in known[entry.type]:
        raise PveError(500, f"{entry.type} '{entry.ugid}' does not exist")
    require_role(state, entry.roleid)


def _require_grantable(call: Call, entry: AclEntry) -> None:
    """Refuse to hand on more than one has oneself, unless one may change all permissions there."""
    if call.may(entry.path, "Permissions.Modify"):
        return
    privileges = sorted(call.sim.access.role(entry.roleid))
    call.require(entry.path, *privileges)


def require_role(state: State, roleid: str) -> None:
    """Refuse a role that is not there.

    Raises:
        PveError: ``role 'x' does not exist``
    """
    if roleid not in roles.BUILT_IN and roleid not in state.roles:
        raise PveError(500, f"role '{roleid}' does not exist")


@FAMILY.get("/access/roles")
def list_roles(call: Call) -> list[dict[str, Any]]:
    """Return the roles; ``special`` marks those that Proxmox comes with."""
    every = {name: (privs, 1) for name, privs in roles.BUILT_IN.items()}
    every |= {name: (privs, 0) for name, privs in call.state.roles.items()}
    return [
        {"roleid": name, "privs": ",".join(sorted(privs)), "special": special}
        for name, (privs, special) in sorted(every.items())
    ]


@FAMILY.post("/access/roles")
@under_lock("user_cfg", "create role failed")
def create_role(call: Call) -> None:
    """Make a role."""
    roleid = call.params["roleid"]
    if roleid in call.state.roles or roleid in roles.BUILT_IN:
        raise PveError(500, f"role '{roleid}' already exists")
    if roleid.upper().startswith("PVE"):
        raise PveError(500, "role ID can't start with (case-insensitive) 'PVE' (reserved)")
    call.state.roles[roleid] = frozenset(split(call.params.get("privs")))


@FAMILY.get("/access/roles/{roleid}")
def read_role(call: Call) -> dict[str, int]:
    """Return a role's privileges."""
    require_role(call.state, call.params["roleid"])
    return dict.fromkeys(sorted(call.sim.access.role(call.params["roleid"])), 1)


@FAMILY.put("/access/roles/{roleid}")
@under_lock("user_cfg", "update role failed")
def update_role(call: Call) -> None:
    """Replace or extend a role's privileges."""
    roleid = _own_role(call, "modified")
    privileges = frozenset(split(call.params.get("privs")))
    if call.params.get("append"):
        privileges |= call.state.roles[roleid]
    call.state.roles[roleid] = privileges


@FAMILY.delete("/access/roles/{roleid}")
@under_lock("user_cfg", "delete role failed")
def delete_role(call: Call) -> None:
    """Remove a role from wherever it was given too."""
    roleid = _own_role(call, "deleted")
    del call.state.roles[roleid]
    for key, entry in list(call.state.acls.items()):
        if entry.roleid == roleid:
            del call.state.acls[key]


def _own_role(call: Call, what: str) -> str:
    roleid: str = call.params["roleid"]
    require_role(call.state, roleid)
    if roleid in roles.BUILT_IN:
        raise PveError(500, f"auto-generated role '{roleid}' cannot be {what}")
    return roleid
