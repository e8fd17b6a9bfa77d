"""Provision: the pool, role, user and token that a sandbox works with, made step by step.

Each step says what it would do and how a person would do it in a shell of the node, so that
nobody has to let us do it. Steps that are done already are left alone: twice does no harm.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from pytest_proxmox.errors import ApiFailure, InvalidValue
from pytest_proxmox.target.calls import Calls
from pytest_proxmox.target.rights import PRIVILEGES, ROLE, ZONE_PATH

Progress = Literal["there", "to do", "differs"]
COMMENT = "leases of pytest-proxmox"
_VERBS = {"POST": "create", "PUT": "set", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be there: ``token`` is the token's name, ``user`` has its realm."""

    pool: str
    storages: tuple[str, ...]
    user: str = "pytest@pve"
    token: str = "ci"  # noqa: S105 - a name, not a secret
    role: str = ROLE

    @property
    def token_id(self) -> str:
        """The token's full id, ``user@realm!name``."""
        return f"{self.user}!{self.token}"

    @property
    def paths(self) -> tuple[str, ...]:
        """Where user and token have the role."""
        return (f"/pool/{self.pool}", *(f"/storage/{s}" for s in self.storages), ZONE_PATH)


@dataclass(frozen=True, slots=True)
class Step:
    """One call that makes one thing: what, whether it is done, and the command that does it."""

    what: str
    state: Progress
    command: str
    method: str = field(repr=False, default="POST")
    path: str = field(repr=False, default="")
    data: dict[str, Any] = field(repr=False, default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to do."""
        return self.state == "there"


@dataclass(frozen=True, slots=True)
class Found:
    """What of it is there already; empty where nobody looked."""

    pools: frozenset[str] = frozenset()
    privileges: frozenset[str] | None = None
    users: frozenset[str] = frozenset()
    tokens: frozenset[str] = frozenset()
    acl: frozenset[tuple[str, str]] = frozenset()


def look(calls: Calls, wish: Wish) -> Found:
    """Return what of the wish is there.

    Raises:
        InvalidValue: a storage of the wish does not exist.
        ApiFailure: we may not look.
    """
    storages = {str(row["storage"]) for row in calls.get("storage")}
    if unknown := sorted(set(wish.storages) - storages):
        raise InvalidValue(
            f'there is no storage "{unknown[0]}"',
            origin="option --storage",
            hint=f"There are {', '.join(sorted(storages))}",
        )
    users = frozenset(str(row["userid"]) for row in calls.get("access/users"))
    tokens: list[dict[str, Any]] = []
    if wish.user in users:
        tokens = calls.get(f"access/users/{wish.user}/token")
    acl = calls.get("access/acl")
    return Found(
        pools=frozenset(str(row["poolid"]) for row in calls.get("pools")),
        privileges=_privileges(calls, wish.role),
        users=users,
        tokens=frozenset(str(row["tokenid"]) for row in tokens),
        acl=frozenset((row["path"], row["ugid"]) for row in acl if row["roleid"] == wish.role),
    )


def _privileges(calls: Calls, role: str) -> frozenset[str] | None:
    names = {row["roleid"] for row in calls.get("access/roles")}
    if role not in names:
        return None
    return frozenset(name for name, has in calls.get(f"access/roles/{role}").items() if has)


def plan(wish: Wish, found: Found, *, renew_token: bool = False) -> list[Step]:
    """Return the steps from what is there to what is wished, those that are done among them."""
    return [
        _pool(wish, found),
        _role(wish, found),
        _user(wish, found),
        *_token(wish, found, renew=renew_token),
        *_acl(wish, found, renew=renew_token),
    ]


def _state(is_done: object) -> Progress:
    return "there" if is_done else "to do"


def _pool(wish: Wish, found: Found) -> Step:
    return Step(
        f"pool {wish.pool}",
        _state(wish.pool in found.pools),
        _shell("pveum pool add", wish.pool, comment=COMMENT),
        path="pools",
        data={"poolid": wish.pool, "comment": COMMENT},
    )


def _role(wish: Wish, found: Found) -> Step:
    wanted = ",".join(PRIVILEGES)
    if found.privileges is not None and found.privileges != frozenset(PRIVILEGES):
        return Step(
            f"role {wish.role}, other privileges now",
            "differs",
            _shell("pveum role modify", wish.role, privs=wanted),
            "PUT",
            f"access/roles/{wish.role}",
            {"privs": wanted},
        )
    return Step(
        f"role {wish.role}, {len(PRIVILEGES)} privileges",
        _state(found.privileges is not None),
        _shell("pveum role add", wish.role, privs=wanted),
        path="access/roles",
        data={"roleid": wish.role, "privs": wanted},
    )


def _user(wish: Wish, found: Found) -> Step:
    return Step(
        f"user {wish.user}, without a password",
        _state(wish.user in found.users),
        _shell("pveum user add", wish.user, comment=COMMENT),
        path="access/users",
        data={"userid": wish.user, "comment": COMMENT},
    )


def _token(wish: Wish, found: Found, *, renew: bool) -> Iterable[Step]:
    is_there = wish.token in found.tokens
    path = f"access/users/{wish.user}/token/{wish.token}"
    if is_there and renew:
        command = _shell("pveum user token remove", wish.user, wish.token)
        yield Step(f"token {wish.token_id}, old one removed", "differs", command, "DELETE", path)
        is_there = False
    yield Step(
        f"token {wish.token_id}, rights of its own",
        _state(is_there),
        _shell("pveum user token add", wish.user, wish.token, privsep=1),
        path=path,
        data={"privsep": 1},
    )


def _acl(wish: Wish, found: Found, *, renew: bool) -> Iterable[Step]:
    for path in wish.paths:
        for kind, name in (("user", wish.user), ("token", wish.token_id)):
            is_gone = renew and kind == "token"  # a removed token takes its rights with it
            yield Step(
                f"{path} for the {kind}",
                _state((path, name) in found.acl and not is_gone),
                _shell("pveum acl modify", path, **{f"{kind}s": name, "roles": wish.role}),
                "PUT",
                "access/acl",
                {"path": path, f"{kind}s": name, "roles": wish.role},
            )


def _shell(command: str, *words: str, **options: object) -> str:
    """A line for a shell of the node; ``!`` is quoted, because a shell's history reads it."""
    flags = (f"--{name} {shlex.quote(str(value))}" for name, value in options.items())
    return " ".join([command, *map(shlex.quote, words), *flags])


def carry_out(calls: Calls, step: Step) -> str | None:
    """Return the secret that a step made, None for every step but the token's.

    Raises:
        ApiFailure: it was refused.
    """
    answer = getattr(calls, step.method.lower())(step.path, **step.data)
    is_token = step.method == "POST" and "/token/" in step.path
    if is_token and not (isinstance(answer, dict) and answer.get("value")):
        raise ApiFailure(
            "the answer holds no secret",
            call=f"{step.method} {step.path}",
            kind="permanent",
            code="unknown",
            status=200,
            hint="Make a new secret with: pytest-proxmox setup --renew-token",
        )
    return str(answer["value"]) if is_token else None
