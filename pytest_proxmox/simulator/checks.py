"""The checks that methods declare, applied to a caller: ``perm``, ``userid-param``, ``and`` …"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from pytest_proxmox.simulator.identity import MAX_USERID, MIN_USERID, Auth
from pytest_proxmox.simulator.permissions import Permissions
from pytest_proxmox.simulator.state import State
from pytest_proxmox.simulator.wire import PveError

_FIELD: Final = re.compile(r"\{([^}]+)\}")
_PATH: Final = re.compile(r"[^\s:]*")
_USERID: Final = re.compile(r"[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+")


class Checks:
    """Judges callers by what ``methods.json`` declares."""

    def __init__(self, permissions: Permissions, state: State) -> None:
        self._permissions = permissions
        self._state = state

    def judge(self, auth: Auth, check: list[Any], params: Mapping[str, Any]) -> None:
        """Apply a declared check.

        Raises:
            PveError: 403; only a plain ``perm`` check says path and privileges.
        """
        if auth.is_root_ticket:
            return
        kind = check[0]
        if kind == "and":
            for part in check[1:]:
                self.judge(auth, part, params)
        elif kind == "or":
            if not any(self._passes(auth, part, params) for part in check[1:]):
                raise PveError.forbidden()
        else:
            self._judge_one(auth, check, params)

    def _passes(self, auth: Auth, check: list[Any], params: Mapping[str, Any]) -> bool:
        try:
            self.judge(auth, check, params)
        except PveError as error:
            if error.status != 403:  # e.g. a user name that is none
                raise
            return False
        return True

    def _judge_one(self, auth: Auth, check: list[Any], params: Mapping[str, Any]) -> None:
        kind = check[0]
        if kind == "perm":
            self._judge_path(auth, check, params)
        elif kind == "perm-modify":
            self._judge_acl(auth, filled(check[1], params))
        elif kind == "userid-param":
            self._judge_user(auth, check[1], params)
        elif kind == "userid-group":
            options = dict(zip(check[2::2], check[3::2], strict=False))
            self._judge_group(auth, check[1], params, options.get("groups_param"))
        else:
            raise PveError.forbidden(f"unknown check {kind}")

    def _judge_path(self, auth: Auth, check: list[Any], params: Mapping[str, Any]) -> None:
        options = dict(zip(check[3::2], check[4::2], strict=False))
        needed = options.get("require_param")
        if needed and needed not in params:
            raise PveError.forbidden()
        path = filled(check[1], params)
        self._permissions.require(auth, path, *check[2], either=bool(options.get("any")))

    def _judge_acl(self, auth: Auth, path: str) -> None:
        """Changing the ACL at a path needs Permissions.Modify, or a right to allocate there."""
        wanted = ["Permissions.Modify"]
        for prefix, name in (
            ("/storage/", "Datastore.Allocate"),
            ("/vms/", "VM.Allocate"),
            ("/pool/", "Pool.Allocate"),
        ):
            if path.startswith(prefix):
                wanted.append(name)
        self._permissions.require(auth, path, *wanted, either=True)

    def _judge_user(self, auth: Auth, rule: str, params: Mapping[str, Any]) -> None:
        userid = _userid(params)
        if rule == "self":
            if auth.userid != userid:
                raise PveError.forbidden()
            return
        self._permissions.require(auth, f"/access/realm/{userid.rpartition('@')[2]}", rule)

    def _judge_group(
        self, auth: Auth, wanted: list[str], params: Mapping[str, Any], mode: str | None
    ) -> None:
        userid = _userid(params)
        may = self._permissions.may
        if may(auth, "/access/groups", wanted, either=True):
            return
        user = self._state.users.get(userid)
        groups = list(user.groups) if user is not None and mode != "create" else []
        if mode is not None:
            groups += [g for g in str(params.get("groups", "")).split(",") if g]
        allowed = [g for g in groups if may(auth, f"/access/groups/{g}", wanted, either=True)]
        if not allowed or (mode is not None and len(allowed) < len(groups)):
            raise PveError.forbidden(f"/access/groups, {'|'.join(wanted)}")


def _userid(params: Mapping[str, Any]) -> str:
    """Return the user that a request is about; its name is looked at first (golden 17 seq 17)."""
    userid = str(params.get("userid", ""))
    if len(userid) < MIN_USERID:
        raise PveError(500, f"user name '{userid}' is too short")
    if len(userid) > MAX_USERID:
        raise PveError(500, f"user name '{userid}' is too long ({len(userid)} > {MAX_USERID})")
    if not _USERID.fullmatch(userid):
        raise PveError(500, f"value '{userid}' does not look like a valid user name")
    return userid


def filled(template: str, params: Mapping[str, Any]) -> str:
    """Return a path with the parameters in it: ``-`` for one not given, nothing if malformed.

    Golden 17 seq 14 and 15.
    """
    path = "".join(
        str(params.get(part, "-")) if is_field else part for is_field, part in _parts(template)
    )
    return path if _PATH.fullmatch(path) else ""


@cache
def _parts(template: str) -> tuple[tuple[bool, str], ...]:
    """Return the pieces of a path: whether each is a parameter's name, and its text."""
    return tuple((bool(n % 2), part) for n, part in enumerate(_FIELD.split(template)))
