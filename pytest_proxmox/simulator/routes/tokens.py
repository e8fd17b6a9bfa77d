"""API tokens: made, listed, regenerated, removed (golden 01 seq 30 to 55)."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any, Final

from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.lists import split
from pytest_proxmox.simulator.quorum import cluster_lock
from pytest_proxmox.simulator.routes.acl import forget_principal
from pytest_proxmox.simulator.state import Token
from pytest_proxmox.simulator.wire import PveError

FAMILY: Final = Family()

_TOKEN = "/access/users/{userid}/token/{tokenid}"  # noqa: S105 - a path


def token_info(token: Token) -> dict[str, Any]:
    """Return what listings show of a token: never its secret."""
    found: dict[str, Any] = {"privsep": int(token.privsep), "expire": token.expire}
    return found | ({"comment": token.comment} if token.comment else {})


def _require(call: Call) -> Token:
    userid, tokenid = call.params["userid"], call.params["tokenid"]
    token = call.state.tokens.get(f"{userid}!{tokenid}")
    if token is None:
        raise PveError(500, f"no such token '{tokenid}' for user '{userid}'")
    return token


@FAMILY.get("/access/users/{userid}/token")
def list_tokens(call: Call) -> list[dict[str, Any]]:
    """Return a user's tokens."""
    return [
        {"tokenid": token.id.partition("!")[2]} | token_info(token)
        for token in call.state.tokens.values()
        if token.userid == call.params["userid"]
    ]


@FAMILY.get(_TOKEN)
def read_token(call: Call) -> dict[str, Any]:
    """Return a token without its secret."""
    return token_info(_require(call))


@FAMILY.post(_TOKEN)
def create_token(call: Call) -> dict[str, Any]:
    """Make a token and return its secret, for the only time."""
    userid, given = call.params["userid"], call.params
    ident = f"{userid}!{given['tokenid']}"
    if userid not in call.state.users:
        raise PveError(500, f"no such user ('{userid}')")
    if ident in call.state.tokens:
        raise PveError.fields({"tokenid": "Token already exists."})
    expire = given.get("expire", call.state.users[userid].expire)
    token = Token(
        ident,
        str(uuid.uuid4()),
        bool(given.get("privsep", 1)),
        int(expire),
        given.get("comment"),
    )
    with cluster_lock(call.sim, "user_cfg", "generating token failed"):
        call.state.tokens[ident] = token
    # the answer repeats what was sent as it was sent: as texts (golden 01 seq 30)
    info = {key: str(given[key]) for key in ("privsep", "comment", "expire") if key in given}
    info.setdefault("privsep", "1")
    return {"full-tokenid": ident, "value": token.secret, "info": info}


@FAMILY.put(_TOKEN)
def update_token(call: Call) -> dict[str, Any]:
    """Change a token, or give it a new secret; only then the answer has the secret."""
    token, given = _require(call), call.params
    removed = split(given.get("delete"))
    changed = replace(
        token,
        privsep=bool(given.get("privsep", token.privsep)),
        expire=0 if "expire" in removed else int(given.get("expire", token.expire)),
        comment=None if "comment" in removed else given.get("comment", token.comment),
    )
    answer = {}
    if given.get("regenerate"):
        changed = replace(changed, secret=str(uuid.uuid4()))
        answer = {"full-tokenid": changed.id, "value": changed.secret}
    with cluster_lock(call.sim, "user_cfg", "updating token failed"):
        call.state.tokens[changed.id] = changed
    return token_info(changed) | answer


@FAMILY.delete(_TOKEN)
def delete_token(call: Call) -> None:
    """Remove a token and what the ACL says of it."""
    token = _require(call)
    with cluster_lock(call.sim, "user_cfg", "deleting token failed"):
        forget_principal(call.state, "token", token.id)
        del call.state.tokens[token.id]
