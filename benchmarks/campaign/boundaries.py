"""Boundaries: the kinds of API call that a life consists of, and what makes a life reach each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Boundary:
    """A kind of call; ``needs`` are the steps that a life must have to come to it."""

    name: str
    method: str
    path: str
    needs: tuple[str, ...] = ("container",)

    def covers(self, method: str, path: str) -> bool:
        """Whether a call is of this kind."""
        return method == self.method and re.fullmatch(self.path, path) is not None


_GUEST = r"nodes/[^/]+/(lxc|qemu)/\d+"

BOUNDARIES: Final = (
    Boundary("read the pools", "GET", "pools"),
    Boundary("take a block", "POST", "pools"),
    Boundary("renew a lease", "PUT", "pools", ("container", "long test", "container")),
    Boundary("give a block back", "DELETE", "pools"),
    Boundary("is a VMID free", "GET", "cluster/nextid"),
    Boundary("list guests", "GET", "cluster/resources"),
    Boundary("list nodes", "GET", "nodes"),
    Boundary("list tasks", "GET", r"nodes/[^/]+/tasks"),
    Boundary("look at a task", "GET", r"nodes/[^/]+/tasks/[^/]+/(status|log)"),
    Boundary("create a container", "POST", r"nodes/[^/]+/lxc"),
    Boundary("create a VM", "POST", r"nodes/[^/]+/qemu", ("machine",)),
    Boundary("clone", "POST", f"{_GUEST}/clone", ("container", "clone")),
    Boundary("back up", "POST", r"nodes/[^/]+/vzdump", ("container", "backup")),
    Boundary("restore", "POST", r"nodes/[^/]+/lxc#restore", ("container", "backup", "restore")),
    Boundary("start", "POST", f"{_GUEST}/status/start", ("container", "start")),
    Boundary("stop", "POST", f"{_GUEST}/status/stop", ("container", "start")),
    Boundary("snapshot", "POST", f"{_GUEST}/snapshot", ("container", "snapshot")),
    Boundary("roll back", "POST", f"{_GUEST}/snapshot/[^/]+/rollback", ("container", "rollback")),
    Boundary("read a configuration", "GET", f"{_GUEST}/config"),
    Boundary("change a configuration", "PUT", f"{_GUEST}/config", ("container", "protect")),
    Boundary("read a status", "GET", f"{_GUEST}/status/current"),
    Boundary("list storages", "GET", r"nodes/[^/]+/storage"),
    Boundary("list volumes", "GET", r"nodes/[^/]+/storage/[^/]+/content"),
    Boundary(
        "remove a volume",
        "DELETE",
        r"nodes/[^/]+/storage/[^/]+/content/.+",
        ("container", "backup"),
    ),
    Boundary("destroy", "DELETE", _GUEST),
)


def boundary_of(method: str, path: str, *, restores: bool = False) -> str | None:
    """Return the name of a call's kind, None for a call that no life is expected to make."""
    seen = f"{path}#restore" if restores else path
    return next((kind.name for kind in BOUNDARIES if kind.covers(method, seen)), None)
