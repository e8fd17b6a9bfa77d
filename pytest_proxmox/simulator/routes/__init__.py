"""The API by family: each module offers one ``Family`` of handlers and workers.

A module is imported when one of its paths is first asked for: all together take longer to
import than a server may take to answer its first request.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import chain
from typing import Final

from pytest_proxmox.simulator.family import Family, Handler
from pytest_proxmox.simulator.tasks import Worker

_LXC: Final = "/nodes/{node}/lxc"
_QEMU: Final = "/nodes/{node}/qemu"
_STORAGE: Final = "/nodes/{node}/storage"

# What stands above goes before what stands below; ``index`` has paths everywhere.
ROOMS: Final[tuple[tuple[str, str], ...]] = (
    ("/access/acl", "acl"),
    ("/access/roles", "acl"),
    ("/access/domains", "realms"),
    ("/access/users", "users tokens"),
    ("/access/groups", "users"),
    ("/access", "access"),
    ("/cluster/backup", "jobs"),
    ("/cluster/backup-info", "jobs"),
    ("/cluster/bulk-action", "bulk"),
    ("/cluster/firewall", "firewall ipsets"),
    ("/cluster/ha", "ha"),
    ("/cluster/jobs", "jobs"),
    ("/cluster/replication", "jobs"),
    ("/cluster/acme", "sections"),
    ("/cluster/mapping", "sections"),
    ("/cluster/metrics", "sections"),
    ("/cluster/notifications", "sections"),
    ("/cluster/qemu", "sections"),
    ("/cluster", "cluster"),
    (f"{_LXC}/{{vmid}}/firewall", "firewall ipsets"),
    (f"{_LXC}/{{vmid}}/rrddata", "nodes"),
    (
        _LXC,
        "lxc lxc_power lxc_create lxc_snapshots lxc_clone lxc_volumes lxc_migrate lxc_console",
    ),
    (f"{_QEMU}/{{vmid}}/agent", "qemu_agent"),
    (f"{_QEMU}/{{vmid}}/firewall", "firewall ipsets"),
    (f"{_QEMU}/{{vmid}}/rrddata", "nodes"),
    (
        _QEMU,
        "qemu qemu_power qemu_create qemu_restore qemu_config qemu_snapshots qemu_clone"
        " qemu_destroy qemu_disks qemu_cloudinit qemu_migrate qemu_console",
    ),
    (f"{_STORAGE}/{{storage}}/rrddata", "nodes"),
    (_STORAGE, "storage incoming prunes"),
    ("/storage", "storage"),
    ("/nodes/{node}/vzdump", "vzdump"),
    ("/nodes/{node}/tasks", "tasks"),
    ("/nodes/{node}/network", "network"),
    ("/nodes/{node}/firewall", "firewall"),
    ("/nodes/{node}/replication", "jobs"),
    ("/nodes", "nodes system bulk appliances"),
    ("/pools", "pools"),
    ("", "index"),
)
_WORKER_ROOMS: Final = {"vz": _LXC, "qm": _QEMU}  # where to look first, by how a name begins


@cache
def family(module: str) -> Family:
    """Return what a module of this package offers."""
    found: Family = import_module(f"{__name__}.{module}").FAMILY
    return found


def families() -> Iterator[Family]:
    """Yield what every module offers."""
    for module in dict.fromkeys(name for _, modules in ROOMS for name in modules.split()):
        yield family(module)


@cache
def handler(verb: str, template: str) -> Handler | None:
    """Return what answers a method, or None where nothing is simulated."""
    for module in _modules(template):
        found = family(module).handlers.get((verb, template))
        if found is not None:
            return found
    return None


def _modules(template: str) -> Iterator[str]:
    """Yield the modules that may have a path: those of its room, then the index."""
    for prefix, modules in ROOMS:
        if template == prefix or template.startswith(prefix + "/"):
            yield from modules.split()
            break
    yield "index"


@cache
def worker(name: str) -> Worker | None:
    """Return what a kind of task does, or None where it is not simulated."""
    likely = map(family, _modules(_WORKER_ROOMS.get(name[:2], "")))
    found = (one.workers.get(name) for one in chain(likely, families()))
    return next((one for one in found if one is not None), None)
