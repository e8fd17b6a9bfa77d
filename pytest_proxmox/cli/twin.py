"""A twin: an embedded Proxmox whose world is like a node's, as far as one login sees that node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.errors import ApiFailure
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.wire import Request
from pytest_proxmox.simulator.world import CONTENT_TYPES, World
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.inprocess import InProcess

if TYPE_CHECKING:
    from pytest_proxmox.target.calls import Calls
    from pytest_proxmox.target.facts import TargetFacts

ROOT: Final = "root@pam"
_SECRET: Final = "0c0ffee0-0000-4000-8000-000000000000"  # noqa: S105 - a Proxmox in this process
_OS_TYPES: Final = (
    *("alpine", "archlinux", "centos", "debian", "devuan", "fedora", "gentoo", "nixos"),
    *("opensuse", "ubuntu"),
)


@dataclass(frozen=True, slots=True)
class Likeness:
    """What of a node goes into its twin's world."""

    facts: TargetFacts
    storages: Mapping[str, Mapping[str, Any]]
    rights: Mapping[str, Mapping[str, int]]

    def world(self, pools: frozenset[str]) -> World:
        """Return the twin's world, with these pools."""
        facts, user = self.facts, self.facts.user.partition("!")[0]
        world: dict[str, Any] = {
            "version": facts.version,
            "nodes": {facts.node: {"bridges": [facts.bridge] if facts.bridge else []}},
            "storages": {name: dict(one) for name, one in self.storages.items()},
            "users": {ROOT: {"password": _SECRET}, user: {"password": _SECRET}},
            "pools": {pool: {} for pool in pools},
        }
        if facts.template is not None:
            world["volumes"] = [_template(facts.template)]
        if "!" in facts.user:
            world["tokens"] = {facts.user: {"secret": _SECRET, "privsep": 1}}
        if facts.user != ROOT:
            world |= self._access(user)
        return World.parse(world, origin=f"the node {facts.node} of {facts.url}")

    def _access(self, user: str) -> dict[str, Any]:
        """Roles and ACLs that give the same rights; a token and its user have them alike."""
        roles: dict[str, list[str]] = {}
        acls = []
        for number, (path, rights) in enumerate(sorted(self.rights.items())):
            for propagate in (0, 1):
                privileges = sorted(name for name, how in rights.items() if int(how) == propagate)
                if not privileges:
                    continue
                role = f"Like{number}x{propagate}"
                roles[role] = privileges
                given = {"path": path, "roleid": role, "propagate": propagate}
                acls.append(given | {"ugid": user, "type": "user"})
                if "!" in self.facts.user:
                    acls.append(given | {"ugid": self.facts.user, "type": "token"})
        return {"roles": roles, "acls": acls}


def look(calls: Calls, facts: TargetFacts) -> Likeness:
    """Return what the node shows us of itself.

    Raises:
        ApiFailure: it cannot be read.
    """
    wanted = {facts.storage, facts.backup_storage, (facts.template or "").partition(":")[0]}
    rows = calls.get(f"nodes/{facts.node}/storage")
    storages = {
        str(row["storage"]): _storage(calls, row) for row in rows if row["storage"] in wanted
    }
    return Likeness(facts, storages, calls.get("access/permissions"))


@contextmanager
def running(world: World, user: str) -> Iterator[Endpoint]:
    """An embedded Proxmox in this process as long as this lasts, and ``user``'s way to it."""
    with InProcess(_Handler(Simulator(world))) as transport:
        userid, _, token = user.partition("!")
        if token:
            yield Endpoint(
                transport.host,
                transport.port,
                userid,
                token_name=token,
                token_value=_SECRET,
            )
        else:
            yield Endpoint(transport.host, transport.port, userid, _SECRET)


class _Handler:
    """The simulator in the words of the in-process transport; nobody gave it faults."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str, tuple[tuple[str, str], ...], bytes]:
        answer = self._simulator.handle(Request(method, target, headers, body))
        return answer.status, answer.reason, answer.headers, answer.body


def _storage(calls: Calls, row: Mapping[str, Any]) -> dict[str, Any]:
    """A storage as a world has it; where it lies only if we may see that."""
    try:
        told = dict(calls.get(f"storage/{row['storage']}"))
    except ApiFailure:
        told = {}
    for ours in ("storage", "digest", "nodes", "disable", "content", "shared"):
        told.pop(ours, None)
    content = [kind for kind in str(row["content"]).split(",") if kind in CONTENT_TYPES]
    size = {"size": int(row["total"])} if int(row.get("total") or 0) > 0 else {}
    shared = {"shared": bool(row.get("shared"))}
    return {**told, "type": str(row["type"]), "content": sorted(content), **size, **shared}


def _template(volid: str) -> dict[str, Any]:
    name = PurePosixPath(volid).name
    found = next((kind for kind in _OS_TYPES if kind in name), None)
    return {"volid": volid, "size": 1} | ({"ostype": found} if found else {})
