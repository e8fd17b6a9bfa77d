"""Who may do what where: roles, the ACL with its propagation, pools, privilege separation.

Rules from Proxmox's public documentation of user management and from golden 01, 14, 15 and 17.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pytest_proxmox.simulator import roles
from pytest_proxmox.simulator.identity import ROOT, Auth
from pytest_proxmox.simulator.state import AclEntry, State, Token
from pytest_proxmox.simulator.wire import PveError

Privileges = Mapping[str, bool]  # privilege -> whether it propagates to what lies below

# Where a listing of somebody's rights looks, besides the paths that the ACL names.
TOP_PATHS: Final = (
    "/",
    "/access",
    "/access/groups",
    "/access/realm",
    "/mapping",
    "/nodes",
    "/pool",
    "/sdn",
    "/storage",
    "/vms",
)


class Permissions:
    """What each user and token may do, remembered until something it rests on changes."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._versions: tuple[int, ...] = ()
        self._known: dict[tuple[Auth, str], Privileges] = {}
        self._by_path: dict[str, list[AclEntry]] = {}
        self.house_token: Token | None = None

    def token(self, ident: str) -> Token | None:
        """Return the token of that id; the house's own is not part of the state."""
        if self.house_token is not None and ident == self.house_token.id:
            return self.house_token
        return self._state.tokens.get(ident)

    def role(self, roleid: str) -> frozenset[str]:
        """Return the privileges of a role, a built-in one or one of the state's."""
        return roles.BUILT_IN.get(roleid) or self._state.roles.get(roleid, frozenset())

    def privileges(self, auth: Auth, path: str) -> Privileges:
        """Return what ``auth`` may do at ``path``.

        A privilege-separated token has what both its user and the token itself have.
        """
        self._refresh()
        found = self._known.get((auth, path))
        if found is None:
            found = self._known[auth, path] = self._compute(auth, path)
        return found

    def _refresh(self) -> None:
        state = self._state
        versions = (
            state.users.version,
            state.groups.version,
            state.roles.version,
            state.tokens.version,
            state.acls.version,
            state.pools.version,
            state.members.version,
        )
        if versions == self._versions:
            return
        self._versions = versions
        self._known.clear()
        self._by_path = {}
        for entry in self._state.acls.values():
            self._by_path.setdefault(entry.path, []).append(entry)

    def _compute(self, auth: Auth, path: str) -> Privileges:
        own = self._of_user(auth.userid, path)
        token = self.token(auth.name) if auth.tokenid else None
        if token is None or not token.privsep:
            return own
        granted = self._of_principal(auth.name, "token", (), path)
        return {name: own[name] and deep for name, deep in granted.items() if name in own}

    def _of_user(self, userid: str, path: str) -> Privileges:
        if userid == ROOT:
            return dict.fromkeys(roles.ALL, True)
        user = self._state.users.get(userid)
        return self._of_principal(userid, "user", user.groups if user else (), path)

    def _of_principal(
        self, name: str, kind: str, groups: tuple[str, ...], path: str
    ) -> dict[str, bool]:
        found = self._walk(name, kind, groups, path)
        for poolid in self._pools_of(path):
            found = self._walk(name, kind, groups, f"/pool/{poolid}") | found
        return found

    def _walk(self, name: str, kind: str, groups: tuple[str, ...], path: str) -> dict[str, bool]:
        """Return the privileges along a path: what stands deeper replaces what is above."""
        found: dict[str, bool] = {}
        for level in levels(path):
            here = [e for e in self._by_path.get(level, ()) if e.propagate or level == path]
            applying = [e for e in here if e.type == kind and e.ugid == name]
            if not applying and groups:  # what names the user goes before what names a group
                applying = [e for e in here if e.type == "group" and e.ugid in groups]
            if applying:
                found = self._granted(applying)
        return found

    def _granted(self, entries: list[AclEntry]) -> dict[str, bool]:
        if any(entry.roleid == "NoAccess" for entry in entries):
            return {}
        found: dict[str, bool] = {}
        for entry in entries:
            for name in self.role(entry.roleid):
                found[name] = found.get(name, False) or entry.propagate
        return found

    def _pools_of(self, path: str) -> list[str]:
        kind, _, ident = path.lstrip("/").partition("/")
        if kind == "vms" and ident.isdigit():
            poolid = self._state.members.get(int(ident))
            return [poolid] if poolid else []
        if kind == "storage" and ident:
            return [p.poolid for p in self._state.pools.values() if ident in p.storages]
        return []

    def effective(self, auth: Auth) -> dict[str, Privileges]:
        """Return every path where ``auth`` may do something, with what.

        These are the paths above all others, those the ACL names, and what lies in the pools.
        """
        state = self._state
        paths = {*TOP_PATHS, *(entry.path for entry in state.acls.values())}
        paths.update(f"/vms/{vmid}" for vmid in state.members)
        paths.update(f"/storage/{name}" for p in state.pools.values() for name in p.storages)
        found = {path: self.privileges(auth, path) for path in sorted(paths)}
        return {path: privileges for path, privileges in found.items() if privileges}

    def capabilities(self, auth: Auth) -> dict[str, dict[str, int]]:
        """Return a login's ``cap``: what the web page may offer, by area (golden 01 seq 17)."""
        found: dict[str, dict[str, int]] = {area: {} for area in roles.CAPABILITIES}
        for path, privileges in self.effective(auth).items():
            top = "/" + path.split("/")[1]
            for area, (names, tops) in roles.CAPABILITIES.items():
                if top in tops:
                    found[area] |= {name: 1 for name in privileges if name in names}
        return found

    def is_unlimited(self, auth: Auth) -> bool:
        """Return whether ``auth`` may do everything everywhere: root, or a full token of root's.

        A token is still not root itself where a check asks for that.
        """
        if auth.userid != ROOT:
            return False
        token = self.token(auth.name) if auth.tokenid else None
        return token is None or not token.privsep

    def may(self, auth: Auth, path: str, wanted: Iterable[str], *, either: bool = False) -> bool:
        """Return whether ``auth`` has all (or any) of these privileges at ``path``."""
        if auth.is_root_ticket:
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


def levels(path: str) -> list[str]:
    """Return a path's levels from the top: ``/``, ``/vms``, ``/vms/100``."""
    parts = [part for part in path.split("/") if part]
    return ["/"] + ["/" + "/".join(parts[: n + 1]) for n in range(len(parts))]
