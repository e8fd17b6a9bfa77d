"""Who may do what: tickets, tokens, roles, the ACL and the checks that methods declare.

Rules from Proxmox's public documentation of user management and from golden 01, 14 and 17.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from pytest_proxmox.simulator import roles
from pytest_proxmox.simulator.state import AclEntry, State, Token
from pytest_proxmox.simulator.wire import PveError, Request

if TYPE_CHECKING:
    from pytest_proxmox.simulator.clock import SimulatorClock

TICKET_LIFETIME_S: Final = 7200
CLOCK_SKEW_S: Final = 300  # PVE takes tickets that are this much from the future
ROOT: Final = "root@pam"
NO_TICKET: Final = "No ticket"
BAD_TICKET: Final = "Authentication failed!"
BAD_CSRF: Final = "Permission denied - invalid csrf token"


@dataclass(frozen=True, slots=True)
class Auth:
    """Who asks. ``tokenid`` is the token's short name where a token asks."""

    userid: str
    tokenid: str | None = None

    @property
    def name(self) -> str:
        """``user@realm`` or ``user@realm!token``, as a UPID has it."""
        return f"{self.userid}!{self.tokenid}" if self.tokenid else self.userid

    @property
    def is_root_ticket(self) -> bool:
        """Whether it is ``root@pam`` itself: a token of root's is not."""
        return self.userid == ROOT and self.tokenid is None


NOBODY: Final = Auth("")


class Unauthorized(Exception):
    """A 401: an empty body and this reason."""


