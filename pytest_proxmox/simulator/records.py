"""Simple families of configuration sections: made, listed, read, changed and removed by an id.

A ``Registry`` says how one family is spelled; ``serve`` adds its five handlers to a family of
routes. Values live in ``state.records`` by (family, id).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator.lists import split
from pytest_proxmox.simulator.quorum import cluster_lock
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.family import Call, Family
    from pytest_proxmox.simulator.state import State

Record = Mapping[str, Any]

BUILT_IN: Final = "builtin"  # the origin of what nobody made

# What every node has from the start: every notification goes to root by mail.
INITIAL: Final[Mapping[tuple[str, str], Record]] = {
    ("notify-sendmail", "mail-to-root"): {
        "comment": "Send mails to root@pam's email address",
        "mailto-user": ["root@pam"],
        "origin": BUILT_IN,
    },
    ("matcher", "default-matcher"): {
        "comment": "Route all notifications to mail-to-root",
        "mode": "all",
        "origin": BUILT_IN,
        "target": ["mail-to-root"],
    },
}
_CONTROL: Final = ("delete", "digest", "force", "keep")


def digest_of(record: Record) -> str:
    """Return the SHA-1 of a section, as a client must send it back."""
    text = repr(sorted(record.items()))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def check_digest(record: Record, given: str | None) -> None:
    """Refuse a change that was made against another version.

    Raises:
        PveError: ``detected modified configuration - file changed by other user? Try again.``
    """
    if given and given != digest_of(record):
        text = "detected modified configuration - file changed by other user? Try again."
        raise PveError(500, text)


def _accept(call: Call, record: Record) -> Record:
    return record


def _show(call: Call, ident: str, record: Record) -> dict[str, Any]:
    return dict(record)


@dataclass(frozen=True, slots=True)
class Registry:
    """One family of sections below ``path``, told apart by the parameter ``key``.

    ``accept`` looks at a new or changed section and returns what to store; ``show`` returns what
    reads give. ``file`` is the cluster's file that it lies in, ``noun`` what errors call it.
    """

    path: str
    key: str
    name: str
    noun: str
    file: str
    digest: bool = True
    secret: tuple[str, ...] = ()
    defaults: Record = field(default_factory=dict)
    accept: Callable[[Call, Record], Record] = _accept
    show: Callable[[Call, str, Record], dict[str, Any]] = _show

    @property
    def item(self) -> str:
        """The template of one section's path."""
        return f"{self.path}/{{{self.key}}}"

    def all(self, state: State) -> dict[str, Record]:
        """Return the sections by id, in order."""
        found = {ident: r for (name, ident), r in state.records.items() if name == self.name}
        return dict(sorted(found.items()))

    def require(self, call: Call) -> Record:
        """Return the section in a call's path.

        Raises:
            PveError: it is not there.
        """
        ident = str(call.params[self.key])
        record: Record | None = call.state.records.get((self.name, ident))
        if record is None:
            raise PveError(500, f"no such {self.noun} '{ident}'")
        return record

    def view(self, call: Call, ident: str, record: Record) -> dict[str, Any]:
        """Return a section as reads show it."""
        shown = {key: value for key, value in record.items() if key not in self.secret}
        return {self.key: ident} | self.show(call, ident, shown)


def serve(family: Family, registry: Registry, *, create_at_item: bool = False) -> None:
    """Add the handlers of a registry to a family; some are created with the id in the path."""

    def create(call: Call) -> None:
        _create(call, registry)

    def update(call: Call) -> None:
        _update(call, registry)

    def delete(call: Call) -> None:
        with cluster_lock(call.sim, registry.file, f"delete {registry.noun} failed"):
            registry.require(call)
            del call.state.records[registry.name, str(call.params[registry.key])]

    def listing(call: Call) -> list[dict[str, Any]]:
        return [registry.view(call, key, rec) for key, rec in registry.all(call.state).items()]

    def read(call: Call) -> dict[str, Any]:
        record = registry.require(call)
        found = registry.view(call, str(call.params[registry.key]), record)
        return found | ({"digest": digest_of(record)} if registry.digest else {})

    family.get(registry.path)(listing)
    family.post(registry.item if create_at_item else registry.path)(create)
    family.get(registry.item)(read)
    family.put(registry.item)(update)
    family.delete(registry.item)(delete)


def _create(call: Call, registry: Registry) -> None:
    ident = str(call.params[registry.key])
    given = {k: v for k, v in call.params.items() if k not in (registry.key, *_CONTROL)}
    with cluster_lock(call.sim, registry.file, f"create {registry.noun} failed"):
        if (registry.name, ident) in call.state.records:
            raise PveError(500, f"{registry.noun} '{ident}' already exists")
        stored = registry.accept(call, dict(registry.defaults) | given)
        call.state.records[registry.name, ident] = stored


def _update(call: Call, registry: Registry) -> None:
    ident = str(call.params[registry.key])
    given = {k: v for k, v in call.params.items() if k not in (registry.key, *_CONTROL)}
    with cluster_lock(call.sim, registry.file, f"update {registry.noun} failed"):
        record = registry.require(call)
        check_digest(record, call.params.get("digest"))
        kept = without(record, call.params.get("delete"))
        call.state.records[registry.name, ident] = registry.accept(call, kept | given)


def without(record: Record, delete: Any) -> dict[str, Any]:
    """Return a section without the keys that ``delete`` lists (a text or a list)."""
    removed = delete if isinstance(delete, list) else split(delete)
    return {key: value for key, value in record.items() if key not in removed}