class Access:
    """Logins and permissions over one state."""

    def __init__(self, state: State, clock: SimulatorClock) -> None:
        self._state = state
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._known: dict[str, tuple[str, int]] = {}
        self.house_token: Token | None = None

    # --- logins -----------------------------------------------------------------------------

    def ticket(self, userid: str) -> str:
        """Return a fresh ticket; it is good for two hours of virtual time."""
        plain = f"PVE:{userid}:{int(self._clock.now()):08X}"
        return f"{plain}::{self._sign(plain)}"

    def csrf_token(self, userid: str) -> str:
        """Return the token that writes with a ticket must carry in a header."""
        stamp = f"{int(self._clock.now()):08X}"
        return f"{stamp}:{self._sign(f'{stamp}:{userid}')}"

    def _sign(self, text: str) -> str:
        digest = hmac.new(self._key, text.encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode().rstrip("=")

    def ticket_user(self, ticket: str) -> str | None:
        """Return whose ticket it is, or None where it is forged, expired or the user is gone."""
        found = self._known.get(ticket) or self._read_ticket(ticket)
        if found is None:
            return None
        userid, issued = found
        age = self._clock.now() - issued
        if not -CLOCK_SKEW_S <= age <= TICKET_LIFETIME_S or not self.is_enabled(userid):
            return None
        return userid

    def _read_ticket(self, ticket: str) -> tuple[str, int] | None:
        plain, _, signature = ticket.partition("::")
        parts = plain.split(":")
        if len(parts) != 3 or not hmac.compare_digest(
            signature.encode(), self._sign(plain).encode()
        ):
            return None
        self._known[ticket] = found = (parts[1], int(parts[2], 16))
        return found

    def is_enabled(self, userid: str) -> bool:
        """Return whether the user exists, is enabled and has not expired."""
        user = self._state.users.get(userid)
        if user is None or not user.enable:
            return False
        return not user.expire or user.expire > self._clock.now()

    def check_password(self, userid: str, password: str) -> bool:
        """Return whether this is the user's password, or a good ticket of the user's."""
        user = self._state.users.get(userid)
        if user is None or not self.is_enabled(userid):
            return False
        if user.password is not None and hmac.compare_digest(
            user.password.encode(), password.encode()
        ):
            return True
        return password.startswith("PVE:") and self.ticket_user(password) == userid

    def authenticate(self, request: Request) -> Auth:
        """Return who sent the request.

        Raises:
            Unauthorized: no login, a wrong one, or a write without the right CSRF token.
        """
        header = request.headers.get("authorization", "")
        if header.startswith("PVEAPIToken") and header[11:12] in ("=", " "):
            return self._token(header[12:])
        ticket = _ticket_of(request, header)
        if not ticket:
            raise Unauthorized(NO_TICKET)
        userid = self.ticket_user(ticket)
        if userid is None:
            raise Unauthorized(BAD_TICKET)
        if request.method not in ("GET", "HEAD"):
            self._check_csrf(userid, request.headers.get("csrfpreventiontoken", ""))
        return Auth(userid)

    def _token(self, text: str) -> Auth:
        full, _, secret = text.partition("=")
        token = self.token(full)
        if (
            token is None
            or not hmac.compare_digest(token.secret.encode(), secret.encode())
            or (token.expire and token.expire <= self._clock.now())
            or not self.is_enabled(token.userid)
        ):
            raise Unauthorized(BAD_TICKET)
        return Auth(token.userid, full.partition("!")[2])

    def token(self, ident: str) -> Token | None:
        """Return the token of that id; the house's own is not part of the state."""
        if self.house_token is not None and ident == self.house_token.id:
            return self.house_token
        return self._state.tokens.get(ident)

    def _check_csrf(self, userid: str, token: str) -> None:
        stamp, _, signature = token.partition(":")
        expected = self._sign(f"{stamp}:{userid}")
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            raise Unauthorized(BAD_CSRF)

    # --- permissions ------------------------------------------------------------------------

    def privileges(self, auth: Auth, path: str) -> Mapping[str, bool]:
        """Return what ``auth`` may do at ``path``: privilege -> whether it propagates.

        A privilege-separated token has what both its user and the token itself have.
        """
        own = self._of_user(auth.userid, path)
        token = self.token(auth.name) if auth.tokenid else None
        if token is None or not token.privsep:
            return own
        granted = self._of_principal(auth.name, "token", (), path)
        return {name: own[name] and deep for name, deep in granted.items() if name in own}

    def _of_user(self, userid: str, path: str) -> Mapping[str, bool]:
        if userid == ROOT:
            return dict.fromkeys(roles.ALL, True)
        user = self._state.users.get(userid)
        return self._of_principal(userid, "user", user.groups if user else (), path)

    def _of_principal(
        self, name: str, kind: str, groups: tuple[str, ...], path: str
    ) -> Mapping[str, bool]:
        found = self._walk(name, kind, groups, path)
        for poolid in self._pools_of(path):
            found = {**self._walk(name, kind, groups, f"/pool/{poolid}"), **found}
        return found

    def _walk(
        self, name: str, kind: str, groups: tuple[str, ...], path: str
    ) -> dict[str, bool]:
        """Return the privileges along a path: what stands deeper replaces what is above."""
        found: dict[str, bool] = {}
        for level in _levels(path):
            here = [e for e in self._entries(level) if e.type == kind and e.ugid == name]
            if not here:
                here = [e for e in self._entries(level) if e.type == "group" and e.ugid in groups]
            applying = [entry for entry in here if entry.propagate or level == path]
            if applying:
                found = self._granted(applying)
        return found

    def _entries(self, path: str) -> Iterable[AclEntry]:
        return [entry for entry in self._state.acls.values() if entry.path == path]

    def _granted(self, entries: list[AclEntry]) -> dict[str, bool]:
        if any(entry.roleid == "NoAccess" for entry in entries):
            return {}
        found: dict[str, bool] = {}
        for entry in entries:
            for name in self.role(entry.roleid):
                found[name] = found.get(name, False) or entry.propagate
        return found

    def role(self, roleid: str) -> frozenset[str]:
        """Return the privileges of a role, a built-in one or one of the state's."""
        return roles.BUILT_IN.get(roleid) or self._state.roles.get(roleid, frozenset())

    def _pools_of(self, path: str) -> list[str]:
        kind, _, ident = path.lstrip("/").partition("/")
        if kind == "vms" and ident.isdigit():
            poolid = self._state.members.get(int(ident))
            return [poolid] if poolid else []
        if kind == "storage" and ident:
            return [p.poolid for p in self._state.pools.values() if ident in p.storages]
        return []

    def may(self, auth: Auth, path: str, wanted: Iterable[str], *, either: bool = False) -> bool:
        """Return whether ``auth`` has all (or any) of these privileges at ``path``."""
        if auth.userid == ROOT and auth.tokenid is None:
            return True
        held = self.privileges(auth, path)
        return (any if either else all)(name in held for name in wanted)

    def require(self, auth: Auth, path: str, *wanted: str, either: bool = False) -> None:
        """Refuse as PVE does unless ``auth`` may.

        Raises:
            PveError: 403 with the path and the privileges.
        """
        if not self.may(auth, path, wanted, either=either):
            raise PveError.forbidden(f"{path}, {'|'.join(wanted)}")

    def judge(self, auth: Auth, check: list[Any], params: Mapping[str, Any]) -> None:
        """Apply the check that a method declares in ``methods.json``.

        Raises:
            PveError: 403; only a plain ``perm`` check says path and privileges.
        """
        if auth.userid == ROOT and auth.tokenid is None:
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
        except PveError:
            return False
        return True

    def _judge_one(self, auth: Auth, check: list[Any], params: Mapping[str, Any]) -> None:
        options = dict(zip(check[3::2], check[4::2], strict=False))
        if check[0] == "perm":
            needed = options.get("require_param")
            if needed and needed not in params:
                raise PveError.forbidden()
            path = _fill(check[1], params)
            self.require(auth, path, *check[2], either=bool(options.get("any")))
        elif check[0] == "perm-modify":
            self._require_modify(auth, _fill(check[1], params))
        elif check[0] == "userid-param":
            self._require_user(auth, check[1], params)
        elif check[0] == "userid-group":
            options = dict(zip(check[2::2], check[3::2], strict=False))
            self._require_group(auth, check[1], params, options.get("groups_param"))
        else:
            raise PveError.forbidden(f"unknown check {check[0]}")

    def _require_modify(self, auth: Auth, path: str) -> None:
        """Changing the ACL at a path needs Permissions.Modify, or a right to hand on there."""
        wanted = ["Permissions.Modify"]
        for prefix, name in (
            ("/storage/", "Datastore.Allocate"),
            ("/vms/", "VM.Allocate"),
            ("/pool/", "Pool.Allocate"),
        ):
            if path.startswith(prefix):
                wanted.append(name)
        self.require(auth, path, *wanted, either=True)

    def _require_user(self, auth: Auth, rule: str, params: Mapping[str, Any]) -> None:
        userid = str(params.get("userid", ""))
        if rule == "self":
            if auth.userid != userid:
                raise PveError.forbidden()
            return
        realm = userid.rpartition("@")[2] or str(params.get("realm", ""))
        self.require(auth, f"/access/realm/{realm}", rule)

    def _require_group(
        self, auth: Auth, wanted: list[str], params: Mapping[str, Any], mode: str | None
    ) -> None:
        if self.may(auth, "/access/groups", wanted, either=True):
            return
        user = self._state.users.get(str(params.get("userid", "")))
        groups = list(user.groups) if user is not None and mode != "create" else []
        if mode is not None:
            groups += [g for g in str(params.get("groups", "")).split(",") if g]
        allowed = [g for g in groups if self.may(auth, f"/access/groups/{g}", wanted, either=True)]
        if not allowed or (mode is not None and len(allowed) < len(groups)):
            raise PveError.forbidden(f"/access/groups, {'|'.join(wanted)}")


def _levels(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part]
    return ["/"] + ["/" + "/".join(parts[: n + 1]) for n in range(len(parts))]


def _fill(template: str, params: Mapping[str, Any]) -> str:
    path = template
    for key, value in params.items():
        path = path.replace("{" + key + "}", str(value))
    return path


def _ticket_of(request: Request, authorization: str) -> str:
    if authorization.startswith("PVEAuthCookie="):
        return unquote(authorization.partition("=")[2])
    for part in request.headers.get("cookie", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == "PVEAuthCookie":
            return unquote(value)
    return ""
